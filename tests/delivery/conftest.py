"""Fixtures of delivery: a mail as bytes, certificate authorities, and transports that are closed."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from service.delivery.relay import Server
from service.delivery.smtp_pool import SmtpTransport
from service.mail.mime import Wire, build
from tests.support.sample_mail import MAIL, PATIENT_S, Connect
from tests.support.smtp_peer import Peer


@pytest.fixture
def wire() -> Wire:
    return build(MAIL)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
def connect() -> Iterator[Connect]:
    """`connect(peer, timeout_s=…, …)` makes a transport to the peer; the keywords are those of Server, and `clock`."""
    transports: list[SmtpTransport] = []

    def make(peer: Peer, *, clock: Callable[[], float] | None = None, **changes: Any) -> SmtpTransport:
        server = replace(Server("127.0.0.1", peer.port, "none", timeout_s=PATIENT_S), **changes)
        transports.append(SmtpTransport(server, clock=clock) if clock else SmtpTransport(server))
        return transports[-1]

    yield make
    for transport in transports:
        transport.close()
