"""All that we ever ask of Amazon SNS: a signing certificate, and to confirm a subscription.

Over TLS with a verified chain and name, from the host of the region and nowhere else; no redirect is followed, and no
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

#: Connecting, and then each answer. The door gives up on the whole sooner than SNS does (15 s).
_TIMEOUT_S = 4.0
#: A certificate has 2 KB, an answer to ConfirmSubscription less.
_MAX_ANSWER_BYTES = 64 * 1024
_API_VERSION = "2010-03-31"


@dataclass(frozen=True)
class SnsClient:
    """Blocking requests to SNS. `ca_file` is a PEM file of authorities trusted besides the system's.

    `address` (host, port) is connected to in place of any host of SNS; whose certificate is asked for stays the same.
    """

    ca_file: Path | None = None
    address: tuple[str, int] | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Raises ConfigurationError where the additional authority can't be read."""
        client = cls(settings.email_sns_cert_ca_file, settings.sns_address)
        if client.ca_file is not None:
            _ = client.context  # read now: a wrong file must stop the start, not the first notification
        return client

    @cached_property
    def context(self) -> ssl.SSLContext:
        """Raises ConfigurationError where the additional authority can't be read."""
        return verifying_context(self.ca_file, setting="EMAIL_SNS_CERT_CA_FILE")

    def fetch(self, url: CertificateUrl) -> bytes:
        """What lies there. Raises TryLater where it can't be had just now, NotVerified where there is no such file."""
        return self._get(url.host, url.path)

    def confirm(self, host: str, topic_arn: str, token: str) -> None:
        """Calls ConfirmSubscription. Raises as `fetch`; NotVerified where SNS does not know this token."""
        asked = {"Action": "ConfirmSubscription", "TopicArn": topic_arn, "Token": token, "Version": _API_VERSION}
        self._get(host, f"/?{urlencode(asked)}")

    def _get(self, host: str, path: str) -> bytes:
        line = _Connection(host, self.address or (host, 443), self.context)
        until_s = time.monotonic() + 2 * _TIMEOUT_S
        try:
            line.request("GET", path, headers={"Accept": "*/*", "Connection": "close"})
            with line.getresponse() as answer:
                body = _read(answer, until_s)
        except (OSError, http.client.HTTPException) as error:
            raise TryLater("Amazon SNS can't be reached just now.", retry_after_s=20) from error
        finally:
            line.close()
        if 400 <= answer.status < 500 and answer.status not in (408, 429):
            raise NotVerified(f"Amazon SNS refuses it ({answer.status}).")
        if answer.status != 200:
            raise TryLater(f"Amazon SNS answers with {answer.status} just now.", retry_after_s=20)
        return body


class _Connection(http.client.HTTPConnection):
    """HTTPS to a name, wherever it lies: `host` is who must answer there."""

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
    """The whole body, bounded in bytes and in time."""
    body = b""
    while piece := answer.read1(_MAX_ANSWER_BYTES + 1 - len(body)):
        body += piece
        if len(body) > _MAX_ANSWER_BYTES:
            raise http.client.HTTPException("too long an answer")
        if time.monotonic() > until_s:
            raise TimeoutError("too slow an answer")
    return body
