"""GET /metrics: the figures of all processes for Prometheus."""

import os
import re
import time
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.monitoring.metrics import Metrics
from tests.support.running import Running, data_directory, eventually, running, settings_for
from tests.support.samples import WELCOME


def told(service: Running, *, admin: bool = False) -> dict[str, float]:
    """Each figure by its name and labels, those of all processes added up."""
    answer = (service.admin if admin else service.client).get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(sample.labels.items()) if key != "process")
            name = sample.name.removeprefix("rgz_email_") + (f"{{{labels}}}" if labels else "")
            found[name] = found.get(name, 0) + sample.value
    return found


def test_metrics_count_and_time_what_was_accepted_and_sent(tmp_path: Path) -> None:
    with running(settings_for(tmp_path)) as service:
        for n in range(3):
            sent = service.send("onboarding_welcome", f"{n}@example.com", WELCOME)
            service.until(sent.json()["messages"][0]["id"], "sent")
        seen = told(service)
        assert seen["accepted_total{status=queued}"] == 3
        assert seen["attempts_total{outcome=sent}"] == 3
        assert seen["retries_total"] == 0
        assert seen["send_seconds_count"] == 3
        assert seen["recent{status=sent}"] == 3
        assert seen["server_paused_seconds"] == 0
        assert (seen["database_up"], seen["oldest_due_seconds"]) == (1, 0)


@pytest.mark.parametrize("url", [None, "postgresql_url"], ids=["sqlite", "postgresql"])
def test_metrics_tell_the_queue_by_priority_and_age(
    request: pytest.FixtureRequest, tmp_path: Path, url: str | None
) -> None:
    database_url = request.getfixturevalue(url) if url else None
    with running(settings_for(tmp_path, database_url=database_url), works=False) as service:
        ids = [
            service.send("onboarding_welcome", f"{n}@example.com", WELCOME).json()["messages"][0]["id"]
            for n in range(3)
        ]
        service.services.database.write(
            lambda tx: tx.execute("UPDATE email_messages SET attempts = 1 WHERE id = :id", {"id": ids[0]})
        )
        seen = told(service)
        priority = service.message(ids[0]).get("priority", "normal")
        assert seen[f"queued{{kind=new,priority={priority}}}"] == 2
        assert seen[f"queued{{kind=retry,priority={priority}}}"] == 1
        assert seen["oldest_due_seconds"] > 0
        assert seen["sending"] == 0


def test_metrics_show_a_relay_that_is_away_as_paused_and_as_attempts(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, smtp_host="127.0.0.1", smtp_port=1, smtp_tls="none")
    with running(settings) as service:
        body = {"to": "a@example.com", "template_key": "onboarding_welcome", "variables": WELCOME}
        service.admin.post("/api/v1/email/send", json=body).raise_for_status()
        seen = eventually(lambda: told(service), lambda found: found.get("attempts_total{outcome=paused}", 0) >= 1)
        assert seen["server_paused_seconds"] > 0


def test_metrics_count_a_refusal_by_its_reason(tmp_path: Path) -> None:
    with running(settings_for(tmp_path), works=False, max_waiting=0) as service:
        assert service.send("onboarding_welcome", "a@example.com", WELCOME).status_code == 503
        assert told(service)["refused_total{reason=store_busy}"] == 1


def test_metrics_show_a_broken_template_by_name_to_the_admin_alone(tmp_path: Path) -> None:
    templates = tmp_path / "templates"
    (templates / "broken_one").mkdir(parents=True)
    (templates / "broken_one" / "template.mjml").write_text("---\n---\n<mjml>", encoding="utf-8")
    with running(settings_for(tmp_path, email_templates_dir=templates), works=False) as service:
        seen = told(service)
        assert (seen["templates"], seen["template_broken"]) == (1, 1)
        assert seen["template_errors"] >= 1
        assert "broken_one" not in service.client.get("/metrics").text
        assert told(service, admin=True)["template_broken{template=broken_one}"] == 1


def test_metrics_have_no_address_subject_or_caller_in_a_label(tmp_path: Path) -> None:
    with running(settings_for(tmp_path)) as service:
        with service.key("secret-caller", "send") as caller:
            body = {"to": "somebody@example.com", "template_key": "onboarding_welcome", "variables": WELCOME}
            sent = caller.post("/api/v1/email/send", json=body).json()
        service.until(sent["messages"][0]["id"], "sent")
        text = service.admin.get("/metrics").text
        assert "@" not in text
        for private in ("somebody", "secret-caller", "Bienvenue", "Tech"):
            assert private not in text


def test_metrics_of_workers_stand_beside_those_of_the_api_until_they_end(tmp_path: Path) -> None:
    directory = data_directory(tmp_path) / "metrics"
    with running(settings_for(tmp_path), works=False) as service:
        worker = Metrics()
        worker.tried({"sent": 5, "deferred": 2}, retries=1)
        worker.observe_send(0.004)
        left = leave_as(service, worker, "worker-1")
        seen = told(service)
        assert seen["attempts_total{outcome=sent}"] == 5
        assert seen["retries_total"] == 1
        assert seen["send_seconds_bucket{le=0.005}"] == 1
        text = service.client.get("/metrics").text
        assert f'process="process-{os.getpid()}"' in text
        assert 'process="worker-1"' in text
        families = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
        assert len(families) == len(set(families))
        ended = time.time() - 60
        os.utime(left, (ended, ended))
        assert "attempts_total{outcome=sent}" not in told(service)
        service.services.monitoring.metrics_exporter.write_snapshot()
        service.services.monitoring.metrics_exporter.remove_snapshot()
        assert sorted(file.name for file in directory.iterdir()) == ["worker-1.prom"]


def leave_as(service: Running, metrics: Metrics, name: str) -> Path:
    """As another process would."""
    observer = replace(service.services.monitoring.metrics_exporter, metrics=metrics)
    observer.write_snapshot()
    own = observer.directory / f"worker-{os.getpid()}.prom"
    return own.rename(observer.directory / f"{name}.prom")
