"""Attachments: each content stored once, read back or corrupt, deleted when no message refers to it."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import cast

import pytest

from service.errors import ArchiveCorrupt
from service.store import attachments
from service.store.database import ConstraintBroken, Database, Transaction
from tests.support import rows
from tests.support.running import eventually


def test_attachment_is_corrupt_when_its_bytes_were_changed(database: Database) -> None:
    message_id = rows.store_one(database, attachments=(rows.attachment(),))
    database.write(lambda tx: tx.execute("UPDATE attachment_blobs SET data = :data", {"data": b"forged"}))
    with pytest.raises(ArchiveCorrupt):
        attachments.get(database, message_id, 0)


def swept(database: Database, *, minutes: int = 0) -> int:
    now = rows.NOW + timedelta(minutes=minutes)
    orphans = attachments.orphans(database, now=now)
    return database.write(lambda tx: attachments.sweep_blobs(tx, orphans, now=now))


def digests(database: Database) -> list[str]:
    return [row["sha256"] for row in database.read("SELECT sha256 FROM attachment_blobs ORDER BY sha256")]


def test_blobs_are_kept_once_and_deleted_at_once_when_unused(database: Database) -> None:
    used = rows.attachment(b"used")
    rows.store_one(database, attachments=(used, replace(used, filename="again.pdf")))
    message_id = rows.store_one(database, attachments=(used,))
    assert digests(database) == [used.sha256]
    database.write(lambda tx: tx.execute("DELETE FROM email_attachments WHERE message_id <> :id", {"id": message_id}))
    assert swept(database) == 0
    database.write(lambda tx: tx.execute("DELETE FROM email_attachments"))
    assert swept(database) == 1
    assert database.read("SELECT * FROM attachment_holds") == []


def test_blobs_are_held_by_each_request_until_it_is_stored_or_discarded(database: Database) -> None:
    shared, other = rows.attachment(b"shared"), rows.attachment(b"other")
    attachments.save_blobs(database, [], send_id="none", now=rows.NOW)
    attachments.save_blobs(database, [shared, shared], send_id="one", now=rows.NOW)
    attachments.save_blobs(database, [shared, other], send_id="two", now=rows.NOW)
    both = sorted([shared.sha256, other.sha256])
    assert swept(database) == 0
    assert attachments.held(database, both, now=rows.NOW) == 2
    attachments.discard(database, "two", now=rows.NOW)
    assert digests(database) == [shared.sha256]
    attachments.discard(database, "one", now=rows.NOW)
    assert digests(database) == []
    assert attachments.held(database, both, now=rows.NOW) == 0


def test_blobs_of_a_request_that_died_are_deleted_after_an_hour(database: Database) -> None:
    attachments.save_blobs(database, [rows.attachment()], send_id="died", now=rows.NOW)
    assert swept(database, minutes=60) == 0
    assert swept(database, minutes=61) == 1
    forget = partial(attachments.forget_holds, limit=10)
    assert database.write(lambda tx: forget(tx, now=rows.NOW + timedelta(minutes=60))) == 0
    assert database.write(lambda tx: forget(tx, now=rows.NOW + timedelta(minutes=61))) == 1


class Pausing:
    """A database whose transactions end only when `go` is set."""

    def __init__(self, database: Database) -> None:
        self.done, self.go = threading.Event(), threading.Event()
        self._database = database

    def write(self, work: Callable[[Transaction], None]) -> None:
        def paused(tx: Transaction) -> None:
            work(tx)
            self.done.set()
            assert self.go.wait(20)

        self._database.write(paused)


def test_blob_is_kept_when_a_request_brings_it_while_it_is_swept(database: Database) -> None:
    file = rows.attachment(b"left by one, brought by another")
    attachments.save_blobs(database, [file], send_id="gone", now=rows.NOW)
    database.write(lambda tx: attachments.release(tx, ["gone"]))
    pausing = Pausing(database)
    with ThreadPoolExecutor(2) as pool:
        saving = pool.submit(attachments.save_blobs, cast(Database, pausing), [file], send_id="new", now=rows.NOW)
        assert pausing.done.wait(20)
        orphans = attachments.orphans(database, now=rows.NOW)
        assert orphans == [file.sha256]  # it can't see the other transaction yet
        sweeping = pool.submit(database.write, lambda tx: attachments.sweep_blobs(tx, orphans, now=rows.NOW))
        if database.dialect == "postgresql":
            eventually(lambda: database.read("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"), bool)
        pausing.go.set()
        saving.result()
        assert sweeping.result() == 0
    assert digests(database) == [file.sha256]


def test_store_refuses_a_message_whose_blob_is_missing(database: Database) -> None:
    send = rows.new_send()
    new = rows.new_message(send, attachments=(rows.attachment(),))
    packed = rows.pack(new.html, new.text, dictionary=None)
    with pytest.raises(ConstraintBroken):
        database.write(lambda tx: rows.add(tx, send, [(new, packed)]))
    assert database.read("SELECT id FROM email_messages") == []
