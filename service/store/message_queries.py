"""Queries about messages: one by its id, its bodies and events, and filtered lists with cursors."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.errors import ArchiveCorrupt
from service.models import (
    Body,
    Event,
    EventType,
    Message,
    Origin,
    Priority,
    Role,
    Status,
    Stream,
    WaitingFor,
)
from service.store.body_codec import BODY_COLUMNS, Unpackers, unpack_rows
from service.store.database import Reader, listed
from service.store.database.contract import Row
from service.store.pages import MAX_COUNTED, Page, make_cursor, parse_cursor
from service.store.revisions import after_all

MESSAGE_COLUMNS = """
    id, send_id, caller_id, template_key, template_version, template_revision, stream, priority_rank, recipient_email,
    recipient_hash, envelope_from, from_header, reply_to, subject, locale, status, send_at, created_at,
    next_attempt_at, expires_at, sent_at, delivered_at, attempts, attempts_max, lapsed_leases, message_id, date_at,
    source_endpoint, metadata, attachments_count, sla_s, sla_due_at, is_test, resend_of, bounce_type, bounce_subtype,
    error_message, transfer_encoding, wire_sha256, unsubscribe_url, role, visible_to, visible_cc, anonymised_at,
    is_template_named, redirected_to, suppressed_reason, template_ref
