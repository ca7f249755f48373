"""Feedback: messages that events are about, pending events, seen notifications, positions in bounce mailboxes."""

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import uuid_utils
from typing_extensions import override

from service.models import Event, Status, Stream
from service.store.database import Reader, Transaction, listed
from service.store.database.contract import Row, statement_size
from service.store.transitions import legible

#: The columns that a feedback event may set in a message whose status it does not change.
NOTABLE = frozenset({"delivered_at", "bounce_type", "bounce_subtype", "error_message"})

#: Notifications in one statement; each has three parameters.
_MAX_SEEN_AT_ONCE = 64
#: Pending events that one transaction takes.
_MAX_MATCHING = 200

_COLUMNS = (
    "id, provider_id, recipient_email, recipient_hash, stream, status, delivered_at, bounce_type, bounce_subtype,"
    " error_message, anonymised_at, redirected_to"
)


@dataclass(frozen=True, slots=True)
class ReportedMessage:
    """The parts of a message that feedback may change. `address` is None once it is anonymised.

    `redirected_to` is the address that it went to instead, "" once that is anonymised.
    """

    id: str
    address: str | None
    recipient_hash: str
    stream: Stream
    status: Status
    delivered_at: datetime | None
    bounce_type: str | None
    bounce_subtype: str | None
    error_message: str | None
    redirected_to: str | None = None


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """A feedback event whose message is not known yet; `report` is its JSON."""

    id: str
    provider_id: str
    report: str


def find(
    tx: Transaction, *, message_id: str | None = None, provider_id: str | None = None, rfc_message_id: str | None = None
) -> list[ReportedMessage]:
    """The messages with this id, or else with this provider id, or else with this Message-ID.

    Their rows are locked until the transaction ends, so that events about one message take turns.
    """
    for column, value in (("id", message_id), ("provider_id", provider_id), ("message_id", rfc_message_id)):
        if value is None:
            continue
        rows = tx.execute(
            f"SELECT {_COLUMNS} FROM email_messages WHERE {column} = :value ORDER BY id{_held(tx)}",
            {"value": _findable(value)},
        )
        if rows:
            return [_reported(row) for row in rows]
    return []


def find_named(tx: Transaction, provider_ids: Collection[str]) -> dict[str, list[ReportedMessage]]:
    """The messages with these provider ids, by provider id, locked as by `find`; unknown ids are left out."""
    found: dict[str, list[ReportedMessage]] = {}
    if provider_ids:
        names, params = listed("name", sorted({_findable(name) for name in provider_ids}))
        for row in tx.execute(
            f"SELECT {_COLUMNS} FROM email_messages WHERE provider_id IN ({names}) ORDER BY id{_held(tx)}", params
        ):
            found.setdefault(row["provider_id"], []).append(_reported(row))
    return found


def note(tx: Transaction, message_id: str, facts: Mapping[str, Any]) -> None:
    """Set columns of a message whose status stays. Raises ValueError for a column not in NOTABLE."""
    if unknown := facts.keys() - NOTABLE:
        raise ValueError(f"a report does not change {', '.join(sorted(unknown))}")
    if facts:
        columns = ", ".join(f"{name} = :{name}" for name in facts)
        tx.execute(f"UPDATE email_messages SET {columns} WHERE id = :id", {**legible(facts), "id": message_id})


def known_events(tx: Transaction, message_ids: Collection[str]) -> Container[tuple[str, Event]]:
    """The feedback events in the timelines of these messages; `in` compares type, time, source and detail."""
    if not message_ids:
        return _Told([])
    names, params = listed("id", sorted(message_ids))
    return _Told(
        tx.execute(
            "SELECT message_id, type, happened_at, source, detail FROM email_events"
            f" WHERE message_id IN ({names}) AND type IN ('delivered', 'bounced', 'complaint', 'delayed', 'failed')",
            params,
        )
    )


class _Told(Container[tuple[str, Event]]):
    def __init__(self, rows: Sequence[Row]) -> None:
        self._events = {
            (row["message_id"], row["type"], row["happened_at"], row["source"], row["detail"]) for row in rows
        }

    @override
    def __contains__(self, asked: object) -> bool:
        if not self._events or not isinstance(asked, tuple):
            return False
        message_id, event = asked
        detail = legible({"detail": event.detail})["detail"]
        return (message_id, event.type, event.at, event.source, detail) in self._events


