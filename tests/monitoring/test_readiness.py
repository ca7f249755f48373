"""Readiness: degraded while something works less well, with the reason for admins."""

import shutil
import threading
from pathlib import Path

import pytest

from service.bootstrap import Services
from service.deployments.build import deployment_details
from service.monitoring.readiness import Readiness
from service.templates.directory_catalogue import DirectoryCatalogue
from tests.support.running import eventually
from tests.support.scripted import Clock
from tests.support.template_kit import COMPILER, front_matter

GOOD = front_matter(variables="  {}\n") + "<mjml><mj-body></mj-body></mjml>"
BROKEN = "<mjml>"


def write_template(root: Path, source: str, *, folder: str = "hello") -> None:
    (root / folder).mkdir(parents=True, exist_ok=True)
    (root / folder / "template.mjml").write_text(source, encoding="utf-8")


@pytest.mark.parametrize(
    ("sources", "reason"),
    [
        (None, "there is no directory ROOT"),
        ({}, "ROOT holds no template"),
        ({"_shared": GOOD}, "ROOT holds no template"),
        ({"hello": BROKEN}, "none of the 1 templates in ROOT compiles"),
    ],
)
def test_readiness_is_unavailable_when_no_template_can_be_sent(
    services: Services, clock: Clock, tmp_path: Path, sources: dict[str, str] | None, reason: str
) -> None:
    root = tmp_path / "emails"
    if sources is not None:
        root.mkdir()
    for folder, source in (sources or {}).items():
        write_template(root, source, folder=folder)
    catalogue = DirectoryCatalogue(root, compiler=COMPILER)
    readiness = Readiness(
        services.database,
        catalogue,
        lambda: 0.0,
        lambda: deployment_details(services.deployments.deployment_status),
        clock,
    )
    catalogue.load()
    report = readiness.report()
    assert (report.status, report.details["no_templates"]) == ("unavailable", reason.replace("ROOT", str(root)))

    write_template(root, GOOD)
    catalogue.refresh()
    assert (readiness.report().status, readiness.report().details["no_templates"]) == ("ready", None)

    write_template(root, BROKEN)  # the last good revision is served
    catalogue.refresh()
    assert readiness.report().status == "degraded"

    shutil.rmtree(root)
    catalogue.refresh()
    assert readiness.report().status == "unavailable"


def test_readiness_is_degraded_when_the_watch_of_the_templates_stands_still(
    services: Services, clock: Clock, tmp_path: Path
) -> None:
    now = [0.0]
    write_template(tmp_path / "templates", GOOD)
    catalogue = DirectoryCatalogue(tmp_path / "templates", compiler=COMPILER, clock=lambda: now[0])
    catalogue.load()
    readiness = Readiness(
        services.database,
        catalogue,
        lambda: 0.0,
        lambda: deployment_details(services.deployments.deployment_status),
        clock,
    )
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
