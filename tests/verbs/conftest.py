"""The verbs over a real store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from running import settings_for
from service.bootstrap import Services, build
from service.delivery.outcome import OutcomeKind
from verbs_support import Clock, ScriptedTransport, outcome


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def transport() -> ScriptedTransport:
    return ScriptedTransport([outcome(OutcomeKind.SENT, code=250, reply="2.0.0 Ok: queued as 4F2", provider_id="4F2")])


@pytest.fixture
def services(tmp_path: Path, clock: Clock, transport: ScriptedTransport) -> Iterator[Services]:
    built = build(settings_for(tmp_path), transport=transport, clock=clock, boot=clock.boot)
    yield built
    built.close()
