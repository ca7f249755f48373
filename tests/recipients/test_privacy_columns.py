"""Anonymising does to each column what its comment says, on both databases."""

from typing import Any

from service.bootstrap import Services
from service.store.database import Database
from service.store.database.contract import Row
from tests.support.canaries import Canaries, let_pass, plant
from tests.support.column_comments import said
from tests.support.scripted import Clock

#: Tables that name no recipient, and so are not touched at all.
UNTOUCHED = {"email_template_revisions", "email_templates", "archive_dictionaries", "api_keys"}


def tables(database: Database) -> dict[str, list[Row]]:
    """Every row of every table of ours."""
    names = {table for table, _ in said()} - {"email_templates_anew"}
    return {table: database.read(f"SELECT * FROM {table}") for table in sorted(names)}


def key_of(table: str, row: Row) -> tuple[Any, ...]:
    names = {
        "email_events": ("message_id", "seq"),
        "email_bodies": ("message_id",),
        "marketing_claims": ("recipient_hash", "stream", "period", "slot"),
        "attachment_blobs": ("sha256",),
        "archive_dictionaries": ("sha256",),
        "email_template_revisions": ("revision",),
        "search_entries": ("n",),
        "search_words": ("word", "n"),
        "attachment_holds": ("send_id", "sha256"),
        "secret_versions": ("fingerprint",),
        "sns_certificates": ("url",),
    }
    return tuple(row[name] for name in names.get(table, ("id",)))


def test_anonymising_does_to_each_column_what_its_comment_says(services: Services, clock: Clock) -> None:
    canaries = Canaries()
    plant(services, clock, canaries, mails=12)
    let_pass(services, clock, canaries)
    words = said()
    before = tables(services.database)
    for table in words_with("row deleted") | words_with("emptied"):
        assert before[table], f"the test planted nothing in {table}"
    services.recipients.retention_purge.purge()
    after = {table: {key_of(table, row): row for row in rows} for table, rows in tables(services.database).items()}

    wrong, held_something = set(), set()
    for table, rows in before.items():
        for row in rows:
            now = after[table].get(key_of(table, row))
            for column, value in row.items():
                word = words[table, column]
                if value not in (None, "", "{}"):
                    held_something.add((table, column))
                if not _is_done(word, column, value, row, now):
                    wrong.add((table, column, word))
    assert wrong == set()
    # A column that was empty all the time has proved nothing.
    unproved = {place for place, word in words.items() if word in ("emptied", "pseudonym")} - held_something
    assert unproved == set()
    assert {table for table in UNTOUCHED for row in before[table] if row not in after[table].values()} == set()


def words_with(word: str) -> set[str]:
    return {table for (table, _), one in said().items() if one == word}


def _is_done(word: str, column: str, value: Any, row: Row, now: Row | None) -> bool:
    if word == "row deleted":
        return now is None
    if now is None:
        return False
    match word:
        case "kept":
            return bool(now[column] == value) or column == "anonymised_at"
        case "emptied":
            return now[column] in (None, "", "{}")
        case "pseudonym":
            return bool(now[column] == row["recipient_hash"])
    return False


def test_anonymising_leaves_no_canary_in_any_row(services: Services, clock: Clock) -> None:
    canaries = Canaries()
    plant(services, clock, canaries, mails=8)
    let_pass(services, clock, canaries)
    services.recipients.retention_purge.purge()
    rows = str(tables(services.database))
    assert [word for word in canaries.words if word in rows] == []
