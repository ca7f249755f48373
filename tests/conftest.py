"""What all tests share: real servers, and services with a clock and a transport that the test controls."""

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from service.bootstrap import Services, build
from service.delivery.outcome import OutcomeKind
from tests.support.running import settings_for
from tests.support.scripted import Clock, ScriptedTransport, outcome

# A slow example says how busy the machine is, not that the code is wrong.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

pytest_plugins = ["tests.support.servers", "tests.support.dovecot"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run what takes minutes at its full length")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def transport() -> ScriptedTransport:
    return ScriptedTransport([outcome(OutcomeKind.SENT, code=250, reply="2.0.0 Ok: queued as 4F2", provider_id="4F2")])


@pytest.fixture
def services(tmp_path: Path, clock: Clock, transport: ScriptedTransport) -> Iterator[Services]:
    built = build(settings_for(tmp_path), transport=transport, clock=clock, boottime=clock.boottime)
    yield built
    built.close()
