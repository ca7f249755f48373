"""A stand-in for Amazon SNS: a TLS server on loopback with a CA of its own, and signatures as SNS makes them."""

import base64
import contextlib
import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

REGION = "eu-west-1"
HOST = f"sns.{REGION}.amazonaws.com"
TOPIC = f"arn:aws:sns:{REGION}:123456789012:ses-events"
PATH = f"/SimpleNotificationService-{'0123456789abcdef' * 2}.pem"
URL = f"https://{HOST}{PATH}"

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type",
    ),
}  # fmt: skip
SIGNED["UnsubscribeConfirmation"] = SIGNED["SubscriptionConfirmation"]


@cache
def rsa_key(name: str = "sns") -> rsa.RSAPrivateKey:
    """The RSA key of this name, the same in all tests of a process."""
    del name
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def certificate(
    name: str = "sns.amazonaws.com",
    *,
    key_name: str = "sns",
    alternative: str | None = None,
    is_elliptic: bool = False,
    valid_from: timedelta = timedelta(days=-30),
    valid_for: timedelta = timedelta(days=365),
) -> bytes:
    """A self-signed certificate as PEM; its dates are relative to now."""
    key: Key = ec.generate_private_key(ec.SECP256R1()) if is_elliptic else rsa_key(key_name)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begins = datetime.now(UTC) + valid_from
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + valid_for)
    )
    if alternative is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(alternative)]), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def envelope(type_: str = "Notification", *, at: datetime | None = None, **fields: Any) -> dict[str, Any]:
    """The body that SNS would post, not yet signed. A field that is None is left out."""
    at = at or datetime.now(UTC)
    made: dict[str, Any] = {
        "Type": type_,
        "MessageId": str(uuid4()),
        "TopicArn": TOPIC,
        "Message": "{}",
        "Timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "SignatureVersion": "1",
        "SigningCertURL": URL,
    }
    if type_ == "Notification":
        made["UnsubscribeURL"] = f"https://{HOST}/?Action=Unsubscribe&SubscriptionArn={TOPIC}:1"
    else:
        made |= {"Token": "2336412f37" * 20, "SubscribeURL": f"https://{HOST}/?Action=ConfirmSubscription"}
    return {name: value for name, value in (made | fields).items() if value is not None}


def canonical(given: Mapping[str, Any]) -> bytes:
    names = [name for name in SIGNED[given["Type"]] if given.get(name) is not None]
    return "".join(f"{name}\n{given[name]}\n" for name in names).encode()


def sign(given: Mapping[str, Any], *, key_name: str = "sns", version: str | None = None) -> dict[str, Any]:
    """Sign the envelope by its signature version, or as if it were `version`."""
    kind = hashes.SHA1() if (version or given["SignatureVersion"]) == "1" else hashes.SHA256()
    signature = rsa_key(key_name).sign(canonical(given), padding.PKCS1v15(), kind)
    return {**given, "Signature": base64.b64encode(signature).decode()}


def signed(type_: str = "Notification", **fields: Any) -> dict[str, Any]:
    return sign(envelope(type_, **fields))


def notification(event: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """The notification that SNS posts for this event of SES."""
    return signed(Message=json.dumps(event), **fields)


class SnsPeer:
    """SNS on a port of loopback. `requests` are those it received: (server name of TLS, path).

    `files` are its certificates; a `status` other than 200 is the answer to all; while `hangs` is set there is none.
    """

    def __init__(self, authority: trustme.CA) -> None:
        self.requests: list[tuple[str, str]] = []
        self.files: dict[str, bytes] = {PATH: certificate()}
        self.status = 200
        self.hangs = threading.Event()
        self._asked_for = threading.local()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        hosts = (HOST, "sns.us-east-1.amazonaws.com", "sns.cn-north-1.amazonaws.com.cn")
        authority.issue_cert(*hosts).configure_cert(context)
        context.sni_callback = self._note_name
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._answerer())
        self._server.daemon_threads = True
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.hangs.clear()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def confirmed(self) -> list[dict[str, str]]:
        """The parameters of each ConfirmSubscription."""
        queries = [urlsplit(path).query for _, path in self.requests if "ConfirmSubscription" in path]
        return [{name: values[0] for name, values in parse_qs(query).items()} for query in queries]

    def _note_name(self, line: Any, name: str | None, _: Any) -> None:
        line.asked_for = name

    def _answerer(self) -> type[BaseHTTPRequestHandler]:
        peer = self

        class Answerer(BaseHTTPRequestHandler):
            timeout = 20

            def do_GET(self) -> None:
                peer.requests.append((getattr(self.connection, "asked_for", ""), self.path))
                while peer.hangs.is_set():
                    threading.Event().wait(0.05)
                body = peer.files.get(self.path)
                if body is None and self.path.startswith("/?Action=ConfirmSubscription"):
                    body = b"<ConfirmSubscriptionResponse/>"
                with contextlib.suppress(OSError):
                    self.send_response(peer.status if body is not None else 404)
                    if peer.status in (301, 302):
                        self.send_header("Location", f"https://{HOST}/elsewhere.pem")
                    self.send_header("Content-Length", str(len(body or b"")))
                    self.end_headers()
                    self.wfile.write(body or b"")

            def log_message(self, *_: Any) -> None:
                return None

        return Answerer


@contextlib.contextmanager
def sns_peer(directory: Path) -> Iterator[tuple[SnsPeer, dict[str, Any]]]:
    """Start a peer, and return it with the settings that make a service trust it."""
    authority = trustme.CA()
    ca_file = directory / "sns-ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    peer = SnsPeer(authority)
    peer.start()
    try:
        yield (
            peer,
            {
                "email_sns_topic_arns": TOPIC,
                "email_sns_cert_ca_file": ca_file,
                "email_sns_host_override": peer.address,
            },
        )
    finally:
        peer.stop()
