"""Readiness: degraded while something works less well, with the reason for admins."""

import threading
from pathlib import Path

from service.bootstrap import Services
from service.monitoring.readiness import Readiness
from service.templates.catalogue import Catalogue
from tests.support.running import eventually
from tests.support.scripted import Clock
from tests.support.template_kit import COMPILER


def test_readiness_is_degraded_when_the_watch_of_the_templates_stands_still(
    services: Services, clock: Clock, tmp_path: Path
) -> None:
    now = [0.0]
    catalogue = Catalogue(tmp_path / "templates", compiler=COMPILER, clock=lambda: now[0])
    readiness = Readiness(services.database, catalogue, lambda: 0.0, clock)
    assert readiness.report().details["templates_watch_age_s"] is None  # a worker does not watch
    stop = threading.Event()
    thread = threading.Thread(target=catalogue.watch, args=(stop,))
    thread.start()
    try:
        eventually(lambda: catalogue.watch_age_s, lambda age: age is not None)
        assert readiness.report().status == "ready"
    finally:
        stop.set()
        thread.join(30)
    now[0] = 300.0
    report = readiness.report()
    assert (report.status, report.details["templates_watch_age_s"]) == ("degraded", 300.0)
