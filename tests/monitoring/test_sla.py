"""The SLA of a template, from acceptance to the relay's 250: kept or broken."""

import threading

from service.bootstrap import Services
from service.models.requests import SendRequest
from tests.support.samples import ADMIN, INCIDENT
from tests.support.scripted import Clock, ScriptedTransport
from tests.support.sends import accept_incident


def test_sla_is_kept_by_mail_that_leaves_in_time(services: Services, clock: Clock) -> None:
    accept_incident(services)
    clock.forward(seconds=29)
    services.delivery.deliverer.drain(threading.Event())
    clock.forward(minutes=10)
    assert services.messages.message_search.late() == []
    assert services.monitoring.readiness.report().details["sla_24h"] == {
        "incident_alert_critical": {"promised": 1, "late": 0}
    }


def test_sla_is_broken_by_mail_that_leaves_too_late_and_that_still_waits(
    services: Services, clock: Clock, transport: ScriptedTransport
) -> None:
    sent_late = accept_incident(services)
    clock.forward(seconds=31)
    services.delivery.deliverer.drain(threading.Event())
    transport.paused_s = 60
    waits = accept_incident(services)
    assert [message.id for message in services.messages.message_search.late()] == [sent_late]
    clock.forward(seconds=31)
    assert {message.id for message in services.messages.message_search.late()} == {sent_late, waits}
    assert services.monitoring.readiness.report().details["sla_24h"]["incident_alert_critical"] == {
        "promised": 2,
        "late": 2,
    }


def test_sla_of_a_scheduled_mail_counts_from_its_own_time(services: Services, clock: Clock) -> None:
    body = {
        "to": "a@example.com",
        "template_key": "incident_alert_critical",
        "variables": INCIDENT,
        "send_at": clock.now.replace(hour=20).isoformat(),
    }
    services.sending.acceptor.send(SendRequest.model_validate(body), ADMIN)
    clock.forward(hours=1)
    assert services.messages.message_search.late() == []
