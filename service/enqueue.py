"""Checked copies of a mail -> durable rows, with suppressions and limits decided in the same transaction.

Stands between the rooms and the verbs: accepting and resending end the same way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

from service.models import NewMessage, Send, Status, Stream
from service.settings import Rate, Settings
from service.store import archive, codec, limits, messages
from service.store.archive import Revision
from service.store.database import Database, Transaction
from service.store.limits import Suppression


def store(
    database: Database, settings: Settings, send: Send, copies: Sequence[NewMessage], revision: Revision
) -> list[NewMessage]:
    """Write a send and its copies, which share body and attachments; the copies as they were decided.

    A copy for a suppressed recipient, or over a limit, is stored with that status. All that costs time
    (compressing, attachments) happens before the write lock is taken.

    Raises IdempotencyTaken where the send's key is in use, StoreBusy where nothing was stored.
    """
    first = copies[0]
    body = codec.pack(first.html, first.text, dictionary=revision.dictionary)
    if first.attachments:
        archive.save_blobs(database, first.attachments, now=send.created_at)
    hashes = {copy.recipient_hash for copy in copies}

    def work(tx: Transaction) -> list[NewMessage]:
        suppressed = limits.find(tx, hashes, first.stream)
        if not archive.is_kept(tx, revision):
            archive.save_revision(tx, revision)
        # Slots are claimed in the order of the hashes, so that two sends never wait for each other.
        in_order = sorted(copies, key=lambda copy: copy.recipient_hash)
        decided = {copy.id: _decide(tx, copy, suppressed, settings) for copy in in_order}
        stored = [decided[copy.id] for copy in copies]
        messages.add(tx, send, [(copy, body) for copy in stored])
        return stored

    return database.write(work)


def _decide(tx: Transaction, copy: NewMessage, suppressed: Mapping[str, Suppression], settings: Settings) -> NewMessage:
    if found := suppressed.get(copy.recipient_hash):
        reason = f"Suppressed since {found.since:%Y-%m-%d}: {found.reason}."
        return replace(copy, status=Status.SUPPRESSED, status_reason=reason)
    rate = _rate(copy, settings)
    if rate.count is None:
        return copy
    start = period_start(copy.next_attempt_at, rate, settings)
    if limits.claim_slot(tx, copy.recipient_hash, start, rate.count, copy.id, stream=copy.stream):
        return copy
    return replace(copy, status=Status.RATE_LIMITED, status_reason=f"Over the limit of {rate}.")


def _rate(copy: NewMessage, settings: Settings) -> Rate:
    if copy.is_test:
        return Rate(count=None)
    marketing = copy.stream is Stream.MARKETING
    return settings.email_rate_limit_marketing if marketing else settings.email_rate_limit_transactional


def period_start(at: datetime, rate: Rate, settings: Settings) -> datetime:
    """When the period of a limit that holds `at` began: an hour, calendar day or ISO week in EMAIL_TIMEZONE; UTC."""
    local = at.astimezone(settings.timezone)
    if rate.period == "hour":
        return local.replace(minute=0, second=0, microsecond=0).astimezone(UTC)
    day = local.date() - timedelta(days=local.weekday() if rate.period == "week" else 0)
    return datetime.combine(day, time(), settings.timezone).astimezone(UTC)
