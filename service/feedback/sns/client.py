"""Client of Amazon SNS: fetches signing certificates and confirms subscriptions.

Requests go over TLS with a verified chain and name to the host of the region only; no redirect is followed, and no
proxy of the environment is used. A message decides at most which file of that host is fetched.
"""

import http.client
import socket
import ssl
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self, cast
from urllib.parse import urlencode

from typing_extensions import override

from service.config.settings import Settings
from service.config.tls import verifying_context
from service.errors import NotVerified, TryLater
from service.feedback.sns.urls import CertificateUrl

#: Time-out of connecting, and of an answer. The webhook's own time-out bounds the whole (SNS waits 15 s).
_TIMEOUT_S = 4.0
#: A certificate has 2 KB, an answer to ConfirmSubscription less.
_MAX_ANSWER_BYTES = 64 * 1024
_API_VERSION = "2010-03-31"


@dataclass(frozen=True)
class SnsClient:
    """Blocking requests to SNS. `ca_file` is a PEM file of authorities trusted besides the system's.

    `address` (host, port) is connected to instead of SNS's host, whose certificate must be shown all the same.
    """

    ca_file: Path | None = None
    address: tuple[str, int] | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Build the client of the EMAIL_SNS_* settings. Raises ConfigurationError for an unreadable `ca_file`."""
        client = cls(settings.email_sns_cert_ca_file, settings.sns_address)
        if client.ca_file is not None:
            _ = client.context  # read now: a wrong file must stop the start, not the first notification
        return client

    @cached_property
    def context(self) -> ssl.SSLContext:
        """The verifying TLS context. Raises ConfigurationError for an unreadable `ca_file`."""
        return verifying_context(self.ca_file, setting="EMAIL_SNS_CERT_CA_FILE")

    def fetch(self, url: CertificateUrl) -> bytes:
        """Fetch a certificate file. Raises TryLater where SNS can't be reached, NotVerified for a missing file."""
        return self._get(url.host, url.path)

    def confirm(self, host: str, topic_arn: str, token: str) -> None:
        """Call ConfirmSubscription. Raises as `fetch` does; NotVerified where SNS does not know this token."""
        asked = {"Action": "ConfirmSubscription", "TopicArn": topic_arn, "Token": token, "Version": _API_VERSION}
        self._get(host, f"/?{urlencode(asked)}")

    def _get(self, host: str, path: str) -> bytes:
        connection = _Connection(host, self.address or (host, 443), self.context)
        until_s = time.monotonic() + 2 * _TIMEOUT_S
        try:
            connection.request("GET", path, headers={"Accept": "*/*", "Connection": "close"})
            with connection.getresponse() as answer:
                body = _read(answer, until_s)
        except (OSError, http.client.HTTPException) as error:
            raise TryLater("Amazon SNS can't be reached just now.", retry_after_s=20) from error
        finally:
            connection.close()
        if 400 <= answer.status < 500 and answer.status not in (408, 429):
            raise NotVerified(f"Amazon SNS refuses it ({answer.status}).")
        if answer.status != 200:
            raise TryLater(f"Amazon SNS answers with {answer.status} just now.", retry_after_s=20)
        return body


class _Connection(http.client.HTTPConnection):
    """HTTPS connection to `address` that requires the certificate of `host`."""

    default_port = http.client.HTTPS_PORT

    def __init__(self, host: str, address: tuple[str, int], context: ssl.SSLContext) -> None:
        super().__init__(host, timeout=_TIMEOUT_S)
        self._address = address
        self._tls = context

    @override
    def connect(self) -> None:
        plain = socket.create_connection(self._address, _TIMEOUT_S)
        try:
            self.sock = cast(socket.socket, self._tls.wrap_socket(plain, server_hostname=self.host))
        except BaseException:
            plain.close()
            raise


def _read(answer: http.client.HTTPResponse, until_s: float) -> bytes:
    """Read the whole body, bounded in bytes and time."""
    body = b""
    while piece := answer.read1(_MAX_ANSWER_BYTES + 1 - len(body)):
        body += piece
        if len(body) > _MAX_ANSWER_BYTES:
            raise http.client.HTTPException("the answer is too long")
        if time.monotonic() > until_s:
            raise TimeoutError("the answer is too slow")
    return body
