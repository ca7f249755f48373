"""What was sent can be read again, byte for byte, or not at all."""

import os
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from service.errors import ArchiveCorrupt
from service.models import Body
from service.store import body_codec, message_queries, messages, revisions
from service.store.database import ConstraintBroken, Database, Transaction
from service.store.revisions import CurrentTemplate, Revision
from tests.support import rows


@pytest.mark.parametrize("dictionary", [None, b"", b"x", rows.DICTIONARY])
@pytest.mark.parametrize(
    ("html", "text"),
    [("", ""), ("a", ""), ("", "b"), (rows.HTML, rows.TEXT), ("é\x00\r\n😀", "\u2028"), ("x" * 2_000_000, "")],
)
def test_pack_gives_back_the_exact_parts(html: str, text: str, dictionary: bytes | None) -> None:
    packed = revisions.pack(html, text, dictionary=dictionary)
    assert body_codec.unpack(packed, dictionary) == Body(html.encode(), text.encode())


def test_pack_is_small_with_the_example_as_dictionary() -> None:
    with_dictionary = revisions.pack(rows.HTML, rows.TEXT, dictionary=rows.DICTIONARY)
    assert len(with_dictionary.content) < 100 < len(rows.HTML)
    assert len(with_dictionary.content) < len(revisions.pack(rows.HTML, rows.TEXT, dictionary=None).content)


def test_pack_refuses_lone_surrogates() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        revisions.pack("\ud800", "", dictionary=None)


def test_unpack_never_gives_back_other_bytes() -> None:
    packed = revisions.pack(rows.HTML, rows.TEXT, dictionary=rows.DICTIONARY)
    content = packed.content
    broken = [
        replace(packed, content=content[:n] + bytes([content[n] ^ 1]) + content[n + 1 :]) for n in range(len(content))
    ]
    broken += [replace(packed, content=content[:n]) for n in range(len(content))]
    broken += [replace(packed, content=os.urandom(50)), replace(packed, sha256="0" * 64), replace(packed, size_bytes=1)]
    for one in broken:
        # Some bits carry nothing; then the bytes are the same, and that is all that is asked.
        try:
            assert body_codec.unpack(one, rows.DICTIONARY) == Body(rows.HTML.encode(), rows.TEXT.encode())
        except ArchiveCorrupt:
            continue
    for dictionary in (None, b"another"):
        with pytest.raises(ArchiveCorrupt):
            body_codec.unpack(packed, dictionary)
    with pytest.raises(ArchiveCorrupt):
        body_codec.unpack(replace(broken[-3], size_bytes=packed.size_bytes), rows.DICTIONARY)


def test_body_is_corrupt_when_the_row_was_changed(database: Database) -> None:
    message_id = rows.store_one(database)
    packed = revisions.pack("<p>forged</p>", "", dictionary=None)
    database.write(lambda tx: tx.execute("UPDATE email_bodies SET content = :content", {"content": packed.content}))
    with pytest.raises(ArchiveCorrupt):
        message_queries.body(database, message_id)


def test_body_is_none_once_its_row_is_gone(database: Database) -> None:
    message_id = rows.store_one(database)
    database.write(lambda tx: tx.execute("DELETE FROM email_bodies"))
    assert message_queries.body(database, message_id) is None


def test_add_refuses_a_body_whose_dictionary_is_not_kept(database: Database) -> None:
    send = rows.new_send()
    new = rows.new_message(send)
    packed = revisions.pack(new.html, new.text, dictionary=b"nobody has this")
    with pytest.raises(ConstraintBroken):
        database.write(lambda tx: messages.add(tx, send, [(new, packed)]))


def test_attachment_is_corrupt_when_its_bytes_were_changed(database: Database) -> None:
    message_id = rows.store_one(database, attachments=(rows.attachment(),))
    database.write(lambda tx: tx.execute("UPDATE attachment_blobs SET data = :data", {"data": b"forged"}))
    with pytest.raises(ArchiveCorrupt):
        message_queries.attachment(database, message_id, 0)


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
            lambda tx, junk=junk: tx.execute("UPDATE email_template_revisions SET archive = :junk", {"junk": junk})
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


def test_blobs_are_kept_once_and_deleted_when_unused(database: Database) -> None:
    used, orphan = rows.attachment(b"used"), rows.attachment(b"orphan")
    rows.store_one(database, attachments=(used, replace(used, filename="again.pdf")))
    rows.store_one(database, attachments=(used,))
    revisions.save_blobs(database, [orphan, orphan], now=rows.NOW)
    revisions.save_blobs(database, [], now=rows.NOW)

    def sweep(tx: Transaction, minutes: int) -> int:
        now = rows.NOW + timedelta(minutes=minutes)
        return revisions.sweep_blobs(tx, revisions.orphans(tx, now=now), now=now)

    assert database.read("SELECT COUNT(*) AS n FROM attachment_blobs") == [{"n": 2}]
    assert database.write(partial(sweep, minutes=60)) == 0
    revisions.save_blobs(database, [orphan], now=rows.NOW + timedelta(minutes=30))  # wanted again
    assert database.write(partial(sweep, minutes=61)) == 0
    assert database.write(partial(sweep, minutes=91)) == 1
    assert database.read("SELECT sha256 FROM attachment_blobs") == [{"sha256": used.sha256}]


def test_store_refuses_a_message_whose_blob_is_missing(database: Database) -> None:
    send = rows.new_send()
    new = rows.new_message(send, attachments=(rows.attachment(),))
    packed = revisions.pack(new.html, new.text, dictionary=None)
    with pytest.raises(ConstraintBroken):
        database.write(lambda tx: messages.add(tx, send, [(new, packed)]))
    assert database.read("SELECT id FROM email_messages") == []
