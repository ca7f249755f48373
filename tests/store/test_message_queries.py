"""Message queries: filters, pages without gaps or repeats, counts."""

from datetime import timedelta
from typing import Any

import pytest

from service.models import Status
from service.store import message_queries, pages
from service.store.database import Database
from service.store.message_queries import MessageQuery
from tests.support import rows


def _ids(database: Database, *, limit: int = 100, **wanted: Any) -> list[str]:
    page = message_queries.search(database, MessageQuery(**wanted), limit=limit, now=rows.NOW)
    return [message.id for message in page.items]


def test_search_pages_without_gaps_or_repeats_while_new_mail_comes(database: Database) -> None:
    # Many share a moment, so that the id has to decide.
    ids = [rows.store_one(database, created_at=rows.after(n // 7)) for n in range(30)]
    seen: list[str] = []
    cursor, pages = None, 0
    while pages == 0 or cursor:
        page = message_queries.search(database, MessageQuery(), limit=4, cursor=cursor, now=rows.NOW)
        seen += [message.id for message in page.items]
        cursor, pages = page.next, pages + 1
        rows.store_one(database, created_at=rows.after(1_000 + pages))

    assert seen == sorted(ids, reverse=True)
    assert pages == 8


def test_search_ends_without_a_cursor_when_the_last_page_is_full(database: Database) -> None:
    for _ in range(4):
        rows.store_one(database)
    first = message_queries.search(database, MessageQuery(), limit=2, now=rows.NOW)
    second = message_queries.search(database, MessageQuery(), limit=2, cursor=first.next, now=rows.NOW)
    assert (len(second.items), second.next, second.total, second.total_capped) == (2, None, 4, False)


def test_search_narrows_by_everything_that_is_asked(database: Database) -> None:
    one = rows.store_one(database, recipient_hash="h1", source_endpoint="rma", template_key="a", created_at=rows.NOW)
    two = rows.store_one(database, recipient_hash="h1", created_at=rows.after(60), status=Status.SUPPRESSED)
    send = rows.new_send(caller_id="incidents", created_at=rows.after(90))
    (three,) = rows.store(database, rows.new_message(send), send=send)

    assert _ids(database) == [three, two, one]
    assert _ids(database, to_hash="h1") == [two, one]
    assert _ids(database, status=Status.SUPPRESSED) == [two]
    assert _ids(database, status=Status.QUEUED) == [three, one]
    assert _ids(database, template_key="a") == [one]
    assert _ids(database, source_endpoint="rma") == [one]
    assert _ids(database, since=rows.after(60)) == [three, two]
    assert _ids(database, caller_id="incidents") == [three]
    assert _ids(database, to_hash="h1", status=Status.QUEUED, since=rows.NOW) == [one]
    assert _ids(database, template_key="\x00' OR 1=1 --") == []


def test_search_counts_exactly_for_one_recipient_and_up_to_a_cap_otherwise(database: Database) -> None:
    for n in range(7):
        rows.store_one(database, recipient_hash="h", source_endpoint=f"endpoint{n % 2}")

    everything = message_queries.search(database, MessageQuery(), limit=1, now=rows.NOW, max_counted=5)
    one_person = message_queries.search(database, MessageQuery(to_hash="h"), limit=1, now=rows.NOW, max_counted=5)
    few = message_queries.search(
        database, MessageQuery(source_endpoint="endpoint1"), limit=1, now=rows.NOW, max_counted=5
    )

    assert (everything.total, everything.total_capped) == (5, True)
    assert (one_person.total, one_person.total_capped) == (7, False)
    assert (few.total, few.total_capped) == (3, False)


@pytest.mark.parametrize(
    "cursor", ["", "x", "é", "=", "bnVsbA", "W10", "WzEsMl0", "WyIyMDI2LTAyLTIxIiwgImEiXQ", "W" * 100_000, "\x00"]
)
def test_search_refuses_a_cursor_that_it_never_gave(database: Database, cursor: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        message_queries.search(database, MessageQuery(), limit=1, cursor=cursor, now=rows.NOW)


def test_cursors_keep_the_microsecond() -> None:
    at = rows.NOW + timedelta(microseconds=1)
    assert pages.parse_cursor(pages.make_cursor(at, "id é")) == (at, "id é")
