"""Insert prepared sends in one transaction, which also decides suppressions and rate limits."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

from service.config.settings import Rate, Settings
from service.models import NewMessage, Status, Stream
from service.sending.prepared_send import PreparedSend
from service.store import messages, rate_limits, revisions, suppressions
from service.store.body_codec import PackedBody
from service.store.database import Transaction
from service.store.suppressions import Suppression


def store(
    tx: Transaction, batch: Sequence[tuple[PreparedSend, Sequence[PackedBody]]], settings: Settings
) -> dict[str, list[NewMessage]]:
    """Store sends; returns the messages of each, as decided, by send id; sends with a taken key are left out."""
    taken = messages.add_sends(tx, [prepared.send for prepared, _ in batch])
    fresh = [(prepared, bodies) for prepared, bodies in batch if prepared.send.id not in taken]
    for revision in {prepared.revision.revision: prepared.revision for prepared, _ in fresh}.values():
        revisions.save_revision(tx, revision)
    copies = [copy for prepared, _ in fresh for copy in prepared.messages]
    suppressed = {
        stream: suppressions.find(tx, {copy.recipient_hash for copy in copies if copy.stream is stream}, stream)
        for stream in {copy.stream for copy in copies}
    }
    # Quota is acquired in the order of the hashes, so that two transactions never deadlock.
    in_order = sorted(copies, key=lambda copy: copy.recipient_hash)
    decided = {copy.id: _decide(tx, copy, suppressed[copy.stream], settings) for copy in in_order}
    written = [
        (
            prepared.send,
            [
                (decided[copy.id], body)
                for rendered, body in zip(prepared.rendered, bodies, strict=True)
                for copy in rendered.messages
            ],
        )
        for prepared, bodies in fresh
    ]
    messages.add_messages(tx, written)
    return {send.id: [copy for copy, _ in pairs] for send, pairs in written}


def _decide(tx: Transaction, copy: NewMessage, suppressed: Mapping[str, Suppression], settings: Settings) -> NewMessage:
    if found := suppressed.get(copy.recipient_hash):
        reason = f"Suppressed since {found.since:%Y-%m-%d}: {found.reason}."
        return replace(copy, status=Status.SUPPRESSED, status_reason=reason)
    rate = _rate(copy, settings)
    if rate.count is None:
        return copy
    start = period_start(copy.next_attempt_at, rate, settings)
    if rate_limits.acquire_quota(tx, copy.recipient_hash, start, rate.count, copy.id, stream=copy.stream):
        return copy
    return replace(copy, status=Status.RATE_LIMITED, status_reason=f"Over the limit of {rate}.")


def _rate(copy: NewMessage, settings: Settings) -> Rate:
    if copy.is_test:
        return Rate(count=None)
    marketing = copy.stream is Stream.MARKETING
    return settings.email_rate_limit_marketing if marketing else settings.email_rate_limit_transactional


def period_start(at: datetime, rate: Rate, settings: Settings) -> datetime:
    """The start, in UTC, of the rate-limit period of `at`: an hour, calendar day or ISO week in EMAIL_TIMEZONE."""
    local = at.astimezone(settings.timezone)
    if rate.period == "hour":
        return local.replace(minute=0, second=0, microsecond=0).astimezone(UTC)
    day = local.date() - timedelta(days=local.weekday() if rate.period == "week" else 0)
    return datetime.combine(day, time(), settings.timezone).astimezone(UTC)
