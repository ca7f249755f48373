"""Suppressions: one for each recipient and scope until it is lifted, on both databases."""

from dataclasses import replace
from functools import partial
from typing import Literal

import pytest

from service.models import Stream
from service.store import suppressions
from service.store.database import Database
from service.store.suppressions import Suppression
from tests.support import rows


def _suppression(recipient_hash: str = "hash", scope: Literal["all", "marketing"] = "all") -> Suppression:
    n = rows.number()
    return Suppression(f"s{n:05}", "a@example.org", recipient_hash, scope, "bounce", "ses", rows.NOW, f"e{n}")


def test_suppressions_hold_for_their_scope_until_lifted(database: Database) -> None:
    everything, marketing = _suppression("h1"), _suppression("h2", "marketing")
    for suppression in (everything, marketing):
        assert database.write(partial(suppressions.add, suppression=suppression))
        assert not database.write(partial(suppressions.add, suppression=replace(suppression, id="again")))

    def found(stream: Stream) -> dict[str, Suppression]:
        return suppressions.find(database, ["h1", "h2", "h3"], stream)

    assert found(Stream.TRANSACTIONAL) == {"h1": everything}
    assert found(Stream.MARKETING) == {"h1": everything, "h2": marketing}
    assert suppressions.find(database, [], Stream.MARKETING) == {}

    def lift() -> bool:
        return database.write(lambda tx: suppressions.lift(tx, everything.id, by="admin", now=rows.after(5)))

    assert (lift(), lift()) == (True, False)
    assert found(Stream.TRANSACTIONAL) == {}
    again = replace(everything, id="once more")
    assert database.write(partial(suppressions.add, suppression=again))
    assert found(Stream.TRANSACTIONAL) == {"h1": again}


def test_find_names_the_wider_suppression_when_both_hold(database: Database) -> None:
    narrow, wide = _suppression("h", "marketing"), _suppression("h", "all")
    for suppression in (wide, narrow):
        database.write(partial(suppressions.add, suppression=suppression))
    assert suppressions.find(database, ["h"], Stream.MARKETING) == {"h": wide}


def test_list_page_walks_through_all_suppressions(database: Database) -> None:
    all_of_them = [replace(_suppression(f"h{n}"), since=rows.after(n // 3)) for n in range(8)]
    for suppression in all_of_them:
        database.write(partial(suppressions.add, suppression=suppression))
    database.write(lambda tx: suppressions.lift(tx, all_of_them[0].id, by="admin", now=rows.after(9)))

    seen_ids: list[str] = []
    cursor = None
    while True:
        page = suppressions.list_page(database, limit=3, cursor=cursor)
        assert page.total == 7
        seen_ids += [one.id for one in page.items]
        if (cursor := page.next) is None:
            break

    assert seen_ids == [one.id for one in reversed(all_of_them[1:])]
    lifted = suppressions.list_page(database, limit=50, recipient_hash="h0", lifted=True)
    assert [(one.id, one.lifted_by, one.lifted_at) for one in lifted.items] == [
        (all_of_them[0].id, "admin", rows.after(9))
    ]
    assert suppressions.list_page(database, limit=50, recipient_hash="h0").items == []
    with pytest.raises(ValueError, match="cursor"):
        suppressions.list_page(database, limit=1, cursor="odd")
