"""The record of what admins did, as people search it, and what is recorded of reading."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import structlog

from service.auth.refusals import Refusals
from service.errors import InvalidRequest, Problem, StoreBusy
from service.mail import addresses
from service.models import ActionKind, AdminAction, Caller
from service.store import admin_actions
from service.store.admin_actions import ActionQuery
from service.store.database import Database
from service.store.pages import Page

__all__ = ["ActionFilter", "AdminActions"]

MAX_PAGE = 1_000
#: Rows of an export, at most.
MAX_EXPORTED = 100_000
#: The same person shown to the same caller again within this time is one row.
SHOWN_AGAIN = timedelta(minutes=10)
_MAX_REMEMBERED = 10_000

_log = structlog.get_logger("admin_actions")


@dataclass(frozen=True, slots=True)
class ActionFilter:
    """What a list asks for, as texts of a request; None leaves a filter out. Times are ISO 8601 with an offset."""

    kind: str | None = None
    actor: str | None = None
    person: str | None = None
    since: str | None = None
    until: str | None = None


ALL_ACTIONS = ActionFilter()


@dataclass(frozen=True, slots=True)
class AdminActions:
    """Searches the record. `pseudonym_key` turns an address into the hash by which a person's rows are found."""

    database: Database
    pseudonym_key: bytes
    clock: Callable[[], datetime]
    refusals: Refusals
    _gate: threading.Lock = field(default_factory=threading.Lock)
    _shown: "OrderedDict[tuple[str, str], datetime]" = field(default_factory=OrderedDict)

    def search(
        self, wanted: ActionFilter = ALL_ACTIONS, *, limit: int = 50, cursor: str | None = None
    ) -> Page[AdminAction]:
        """A page of actions, newest first. Raises InvalidRequest with every wrong parameter."""
        self.refusals.flush()  # what this process has counted by now is part of the answer
        problems: list[Problem] = []
        query = self._query(wanted, problems)
        if not 1 <= limit <= MAX_PAGE:
            problems.append(Problem("", "limit", f"limit: write a number from 1 to {MAX_PAGE}"))
        if not problems:
            try:
                return admin_actions.list_page(self.database, query, limit=limit, cursor=cursor)
            except ValueError:
                problems.append(Problem("", "cursor", "cursor: take it from `next` of the page before"))
        raise InvalidRequest("A parameter of this list is wrong.", problems)

    def every(self, wanted: ActionFilter = ALL_ACTIONS) -> Iterator[AdminAction]:
        """All actions, newest first, up to MAX_EXPORTED. Raises InvalidRequest."""
        cursor, left = None, MAX_EXPORTED
        while left > 0:
            page = self.search(wanted, limit=min(MAX_PAGE, left), cursor=cursor)
            yield from page.items
            left -= len(page.items)
            if (cursor := page.next) is None:
                return

    def person_shown(self, address: str, caller: Caller) -> None:
        """Record that a caller looked at a person's data, once in a while; what is no address shows nobody."""
        recipient_hash = addresses.lookup("address", address, [], key=self.pseudonym_key)
        now = self.clock()
        if recipient_hash is None or self._is_known(caller.id, recipient_hash, now):
            return
        try:
            self.database.write(
                lambda tx: admin_actions.note(tx, ActionKind.PERSON_SHOWN, caller, now, recipient_hash=recipient_hash)
            )
        except StoreBusy as error:  # reading goes on while nothing can be written
            _log.warning("store_busy", task="person_shown", reason=str(error))

    def person_exported(self, address: str, caller: Caller) -> None:
        """Record that a caller exported a person's data. Raises StoreBusy: then it must not be handed out."""
        recipient_hash = addresses.lookup("address", address, [], key=self.pseudonym_key)
        now = self.clock()
        self.database.write(
            lambda tx: admin_actions.note(tx, ActionKind.PERSON_EXPORTED, caller, now, recipient_hash=recipient_hash)
        )

    def _is_known(self, caller_id: str, recipient_hash: str, now: datetime) -> bool:
        pair = caller_id, recipient_hash
        with self._gate:
            last = self._shown.get(pair)
            if last is not None and now - last < SHOWN_AGAIN:
                return True
            self._shown[pair] = now
            self._shown.move_to_end(pair)
            if len(self._shown) > _MAX_REMEMBERED:
                self._shown.popitem(last=False)
            return False

    def _query(self, wanted: ActionFilter, problems: list[Problem]) -> ActionQuery:
        recipient_hash = None
        if wanted.person is not None:
            recipient_hash = addresses.lookup("person", wanted.person, problems, key=self.pseudonym_key)
        return ActionQuery(
            kinds=_kinds(wanted.kind, problems) if wanted.kind is not None else None,
            actor=wanted.actor,
            recipient_hash=recipient_hash,
            since=_moment("since", wanted.since, problems) if wanted.since is not None else None,
            until=_moment("until", wanted.until, problems) if wanted.until is not None else None,
        )


def _kinds(text: str, problems: list[Problem]) -> list[ActionKind] | None:
    try:
        return [ActionKind(text)]
    except ValueError:
        problems.append(Problem("", "kind", f"kind: one of {', '.join(ActionKind)}"))
        return None


def _moment(name: str, text: str, problems: list[Problem]) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):  # no time, or one beyond the calendar in UTC
        pass
    problems.append(Problem("", name, f"{name}: an ISO 8601 time with its offset, such as 2026-02-21T00:00:00Z"))
    return None
