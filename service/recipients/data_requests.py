"""Data requests of one person by address: export and erasure (GDPR, articles 15, 17 and 20).

Erasure anonymises messages before their time. Rows that stay name nobody, among them the suppression that prevents
further mail to the person.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog
import uuid_utils

from service.errors import InvalidRequest, Problem, StoreBusy
from service.mail import addresses
from service.models import ActionKind, AttachmentInfo, Body, Caller, Event, EventType, Message, Origin, Status
from service.store import (
    admin_actions,
    attachments,
    feedback,
    message_queries,
    rate_limits,
    retention,
    suppressions,
    transitions,
)
from service.store.database import Database, Transaction
from service.store.suppressions import Suppression

#: Messages of one transaction.
STEP_MESSAGES = 50
_MAX_SUPPRESSIONS = 1_000

_log = structlog.get_logger("person")


@dataclass(frozen=True, slots=True)
class MessageRecord:
    """A message to this person with its stored content; `body` is None once it is anonymised."""

    message: Message
    variables: Mapping[str, Any]
    body: Body | None
    events: Sequence[Event]
    origin: Origin
    attachments: Sequence[AttachmentInfo]


@dataclass(frozen=True, slots=True)
class RecipientData:
    """All data about one person: messages, oldest first, and suppressions, lifted ones too."""

    address: str
    messages: Sequence[MessageRecord]
    suppressions: Sequence[Suppression]


@dataclass(frozen=True, slots=True)
class ErasureResult:
    """Result of an erasure. `messages_leaving` were being sent: erase again in a minute.

    `files_waiting` are in a request to somebody else too, which is being accepted at this moment: where it is not
    stored, it deletes them, or the next purge does. `is_scrubbed`: deleted data can't be read from the disk any more.
    """

    messages_anonymised: int = 0
    messages_cancelled: int = 0
    messages_leaving: int = 0
    suppressions_anonymised: int = 0
    files_deleted: int = 0
    files_waiting: int = 0
    is_suppressed: bool = False
    is_scrubbed: bool = False


@dataclass(frozen=True, slots=True)
class DataRequests:
    """Exports and erases by address. `pseudonym_key` is the key of the address's hash by which rows are found."""

    database: Database
    pseudonym_key: bytes
    clock: Callable[[], datetime]

    def export(self, address: str) -> RecipientData:
        """Return all data about a person. Raises InvalidRequest for a bad address, ArchiveCorrupt."""
        recipient_hash = self._hash(address)
        return RecipientData(address, list(self._message_records(recipient_hash)), self._suppressions(recipient_hash))

    def preview_erasure(self, address: str) -> ErasureResult:
        """Return what an erasure would do now, without changes. Raises InvalidRequest."""
        recipient_hash = self._hash(address)
        found = list(self._messages(recipient_hash))
        in_clear = [message for message in found if message.anonymised_at is None]
        leaving = sum(message.status is Status.SENDING for message in in_clear)
        return ErasureResult(
            messages_anonymised=len(in_clear) - leaving,
            messages_cancelled=sum(message.status is Status.QUEUED for message in in_clear),
            messages_leaving=leaving,
            suppressions_anonymised=sum(_is_in_clear(item) for item in self._suppressions(recipient_hash)),
        )

    def erase(self, address: str, caller: Caller, *, suppresses: bool = True) -> ErasureResult:
        """Cancel the person's waiting messages, anonymise all their rows, and scrub the disk.

        With `suppresses` the keyed hash stays suppressed for all mail. To and Cc of messages to others are emptied
        where they show this person; other data in such messages is not found. Raises InvalidRequest, StoreBusy: what
        was done by then stays done.
        """
        recipient_hash = self._hash(address)
        now = self.clock()
        purge_id = str(uuid_utils.uuid7())
        self.database.write(lambda tx: self._begin(tx, purge_id, recipient_hash, caller, now, suppresses=suppresses))
        cancelled = anonymised = 0
        files: set[str] = set()
        ids = retention.ids_of(self.database, recipient_hash)
        for start in range(0, len(ids), STEP_MESSAGES):
            batch = ids[start : start + STEP_MESSAGES]
            files |= set(retention.files_of(self.database, batch))
            step = self.database.write(lambda tx, batch=batch: self._step(tx, purge_id, batch, now))  # type: ignore[misc]
            cancelled, anonymised = cancelled + step[0], anonymised + step[1]
        normalised = addresses.parse(address.strip().replace(" ", "+")).normalised
        emptied = self.database.write(lambda tx: self._forget_rest(tx, purge_id, recipient_hash, normalised))
        deleted, waiting = self._sweep(purge_id, sorted(files), now)
        leaving = sum(message.anonymised_at is None for message in self._messages(recipient_hash))
        done = ErasureResult(
            messages_anonymised=anonymised,
            messages_cancelled=cancelled,
            messages_leaving=leaving,
            suppressions_anonymised=emptied,
            files_deleted=deleted,
            files_waiting=waiting,
            is_suppressed=suppressions.active(self.database, recipient_hash, "all") is not None,
            is_scrubbed=self._scrub(),
        )
        _log.info("erased", by=caller.name, anonymised=anonymised, cancelled=cancelled, leaving=leaving, purge=purge_id)
        return done

    def _begin(
        self, tx: Transaction, purge_id: str, recipient_hash: str, caller: Caller, now: datetime, *, suppresses: bool
    ) -> None:
        retention.begin_purge(tx, purge_id, source="erasure", now=now)
        detail = None if suppresses else "suppress=false"
        admin_actions.note(
            tx, ActionKind.PERSON_ERASED, caller, now, subject=purge_id, recipient_hash=recipient_hash, detail=detail
        )
        if suppresses:
            suppression = Suppression(
                id=str(uuid_utils.uuid7()),
                address=None,
                recipient_hash=recipient_hash,
                scope="all",
                reason="erasure",
                source="erasure",
                since=now,
                created_by=caller.name,
            )
            suppressions.add(tx, suppression)

    def _step(self, tx: Transaction, purge_id: str, ids: Sequence[str], now: datetime) -> tuple[int, int]:
        """Cancel and anonymise some messages; returns how many of each."""
        cancelled = 0
        for message_id in ids:
            if transitions.transition(tx, message_id, Status.CANCELLED, Event(EventType.CANCELLED, now, "erasure")):
                rate_limits.release_quota(tx, message_id)
                cancelled += 1
        done = retention.anonymise(tx, ids, now=now, source="erasure")
        retention.count_purged(tx, purge_id, "anonymised", len(done))
        return cancelled, len(done)

    def _forget_rest(self, tx: Transaction, purge_id: str, recipient_hash: str, address: str) -> int:
        """Empty the person's suppressions, and their address where others' mail was redirected to it.

        Deletes their pending feedback. Returns how many suppressions.
        """
        pending = [one.id for one in feedback.pending_events(tx) if self._is_about(one.report, recipient_hash)]
        feedback.forget_pending(tx, pending)
        emptied = retention.empty_suppressions_of(tx, recipient_hash)
        redirected = retention.forget_redirections(tx, address)
        retention.count_purged(tx, purge_id, "anonymised", emptied + len(pending) + redirected)
        return emptied

    def _sweep(self, purge_id: str, digests: Sequence[str], now: datetime) -> tuple[int, int]:
        """Delete unused attachments; returns how many, and how many more a request under way holds."""
        deleted = held = 0
        for start in range(0, len(digests), attachments.STEP_BLOBS):
            batch = digests[start : start + attachments.STEP_BLOBS]

            def work(tx: Transaction, batch: Sequence[str] = batch) -> int:
                found = attachments.sweep_blobs(tx, batch, now=now)
                retention.count_purged(tx, purge_id, "deleted", found)
                return found

            deleted += self.database.write(work)
            held += attachments.held(self.database, batch, now=now)
        return deleted, held

    def _is_about(self, report: str, recipient_hash: str) -> bool:
        recipient = json.loads(report).get("recipient")
        found = addresses.lookup("recipient", recipient or "", [], key=self.pseudonym_key)
        return found == recipient_hash

    def _scrub(self) -> bool:
        now = self.clock()
        try:
            return retention.scrub(self.database, began_at=now, now=now)
        except StoreBusy as error:
            _log.warning("store_busy", task="scrub", reason=str(error))
            return False

    def _message_records(self, recipient_hash: str) -> Iterator[MessageRecord]:
        for message in self._messages(recipient_hash):
            yield MessageRecord(
                message=message,
                variables=message_queries.variables(self.database, message.id) or {},
                body=message_queries.body(self.database, message.id),
                events=message_queries.events(self.database, message.id),
                # Who wrote a template is no data of the recipient.
                origin=replace(message_queries.origin(self.database, message.send_id), author=None, first_line=None),
                attachments=attachments.infos(self.database, message.id),
            )

    def _messages(self, recipient_hash: str) -> Iterator[Message]:
        now = self.clock()
        for message_id in retention.ids_of(self.database, recipient_hash):
            if message := message_queries.get(self.database, message_id, now=now):
                yield message

    def _suppressions(self, recipient_hash: str) -> Sequence[Suppression]:
        return suppressions.list_page(
            self.database, limit=_MAX_SUPPRESSIONS, recipient_hash=recipient_hash, lifted=True
        ).items

    def _hash(self, address: str) -> str:
        problems: list[Problem] = []
        recipient_hash = addresses.lookup("address", address, problems, key=self.pseudonym_key)
        if recipient_hash is None:
            raise InvalidRequest("Nobody can be found by this.", problems)
        return recipient_hash


def _is_in_clear(item: Suppression) -> bool:
    return item.address is not None or item.detail is not None or item.lift_reason is not None