def temporary_bounces(tx: Transaction, recipient_hash: str, *, since: datetime, until: datetime) -> list[datetime]:
    """The times of temporary bounces of a recipient between `since` and `until`, one per message, in order.

    Without those that say nothing of the recipient: our sender, our path, a rate (Undetermined), or the content.
    """
    rows = tx.execute(
        "SELECT MIN(event.happened_at) AS bounced_at FROM email_messages AS message"
        " JOIN email_events AS event ON event.message_id = message.id AND event.type = 'bounced'"
        " WHERE message.recipient_hash = :hash AND message.bounce_type = 'temporary' AND message.redirected_to IS NULL"
        " AND COALESCE(message.bounce_subtype, '') NOT IN"
        " ('Undetermined', 'ContentRejected', 'AttachmentRejected', 'MessageTooLarge')"
        " AND event.happened_at BETWEEN :since AND :until GROUP BY message.id ORDER BY 1",
        {"hash": recipient_hash, "since": since, "until": until},
    )
    return [row["bounced_at"] for row in rows]


def store_pending(tx: Transaction, provider_id: str, report: str, *, now: datetime) -> None:
    """Store an event about a message whose provider id is not known yet."""
    tx.execute(
        "INSERT INTO feedback_early (id, provider_id, report, received_at) VALUES (:id, :provider_id, :report, :now)",
        {"id": str(uuid_utils.uuid7()), "provider_id": _findable(provider_id), "report": report, "now": now},
    )


def take_pending(tx: Transaction, provider_ids: Collection[str]) -> list[PendingEvent]:
    """Delete and return the pending events with these provider ids, oldest first."""
    if not provider_ids or not tx.execute("SELECT id FROM feedback_early LIMIT 1"):
        return []
    names, params = listed("name", sorted({_findable(name) for name in provider_ids}))
    return _taken(tx.execute(f"DELETE FROM feedback_early WHERE provider_id IN ({names}) RETURNING *", params))


def take_matching(tx: Transaction, *, since: datetime | None) -> list[PendingEvent]:
    """Delete and return the next pending events, of all or since `since`, whose message is known by now."""
    recent = " WHERE early.received_at >= :since" if since is not None else ""
    return _taken(
        tx.execute(
            "DELETE FROM feedback_early WHERE id IN (SELECT early.id FROM feedback_early AS early"
            " JOIN email_messages AS message ON message.provider_id = early.provider_id"
            f"{recent} ORDER BY early.id LIMIT {_MAX_MATCHING}) RETURNING *",
            {"since": since},
        )
    )


def pending_events(reader: Reader) -> list[PendingEvent]:
    """All pending events, of the last day at most."""
    return _taken(reader.read("SELECT id, provider_id, report FROM feedback_early"))


def forget_pending(tx: Transaction, ids: Collection[str]) -> int:
    """Delete these pending events; returns how many."""
    names, params = listed("id", sorted(ids))
    return len(tx.execute(f"DELETE FROM feedback_early WHERE id IN ({names}) RETURNING id", params))


def drop_pending(tx: Transaction, *, now: datetime, kept_for: timedelta) -> int:
    """Delete pending events older than `kept_for`; returns how many."""
    before = now - kept_for
    return len(tx.execute("DELETE FROM feedback_early WHERE received_at < :before RETURNING id", {"before": before}))


def mark_seen(tx: Transaction, names: Sequence[tuple[str, str]], *, now: datetime) -> list[int]:
    """Note notifications, (id, source) each, in the same transaction as their effects, so that each has them once.

    Returns the indexes in `names` of those that are new; of equal ones the first index.
    """
    places: dict[str, int] = {}
    for n, (notification_id, source) in enumerate(names):
        places.setdefault(_seen_name(notification_id, source), n)
    fresh: list[int] = []
    # In order, so that two transactions never deadlock.
    in_order = sorted(places)
    for begin in range(0, len(in_order), _MAX_SEEN_AT_ONCE):
        some = in_order[begin : begin + _MAX_SEEN_AT_ONCE]
        some += some[-1:] * (statement_size(len(some)) - len(some))  # few different statements
        params: dict[str, object] = {"now": now}
        for n, name in enumerate(some):
            params |= {f"id_{n}": name, f"source_{n}": names[places[name]][1]}
        rows = tx.execute(
            "INSERT INTO feedback_seen (id, source, seen_at) VALUES "
            + ", ".join(f"(:id_{n}, :source_{n}, :now)" for n in range(len(some)))
            + " ON CONFLICT (id) DO NOTHING RETURNING id",
            params,
        )
        fresh += [places[row["id"]] for row in rows]
    return sorted(fresh)


