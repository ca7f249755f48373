"""The relay (next hop): address, TLS mode, login, time-outs, and the certificates that are trusted."""

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from service.config.settings import Settings
from service.config.tls import verifying_context

#: RFC 5321, 4.5.3.2.6: how long a server may take to answer the final dot.
_DOT_TIMEOUT_S = 600.0


@dataclass(frozen=True, slots=True)
class Server:
    """Address and options of the relay. Times are seconds.

    `timeout_s` bounds each step as a whole. The answer to the final dot has `end_of_data_timeout_s`; None is 20 times
    `timeout_s`, at most the 10 minutes of RFC 5321: ending too soon makes duplicates (RFC 1047). `ca_file` is a PEM
    file of authorities trusted besides the system's.
    """

    host: str
    port: int
    tls_mode: Literal["starttls", "implicit", "none"]
    user: str | None = None
    password: str | None = None
    ca_file: Path | None = None
    timeout_s: float = 30.0
    max_connections: int = 20
    end_of_data_timeout_s: float | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """The relay of all mail: SMTP_HOST and the other SMTP_* settings."""
        return cls(
            host=settings.smtp_host or "localhost",
            port=settings.smtp_port,
            tls_mode=settings.tls_mode,
            user=settings.smtp_user,
            password=settings.smtp_password.get_secret_value() if settings.smtp_password else None,
            ca_file=settings.smtp_ca_file,
            timeout_s=settings.smtp_timeout_seconds,
            max_connections=settings.smtp_max_connections,
        )

    @property
    def patience_s(self) -> float:
        """For the answer to the final dot."""
        return min(
            _DOT_TIMEOUT_S, 20 * self.timeout_s if self.end_of_data_timeout_s is None else self.end_of_data_timeout_s
        )


def tls_context(server: Server) -> ssl.SSLContext:
    """Build the TLS context, which verifies name and chain. Raises ConfigurationError for an unreadable `ca_file`.

    A relay without TLS gets a context without authorities: reading the system's takes 20 ms.
    """
    if server.tls_mode == "none" and server.ca_file is None:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return verifying_context(server.ca_file, setting="SMTP_CA_FILE")


def own_name(connected: socket.socket) -> str:
    """Return the name for EHLO: this host's full name, else the address of the connection (RFC 5321, 4.1.3)."""
    name = socket.gethostname()
    if "." in name and name.isascii() and " " not in name:
        return name
    address = str(connected.getsockname()[0])
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
