"""The overview and its alarms."""

import threading

from service.bootstrap import Services
from tests.support.scripted import Clock, ScriptedTransport
from tests.support.sends import accept_incident


def alarms(services: Services) -> dict[str, str]:
    return {alarm.kind: alarm.subject for alarm in services.monitoring.overview.snapshot().alarms}


def test_overview_has_no_alarm_while_all_goes_well(services: Services, clock: Clock) -> None:
    accept_incident(services)
    services.delivery.deliverer.drain(threading.Event())
    clock.forward(seconds=10)
    look = services.monitoring.overview.snapshot()
    assert look.alarms == []
    assert (look.accepted_today, look.accepted_per_minute, look.sent_per_minute) == (1, 0.2, 0.2)
    assert look.templates == len(services.catalogue.current.entries)


def test_overview_raises_alarms_for_a_paused_relay_and_what_waits_for_it(
    services: Services, clock: Clock, transport: ScriptedTransport
) -> None:
    accept_incident(services)
    transport.paused_s = 12.0
    clock.forward(seconds=59)
    assert alarms(services) == {"paused": "", "late": "incident_alert_critical"}
    clock.forward(seconds=2)
    assert alarms(services) == {"paused": "", "waits": "critical", "late": "incident_alert_critical"}
    assert [message.status for message in services.monitoring.overview.snapshot().late] == ["queued"]


def test_overview_raises_an_alarm_for_many_failures_and_none_for_a_few(services: Services) -> None:
    bounced, *_ = [accept_incident(services) for _ in range(20)]
    services.delivery.deliverer.drain(threading.Event())
    services.database.write(
        lambda tx: tx.execute("UPDATE email_messages SET status = 'bounced' WHERE id = :id", {"id": bounced})
    )
    assert alarms(services) == {"bad_share": ""}
    for _ in range(4):
        accept_incident(services)
    assert alarms(services) == {}