def is_seen(reader: Reader, notification_id: str, source: str) -> bool:
    """Whether `mark_seen` has noted this notification."""
    return bool(reader.read("SELECT id FROM feedback_seen WHERE id = :id", {"id": _seen_name(notification_id, source)}))


def last_uid(reader: Reader, inbox: str, uid_validity: int) -> int:
    """The UID of the last mail of a bounce mailbox that was read; 0 for none, or where UIDVALIDITY has changed."""
    rows = reader.read(
        "SELECT last_uid FROM inbox_positions WHERE inbox = :inbox AND uid_validity = :uid_validity",
        {"inbox": inbox, "uid_validity": uid_validity},
    )
    return int(rows[0]["last_uid"]) if rows else 0


def set_last_uid(tx: Transaction, inbox: str, uid_validity: int, uid: int, *, now: datetime) -> None:
    """Note that all mails up to this UID were read; never moves back, also when two processes read one mailbox."""
    tx.execute(
        "INSERT INTO inbox_positions (inbox, uid_validity, last_uid, moved_at)"
        " VALUES (:inbox, :uid_validity, :uid, :now)"
        " ON CONFLICT (inbox) DO UPDATE SET uid_validity = excluded.uid_validity, last_uid = excluded.last_uid,"
        " moved_at = excluded.moved_at"
        " WHERE inbox_positions.uid_validity <> excluded.uid_validity OR inbox_positions.last_uid < excluded.last_uid",
        {"inbox": inbox, "uid_validity": uid_validity, "uid": uid, "now": now},
    )


def note_try(tx: Transaction, inbox: str, uid_validity: int, uid: int, *, now: datetime) -> int:
    """Note that this mail is about to be read, and all before it were; returns how often it was begun, with this time.

    0 where it is done already, by another process.
    """
    rows = tx.execute(
        "INSERT INTO inbox_positions (inbox, uid_validity, last_uid, moved_at, tried_uid, tries)"
        " VALUES (:inbox, :uid_validity, :before, :now, :uid, 1)"
        " ON CONFLICT (inbox) DO UPDATE SET tries = CASE"
        " WHEN inbox_positions.uid_validity = excluded.uid_validity AND inbox_positions.tried_uid = excluded.tried_uid"
        " THEN inbox_positions.tries + 1 ELSE 1 END, tried_uid = excluded.tried_uid,"
        " uid_validity = excluded.uid_validity, last_uid = excluded.last_uid, moved_at = excluded.moved_at"
        " WHERE inbox_positions.uid_validity <> excluded.uid_validity OR inbox_positions.last_uid <= excluded.last_uid"
        " RETURNING tries",
        {"inbox": inbox, "uid_validity": uid_validity, "before": uid - 1, "uid": uid, "now": now},
    )
    return int(rows[0]["tries"]) if rows else 0


def forget_try(tx: Transaction, inbox: str, uid_validity: int, uid: int) -> None:
    """Take back one `note_try`: the mail was not the reason why it could not be read."""
    tx.execute(
        "UPDATE inbox_positions SET tries = tries - 1"
        " WHERE inbox = :inbox AND uid_validity = :uid_validity AND tried_uid = :uid AND tries > 0",
        {"inbox": inbox, "uid_validity": uid_validity, "uid": uid},
    )


def _taken(rows: Sequence[Row]) -> list[PendingEvent]:
    in_order = sorted(rows, key=lambda row: str(row["id"]))
    return [PendingEvent(row["id"], row["provider_id"], row["report"]) for row in in_order]


def _reported(row: Row) -> ReportedMessage:
    return ReportedMessage(
        id=row["id"],
        address=row["recipient_email"] if row["anonymised_at"] is None else None,
        recipient_hash=row["recipient_hash"],
        stream=Stream(row["stream"]),
        status=Status(row["status"]),
        delivered_at=row["delivered_at"],
        bounce_type=row["bounce_type"],
        bounce_subtype=row["bounce_subtype"],
        error_message=row["error_message"],
        redirected_to=row["redirected_to"],
    )


def _held(tx: Transaction) -> str:
    return " FOR NO KEY UPDATE" if tx.dialect == "postgresql" else ""


def _findable(value: str) -> str:
    """A provider's text for a comparison: one that can't be stored becomes one that nothing equals."""
    return str(legible({"value": value})["value"])


def _seen_name(notification_id: str, source: str) -> str:
    return f"{source}:{notification_id}"
