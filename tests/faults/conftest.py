"""Fixtures of faults: workers in one process over one database, with a clock that a test can set."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from service.bootstrap import Services, build
from service.delivery.outcome import OutcomeKind
from tests.support.faults.worker import NewWorker, SteppedTransport, TwoClocks
from tests.support.running import settings_for
from tests.support.scripted import outcome


@pytest.fixture
def clocks() -> TwoClocks:
    return TwoClocks()


@pytest.fixture
def new_worker(tmp_path: Path, clocks: TwoClocks) -> Iterator[NewWorker]:
    with ExitStack() as built:

        def make() -> tuple[Services, SteppedTransport]:
            transport = SteppedTransport([outcome(OutcomeKind.SENT, code=250, reply="2.0.0 Ok")])
            services = build(settings_for(tmp_path), transport=transport, clock=clocks, boottime=clocks.boot)
            built.callback(services.close)
            return services, transport

        yield make
