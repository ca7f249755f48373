"""Attachments: each content stored once, read back or corrupt, deleted when no message refers to it."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from service.errors import ArchiveCorrupt
from service.store import attachments
from service.store.database import ConstraintBroken, Database, Transaction
from tests.support import rows


def test_attachment_is_corrupt_when_its_bytes_were_changed(database: Database) -> None:
    message_id = rows.store_one(database, attachments=(rows.attachment(),))
    database.write(lambda tx: tx.execute("UPDATE attachment_blobs SET data = :data", {"data": b"forged"}))
    with pytest.raises(ArchiveCorrupt):
        attachments.get(database, message_id, 0)


def test_blobs_are_kept_once_and_deleted_when_unused(database: Database) -> None:
    used, orphan = rows.attachment(b"used"), rows.attachment(b"orphan")
    rows.store_one(database, attachments=(used, replace(used, filename="again.pdf")))
    rows.store_one(database, attachments=(used,))
    attachments.save_blobs(database, [orphan, orphan], now=rows.NOW)
    attachments.save_blobs(database, [], now=rows.NOW)

    def sweep(tx: Transaction, minutes: int) -> int:
        now = rows.NOW + timedelta(minutes=minutes)
        return attachments.sweep_blobs(tx, attachments.orphans(tx, now=now), now=now)

    assert database.read("SELECT COUNT(*) AS n FROM attachment_blobs") == [{"n": 2}]
    assert database.write(partial(sweep, minutes=60)) == 0
    attachments.save_blobs(database, [orphan], now=rows.NOW + timedelta(minutes=30))  # wanted again
    assert database.write(partial(sweep, minutes=61)) == 0
    assert database.write(partial(sweep, minutes=91)) == 1
    assert database.read("SELECT sha256 FROM attachment_blobs") == [{"sha256": used.sha256}]


def test_store_refuses_a_message_whose_blob_is_missing(database: Database) -> None:
    send = rows.new_send()
    new = rows.new_message(send, attachments=(rows.attachment(),))
    packed = rows.pack(new.html, new.text, dictionary=None)
    with pytest.raises(ConstraintBroken):
        database.write(lambda tx: rows.add(tx, send, [(new, packed)]))
    assert database.read("SELECT id FROM email_messages") == []
