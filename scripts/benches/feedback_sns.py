"""A stand-in for Amazon SNS: signs delivery events, and serves the signing certificate over TLS on loopback."""

import base64
import json
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

_REGION = "eu-west-1"
_HOST = f"sns.{_REGION}.amazonaws.com"
_PATH = f"/SimpleNotificationService-{'0123456789abcdef' * 2}.pem"
TOPIC = f"arn:aws:sns:{_REGION}:123456789012:ses-events"
_SIGNED = ("Message", "MessageId", "Timestamp", "TopicArn", "Type")


class Sns:
    """Signs notifications as SNS does; `settings` are the environment variables with which a service trusts it."""

    def __init__(self, directory: Path, address: str, ca: trustme.CA, key: rsa.RSAPrivateKey) -> None:
        file = directory / "sns-ca.pem"
        ca.cert_pem.write_to_path(file)
        self.settings = {
            "EMAIL_SNS_TOPIC_ARNS": TOPIC,
            "EMAIL_SNS_CERT_CA_FILE": str(file),
            "EMAIL_SNS_HOST_OVERRIDE": address,
        }
        self._key = key

    def deliveries(self, mails: Sequence[tuple[str, str]]) -> list[str]:
        """For each (provider id, recipient) a whole HTTP request with the event of its delivery."""
        return [self._request(json.dumps(_delivery_event(id, to))) for id, to in mails]

    def _request(self, message: str) -> str:
        at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        fields = {
            "Type": "Notification",
            "MessageId": str(uuid4()),
            "TopicArn": TOPIC,
            "Message": message,
            "Timestamp": at,
        }
        canonical = "".join(f"{name}\n{fields[name]}\n" for name in _SIGNED).encode()
        signature = base64.b64encode(self._key.sign(canonical, padding.PKCS1v15(), hashes.SHA1())).decode()  # noqa: S303
        body = json.dumps(
            fields | {"Signature": signature, "SignatureVersion": "1", "SigningCertURL": f"https://{_HOST}{_PATH}"}
        )
        return (
            "POST /api/v1/email/webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain; charset=UTF-8\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )


@contextmanager
def sns(directory: Path) -> Iterator[Sns]:
    """Serve the certificate until the end of the block."""
    key, ca = rsa.generate_private_key(public_exponent=65537, key_size=2048), trustme.CA()
    certificate = _certificate(key)

    class CertificateHandler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(certificate)))
            self.end_headers()
            self.wfile.write(certificate)

        def log_message(self, *_: Any) -> None:
            return None

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(_HOST).configure_cert(context)
    with ThreadingHTTPServer(("127.0.0.1", 0), CertificateHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield Sns(directory, f"127.0.0.1:{server.server_address[1]}", ca, key)
        finally:
            server.shutdown()
            thread.join()


def _certificate(key: rsa.RSAPrivateKey) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _delivery_event(id: str, to: str) -> dict[str, Any]:
    """A delivery event as the SES Developer Guide shows it."""
    at = "2026-02-21T14:31:00.123Z"
    mail = {
        "timestamp": at,
        "messageId": id,
        "source": "noreply@rgz.bj",
        "sendingAccountId": "123456789012",
        "destination": [to],
        "headersTruncated": False,
        "tags": {"ses:configuration-set": ["rgz"]},
    }
    delivery = {
        "timestamp": at,
        "processingTimeMillis": 546,
        "recipients": [to],
        "smtpResponse": "250 2.6.0 Message received",
        "reportingMTA": "a8-70.smtp-out.amazonses.com",
        "remoteMtaIp": "127.0.2.0",
    }
    return {"eventType": "Delivery", "mail": mail, "delivery": delivery}