"""


_PRIORITIES = tuple(Priority)
#: The states of the partial index messages_trouble, in the words of its condition.
_TROUBLED = (
    Status.BOUNCED, Status.COMPLAINT, Status.FAILED, Status.SUPPRESSED, Status.RATE_LIMITED, Status.CANCELLED,
)  # fmt: skip
_IN_TROUBLE = f"status IN ({', '.join(repr(status.value) for status in _TROUBLED)})"
#: Passing states: few messages are in them at a time, and each has a partial index.
_PASSING = (Status.QUEUED, Status.SENDING)


@dataclass(frozen=True, slots=True)
class MessageQuery:
    """Filters of a list; None does not filter. `to_hash` is an address's pseudonym; `until` is exclusive.

    `revisions` are full digests of any of which a message may be; `deployment` and `commit` may be beginnings of names.
    With `suppressed_reason` only suppressed messages are found.
    """

    to_hash: str | None = None
    status: Status | None = None
    template_key: str | None = None
    source_endpoint: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    caller_id: str | None = None
    revisions: tuple[str, ...] | None = None
    deployment: str | None = None
    commit: str | None = None
    suppressed_reason: str | None = None

    @property
    def is_of_sends(self) -> bool:
        """Whether it filters by what only the table of sends knows."""
        return self.deployment is not None or self.commit is not None


def get(reader: Reader, message_id: str, *, now: datetime) -> Message | None:
    """One message, None where there is none; `now` decides what a queued one waits for."""
    rows = reader.read(f"SELECT {MESSAGE_COLUMNS} FROM email_messages WHERE id = :id", {"id": message_id})
    return message_of(rows[0], now=now) if rows else None


def origin(reader: Reader, send_id: str) -> Origin:
    """The deployment and commit that a send was rendered with; nothing is known of sends of earlier releases."""
    rows = reader.read(
        "SELECT sends.deployment_id, sends.git_commit, deployments.author, deployments.first_line,"
        " deployments.live_at FROM sends LEFT JOIN deployments ON deployments.id = sends.deployment_id"
        " WHERE sends.id = :id",
        {"id": send_id},
    )
    if not rows:
        return Origin(deployment_id=None, commit=None)
    return Origin(commit=rows[0].pop("git_commit"), **rows[0])


def body(reader: Reader, message_id: str) -> Body | None:
    """The HTML and text of a message; None: no such message, or anonymised. Raises ArchiveCorrupt."""
    rows = reader.read(f"SELECT {BODY_COLUMNS} FROM email_bodies WHERE message_id = :id", {"id": message_id})
    found = unpack_rows(reader, rows, Unpackers()).get(message_id)
    if isinstance(found, ArchiveCorrupt):
        raise found
    return found


def variables(reader: Reader, message_id: str) -> dict[str, Any] | None:
    """The template variables of a message; None: no such message; {}: anonymised."""
    rows = reader.read("SELECT variables FROM email_messages WHERE id = :id", {"id": message_id})
    return json.loads(rows[0]["variables"]) if rows else None


def events(reader: Reader, message_id: str) -> list[Event]:
    """The events of a message, in the order in which they were recorded."""
    rows = reader.read(
        "SELECT type, happened_at, source, detail, smtp_code, smtp_reply, provider_id FROM email_events"
        " WHERE message_id = :id ORDER BY seq",
        {"id": message_id},
    )
    return [Event(EventType(row.pop("type")), row.pop("happened_at"), **row) for row in rows]


def search(
    reader: Reader,
    query: MessageQuery,
    *,
    limit: int,
    cursor: str | None = None,
    now: datetime,
    max_counted: int = MAX_COUNTED,
) -> Page[Message]:
    """A page of messages. `total` is exact for one recipient, else capped. Raises ValueError for a bad cursor."""
    conditions, params = conditions_of(query)
    following = [*conditions, "(created_at, id) < (:cursor_at, :cursor_id)"] if cursor is not None else conditions
    after = dict(zip(("cursor_at", "cursor_id"), parse_cursor(cursor), strict=True)) if cursor is not None else {}
    cap = None if query.to_hash is not None else max_counted
    total = _count(reader, conditions, params, cap)
    table = "email_messages"
    if total <= max_counted:
        table = those_in(query, conditions)
    elif query.is_of_sends:
        # So many are found soonest by time; an expression keeps the planner from sorting all of them.
        following = [one.replace("send_id IN", "send_id || '' IN") for one in following]
    rows = reader.read(
        f"SELECT {MESSAGE_COLUMNS} FROM {table} {_where(following)} ORDER BY created_at DESC, id DESC LIMIT :limit",
        {**params, **after, "limit": limit + 1},
    )
    items = [message_of(row, now=now) for row in rows[:limit]]
    return Page(
        items=items,
        total=min(total, cap) if cap else total,
        total_capped=cap is not None and total > cap,
        next=make_cursor(items[-1].created_at, items[-1].id) if len(rows) > limit and items else None,
    )


def message_of(row: Row, *, now: datetime | None = None) -> Message:
    """The Message of a row with MESSAGE_COLUMNS. `waiting_for` needs `now`; without it, it is None."""
    status = Status(row["status"])
    return Message(
        id=row["id"],
        send_id=row["send_id"],
        caller_id=row["caller_id"],
        template_key=row["template_key"],
        template_version=row["template_version"],
        template_revision=row["template_revision"],
        stream=Stream(row["stream"]),
        priority=_PRIORITIES[row["priority_rank"]],
        recipient=row["recipient_email"],
        recipient_hash=row["recipient_hash"],
        envelope_from=row["envelope_from"],
        from_header=row["from_header"],
        reply_to=row["reply_to"],
        subject=row["subject"],
        locale=row["locale"],
        status=status,
        waiting_for=_waiting_for(row, now) if status is Status.QUEUED and now is not None else None,
        created_at=row["created_at"],
        next_attempt_at=row["next_attempt_at"],
        expires_at=row["expires_at"],
        sent_at=row["sent_at"],
        delivered_at=row["delivered_at"],
        attempts=row["attempts"],
        attempts_max=row["attempts_max"],
        rfc_message_id=row["message_id"],
        date_at=row["date_at"],
        source_endpoint=row["source_endpoint"],
        metadata=json.loads(row["metadata"]) if row["metadata"] != "{}" else {},
        attachments_count=row["attachments_count"],
        sla_s=row["sla_s"],
        sla_due_at=row["sla_due_at"],
        is_test=row["is_test"],
        resend_of=row["resend_of"],
        bounce_type=row["bounce_type"],
        bounce_subtype=row["bounce_subtype"],
        error_message=row["error_message"],
        transfer_encoding=row["transfer_encoding"],
        wire_sha256=row["wire_sha256"],
        unsubscribe_url=row["unsubscribe_url"],
        role=Role(row["role"]),
        visible_to=row["visible_to"],
        visible_cc=row["visible_cc"],
        redirected_to=row["redirected_to"],
        suppressed_reason=row["suppressed_reason"],
        anonymised_at=row["anonymised_at"],
        is_template_named=row["is_template_named"],
        template_ref=row["template_ref"],
    )


def _waiting_for(row: Row, now: datetime) -> WaitingFor:
    if row["next_attempt_at"] <= now:
        return WaitingFor.SLOT
    # A pause postpones a first attempt without counting it; a message that is only scheduled still has its first time.
    return WaitingFor.TIME if row["next_attempt_at"] == row["send_at"] else WaitingFor.RETRY


def those_in(query: MessageQuery, conditions: list[str]) -> str:
    """The table to select from: for a passing state, a deployment or a commit only its few messages (MAX_COUNTED).

    In the index by time they might be the last of a million.
    """
    if query.status not in _PASSING and not query.is_of_sends:
        return "email_messages"
    return f"(SELECT * FROM email_messages {_where(conditions)} LIMIT {MAX_COUNTED + 1}) AS passing"


def status_is(status: Status) -> list[str]:
    """Conditions for a status, spelled out: SQLite uses a partial index only where its condition is repeated."""
    one = f"status = '{status.value}'"
    return [one, _IN_TROUBLE] if status in _TROUBLED else [one]


def conditions_of(query: MessageQuery) -> tuple[list[str], dict[str, Any]]:
    """The WHERE conditions of a query on email_messages, to be joined by AND, and their parameters."""
    equal = {
        "recipient_hash": query.to_hash,
        "template_key": query.template_key,
        "source_endpoint": query.source_endpoint,
        "caller_id": query.caller_id,
        "suppressed_reason": query.suppressed_reason,
    }
    params: dict[str, Any] = {column: value for column, value in equal.items() if value is not None}
    # The index of a rare state is narrower than that of a template; an expression keeps the planner from the latter.
    is_rare = query.status in _TROUBLED or query.status in _PASSING or query.suppressed_reason is not None
    conditions = [
        f"{column} || '' = :{column}" if is_rare and column != "recipient_hash" else f"{column} = :{column}"
        for column in params
    ]
    if query.status is not None:
        conditions += status_is(query.status)
    elif query.suppressed_reason is not None:
        conditions += status_is(Status.SUPPRESSED)
    if query.since is not None:
        conditions.append("created_at >= :since")
        params["since"] = query.since
    if query.until is not None:
        conditions.append("created_at < :until")
        params["until"] = query.until
    if query.revisions is not None:
        names, values = listed("revision", query.revisions)
        conditions.append(f"template_revision IN ({names})" if query.revisions else "1 = 0")
        params |= values
    if query.deployment is not None:
        conditions.append(f"send_id IN (SELECT id FROM sends WHERE {_BEGINS.format('deployment_id', 'deployment')})")
        params |= {"deployment": query.deployment, "deployment_end": after_all(query.deployment)}
    if query.commit is not None:
        conditions.append(f"send_id IN ({_SENDS_OF_COMMIT})")
        params |= {"commit": query.commit, "commit_end": after_all(query.commit)}
    return conditions, params


#: A column whose value begins with a parameter, as a range that an index serves.
_BEGINS = "{0} >= :{1} AND {0} < :{1}_end"
_SENDS_OF_COMMIT = (
    "SELECT id FROM sends WHERE deployment_id IN"
    f" (SELECT id FROM deployments WHERE git_commit IS NOT NULL AND {_BEGINS.format('git_commit', 'commit')})"
    " UNION ALL SELECT id FROM sends WHERE deployment_id IS NULL AND git_commit IS NOT NULL"
    f" AND {_BEGINS.format('git_commit', 'commit')}"
)


def _count(reader: Reader, conditions: list[str], params: dict[str, Any], cap: int | None) -> int:
    """The number of rows, at most `cap` + 1."""
    if cap is None:
        rows = reader.read(f"SELECT COUNT(*) AS total FROM email_messages {_where(conditions)}", params)
    else:
        rows = reader.read(
            f"SELECT COUNT(*) AS total FROM (SELECT 1 FROM email_messages {_where(conditions)} LIMIT :most) AS counted",
            {**params, "most": cap + 1},
        )
    return int(rows[0]["total"])


def _where(conditions: list[str]) -> str:
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""
