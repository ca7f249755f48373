"""Template revisions: kept once, with each dictionary that packed for them, and read back or corrupt."""

from dataclasses import replace
from functools import partial

import pytest

from service.errors import ArchiveCorrupt
from service.store import body_codec, revisions
from service.store.database import Database, Transaction
from service.store.revisions import CurrentTemplate, Revision
from tests.support import rows


def test_revisions_are_kept_once_with_each_dictionary_that_packed_for_them(database: Database) -> None:
    first = replace(rows.REVISION, commit="c1", dirty=True)
    database.write(partial(revisions.save_revision, revision=first))
    other = replace(first, commit="c2", dictionary=b"as another process renders the example")
    database.write(partial(revisions.save_revision, revision=other))

    assert not revisions.is_kept(database, replace(first, dictionary=b"a third"))
    assert revisions.is_kept(database, other)
    assert revisions.revision(database, first.revision) == first
    assert revisions.revision(database, "unknown") is None
    assert database.read("SELECT COUNT(*) AS n FROM archive_dictionaries") == [{"n": 2}]


def test_latest_revision_of_a_version_is_the_one_first_used_last(database: Database) -> None:
    def revision(digit: str, version: int, seconds: float) -> Revision:
        return replace(
            rows.REVISION, revision=digit * 64, version=version, created_at=rows.after(seconds), dictionary=None
        )

    one, two, three = revision("1", 1, 0), revision("2", 1, 10), revision("3", 2, 5)
    for kept in (two, three, one):
        database.write(partial(revisions.save_revision, revision=kept))

    key = rows.REVISION.key
    assert revisions.latest_revision_of(database, key, 1) == two
    assert revisions.latest_revision_of(database, key, 2) == three
    assert revisions.latest_revision_of(database, key, 3) is None
    assert [kept.revision[0] for kept in revisions.versions(database, key)] == ["2", "3", "1"]
    assert revisions.versions(database, "unknown") == []


def test_revision_is_corrupt_when_its_archive_was_changed(database: Database) -> None:
    database.write(partial(revisions.save_revision, revision=rows.REVISION))
    for junk in (b"junk", body_codec.compress(b"forged")):
        database.write(
            partial(
                Transaction.execute, sql="UPDATE email_template_revisions SET archive = :junk", params={"junk": junk}
            )
        )
        with pytest.raises(ArchiveCorrupt):
            revisions.revision(database, rows.REVISION.revision)


def test_current_row_of_a_key_follows_its_revision(database: Database) -> None:
    current = CurrentTemplate("Facture {{ month }}", "<p>", "text", "billing", ("month",), True, True, "Ada")
    database.write(partial(revisions.save_revision, revision=replace(rows.REVISION, current=current)))
    later = replace(
        rows.REVISION,
        revision="b" * 64,
        version=2,
        created_at=rows.after(60),
        current=replace(current, is_active=False, author="Grace"),
    )
    database.write(partial(revisions.save_revision, revision=later))

    (row,) = database.read("SELECT * FROM email_templates")
    assert (row["key"], row["revision"], row["version"], row["is_active"]) == (later.key, "b" * 64, 2, False)
    assert (row["created_by"], row["updated_by"]) == ("Ada", "Grace")
    assert (row["created_at"], row["updated_at"]) == (rows.NOW, rows.after(60))
    assert (row["required_variables"], row["attachments_allowed"]) == ('["month"]', True)

    reverted = replace(rows.REVISION, created_at=rows.after(90), current=current)
    assert revisions.is_kept(database, later)
    assert not revisions.is_kept(database, reverted)
    database.write(partial(revisions.save_revision, revision=reverted))
    assert revisions.is_kept(database, reverted)
    (row,) = database.read("SELECT revision, is_active FROM email_templates")
    assert (row["revision"], row["is_active"]) == (rows.REVISION.revision, True)
