"""Message search by words, on both databases: indexed and not yet indexed messages."""

from datetime import timedelta
from typing import Any

import pytest

from service.models import Status
from service.store import retention, search_index
from service.store.database import Database, Transaction
from service.store.message_queries import MessageQuery
from service.store.migrations import migrate
from service.store.search_index import Term
from tests.support import rows

LATER = rows.NOW + timedelta(days=1)


def index(database: Database, *, limit: int = 100) -> int:
    return database.write(lambda tx: search_index.index_step(tx, before=LATER, limit=limit))


def found(database: Database, text: str, **wanted: Any) -> list[str]:
    query = MessageQuery(**wanted)
    page = search_index.search(database, search_index.terms_of(text), query, limit=100, now=rows.NOW)
    assert page.total == len(page.items)
    return [message.id for message in page.items]


@pytest.fixture
def three(database: Database) -> list[str]:
    """An invoice, a welcome and a credit, oldest first."""
    return [
        rows.store_one(
            database,
            created_at=rows.after(n),
            recipient=f"{name}@techconnect.bj",
            subject=subject,
            variables=variables,
        )
        for n, (name, subject, variables) in enumerate(
            [
                ("john", "Facture RGZ — Février 2026", {"invoice": "INV-2026-001", "rows": [{"amount": 450000}]}),
                ("zoé", "Bienvenue !", {"name": "Éléonore", "yes": True}),
                ("john", "Avoir sur facture", {"credit": {"number": "AV-77"}}),
            ]
        )
    ]  # fmt: skip


def check_all(database: Database, three: list[str]) -> None:
    invoice, welcome, credit = three
    assert found(database, "facture") == [credit, invoice]
    assert found(database, "FÉVRIER") == found(database, "fevrier") == [invoice]
    assert found(database, "inv-2026-001") == [invoice]
    assert found(database, "450000") == [invoice]
    assert found(database, "eleonore") == [welcome]
    assert found(database, "john@techconnect.bj") == [credit, invoice]
    assert found(database, "techconnect facture john") == [credit, invoice]
    assert found(database, "facture zoe") == []
    assert found(database, "fact* tech*") == [credit, invoice]
    assert found(database, "bien*") == [welcome]
    assert found(database, "nothing*") == []
    assert found(database, "fact") == []
    assert found(database, "facture", status=Status.SUPPRESSED) == []
    assert found(database, "facture", until=rows.after(1)) == [invoice]


def test_messages_are_found_before_and_after_they_are_indexed(database: Database, three: list[str]) -> None:
    check_all(database, three)
    assert index(database, limit=2) == 2
    check_all(database, three)
    assert index(database) == 1
    check_all(database, three)
    assert index(database) == 0


def test_search_pages_over_the_end_of_the_index(database: Database) -> None:
    ids = [rows.store_one(database, created_at=rows.after(n // 3), subject="same word") for n in range(12)]
    index(database, limit=7)
    seen: list[str] = []
    cursor, pages = None, 0
    while pages == 0 or cursor:
        page = search_index.search(
            database, [Term("same", False), Term("wo", True)], MessageQuery(), limit=5, cursor=cursor, now=rows.NOW
        )
        assert page.total == 12
        seen += [message.id for message in page.items]
        cursor, pages = page.next, pages + 1
    assert seen == sorted(ids, reverse=True)
    assert pages == 3


def test_search_of_nothing_has_no_terms() -> None:
    assert search_index.terms_of(" - ? a *") == []
    assert search_index.terms_of("Tech* TECH*") == [Term("tech", True)]
    assert search_index.terms_of("x" * 99) == [Term("x" * 40, False)]


def test_search_index_keeps_no_word_of_anonymised_or_deleted_messages(database: Database, three: list[str]) -> None:
    index(database, limit=2)
    database.write(lambda tx: tx.execute("UPDATE email_messages SET status = 'failed'"))
    database.write(lambda tx: retention.anonymise(tx, three[1:], now=LATER, source="test"))
    index(database)
    assert found(database, "john") == found(database, "facture") == [three[0]]
    assert {row["word"] for row in database.read("SELECT word FROM search_words")}.isdisjoint({"zoe", "eleonore", "77"})
    database.write(lambda tx: retention.delete_older(tx, before=LATER, since=rows.after(-1), limit=10))
    assert database.read("SELECT * FROM search_words") == []
    assert database.read("SELECT * FROM search_entries") == []


@pytest.mark.parametrize(
    ("written", "typed"),
    [
        ("cœur", "coeur"),
        ("Œuvre", "oeuvre"),
        ("Lætitia", "laetitia"),
        ("Ørsted", "orsted"),
        ("Łódź", "lodz"),
        ("Đorđe", "dorde"),
        ("straße", "strasse"),
        ("été", "ete"),
    ],
)
def test_search_finds_letters_both_ways_before_and_after_they_are_indexed(
    database: Database, written: str, typed: str
) -> None:
    ids = [rows.store_one(database, created_at=rows.after(n), subject=one) for n, one in enumerate((written, typed))]
    for _ in range(2):
        assert found(database, written) == found(database, typed) == ids[::-1]
        index(database)


def test_migration_adds_the_plain_form_of_words_that_are_indexed(database: Database) -> None:
    message_id = rows.store_one(database, created_at=rows.after(0), subject="none")
    index(database)

    def as_before(tx: Transaction) -> None:
        tx.execute("INSERT INTO search_words (word, n) SELECT 'cœur', n FROM search_entries")
        tx.execute("DELETE FROM schema_migrations WHERE name = '0017_search_letters'")

    database.write(as_before)
    assert found(database, "cœur") == []
    assert migrate(database) == ["0017_search_letters"]
    assert found(database, "cœur") == found(database, "coeur") == [message_id]
