"""Statistics of each template's mail, on both databases, counted in the background."""

import threading
from datetime import datetime, timedelta
from functools import partial

from service.models import Status
from service.monitoring.template_refusals import TemplateRefusals
from service.monitoring.template_stats import TemplateStats
from service.store import template_stats
from service.store.database import Database, Transaction
from service.store.template_stats import RevisionFigures, TemplateFigures
from tests.support import rows


def quiet(database: Database) -> TemplateRefusals:
    """A counter of refusals that none are told."""
    return TemplateRefusals(database, lambda: rows.NOW)


def test_template_stats_count_by_template_what_was_sent_bounced_and_late(database: Database) -> None:
    until = rows.after(3_600)
    for key, status, sent_after_s in (
        ("a", Status.SENT, 10),
        ("a", Status.DELIVERED, 90),
        ("a", Status.BOUNCED, 20),
        ("a", Status.QUEUED, None),
        ("a", Status.SUPPRESSED, None),
        ("b", Status.FAILED, None),
    ):
        message_id = rows.store_one(database, template_key=key, sla_s=60)
        sent_at = rows.after(sent_after_s) if sent_after_s is not None else None
        change = {"id": message_id, "status": status.value, "sent_at": sent_at}
        database.write(
            partial(
                Transaction.execute,
                sql="UPDATE email_messages SET status = :status, sent_at = :sent_at WHERE id = :id",
                params=change,
            )
        )
    rows.store_one(database, template_key="a", is_test=True)
    rows.store_one(database, template_key="a", created_at=rows.NOW - timedelta(days=31))

    found = template_stats.since(database, since=rows.NOW - timedelta(days=30), now=until)
    revision = rows.REVISION.revision
    assert found == [
        RevisionFigures("a", revision, accepted=5, sent=3, bounced=1, promised=4, late=2),
        RevisionFigures("b", revision, accepted=1, promised=1, late=1),
    ]
    a, b = (TemplateFigures.of(one.template_key, [one]) for one in found)
    assert (a.bounce_share, a.kept_share) == (1 / 3, 0.5)
    assert (b.bounce_share, b.kept_share) == (None, 0.0)
    assert template_stats.since(database, since=rows.after(1), now=until) == []


def test_template_stats_are_kept_for_twenty_times_what_counting_took(database: Database) -> None:
    ticks = iter([0.0, 1.0, 1.0, 20.9, 21.1, 21.1, 22.0, 22.0, 22.1])
    times = iter([rows.NOW, rows.after(60)])
    figures = TemplateStats(database, quiet(database), lambda: next(times), stopwatch=lambda: next(ticks))
    rows.store_one(database, template_key="a")
    first = figures.get(patience_s=20)
    assert first is not None
    assert first.by_key["a"].accepted == 1
    rows.store_one(database, template_key="a")
    assert figures.get() is first
    figures.get()  # is good no longer: the next count begins
    figures.close()
    again = figures.get()
    assert again is not None
    assert again.by_key["a"].accepted == 2


def test_template_stats_give_up_on_a_slow_first_count_when_the_patience_ends(database: Database) -> None:
    going = threading.Event()

    def clock() -> datetime:
        going.wait(20)
        return rows.NOW

    figures = TemplateStats(database, quiet(database), clock)
    assert figures.get(patience_s=0.0) is None
    going.set()
    figures.close()
    assert figures.get(patience_s=20) is not None
