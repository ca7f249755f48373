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
from service.store.leases import ENVIRONMENT
from service.store.suppressions import Suppression


def store(
    tx: Transaction, batch: Sequence[tuple[PreparedSend, Sequence[PackedBody]]], settings: Settings
) -> dict[str, list[NewMessage]]:
    """Store sends; returns the messages of each, as decided, by send id; sends with a taken key are left out."""
    taken = messages.add_sends(tx, [prepared.send for prepared, _ in batch])
    fresh = [(prepared, bodies) for prepared, bodies in batch if prepared.send.id not in taken]
    for one in {prepared.revision.revision: prepared for prepared, _ in fresh}.values():
        revisions.save_revision(tx, one.revision, sent_at=one.send.created_at)
    all_messages = [message for prepared, _ in fresh for message in prepared.messages]
    suppressed = {
        stream: suppressions.find(
            tx, {message.recipient_hash for message in all_messages if message.stream is stream}, stream
        )
        for stream in {message.stream for message in all_messages}
    }
    # Quota is acquired in the order of the hashes, so that two transactions never deadlock.
    in_order = sorted(all_messages, key=lambda message: message.recipient_hash)
    decided = {message.id: _decide(tx, message, suppressed[message.stream], settings) for message in in_order}
    written = [
        (
            prepared.send,
            [
                (decided[message.id], body)
                for rendered, body in zip(prepared.rendered, bodies, strict=True)
                for message in rendered.messages
            ],
        )
        for prepared, bodies in fresh
    ]
    messages.add_messages(tx, written)
    return {send.id: [message for message, _ in pairs] for send, pairs in written}


def _decide(
    tx: Transaction, message: NewMessage, suppressed: Mapping[str, Suppression], settings: Settings
) -> NewMessage:
    rule = settings.recipient_rule
    if not rule.is_everyone:
        to = rule.destination(message.recipient, None)
        if to is None:
            reason = rule.refusal(settings.email_environment)
            return replace(message, status=Status.SUPPRESSED, status_reason=reason, suppressed_reason=ENVIRONMENT)
        if to != message.recipient:
            message = replace(message, redirected_to=to)
    if found := suppressed.get(message.recipient_hash):
        reason = f"Suppressed since {found.since:%Y-%m-%d}: {found.reason}."
        return replace(message, status=Status.SUPPRESSED, status_reason=reason, suppressed_reason=found.reason)
    rate = _rate(message, settings)
    if rate.count is None:
        return message
    start = period_start(message.next_attempt_at, rate, settings)
    if rate_limits.acquire_quota(tx, message.recipient_hash, start, rate.count, message.id, stream=message.stream):
        return message
    return replace(message, status=Status.RATE_LIMITED, status_reason=f"Over the limit of {rate}.")


def _rate(message: NewMessage, settings: Settings) -> Rate:
    if message.is_test:
        return Rate(count=None)
    marketing = message.stream is Stream.MARKETING
    return settings.email_rate_limit_marketing if marketing else settings.email_rate_limit_transactional


def period_start(at: datetime, rate: Rate, settings: Settings) -> datetime:
    """The start, in UTC, of the rate-limit period of `at`: an hour, calendar day or ISO week in EMAIL_TIMEZONE."""
    local = at.astimezone(settings.timezone)
    if rate.period == "hour":
        return local.replace(minute=0, second=0, microsecond=0).astimezone(UTC)
    day = local.date() - timedelta(days=local.weekday() if rate.period == "week" else 0)
    return datetime.combine(day, time(), settings.timezone).astimezone(UTC)
