"""Counting of refused keys, scopes and sign-ins, so that a stranger can't fill the record of admin actions.

Refusals are added up in memory by kind, client and key, and stored a minute later: a row each, and beyond a bound one
row for all the others. A process that dies loses the last minute's counts.
"""

import hashlib
import hmac
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog
import uuid_utils

from service.errors import StoreError
from service.models import REFUSALS, ActionKind, AdminAction, Caller
from service.store import admin_actions, api_keys
from service.store.database import Database, Transaction

#: How long counts stay in memory, seconds.
FLUSH_AFTER_S = 60.0
#: Different refusals that are told apart in that time; further ones are counted as one.
MAX_APART = 20
#: Rows of refusals in a day beyond which none are told apart.
MAX_ROWS_A_DAY = 5_000

_log = structlog.get_logger("refusals")


class _Refusal(NamedTuple):
    kind: ActionKind
    via: str
    client: str | None = None
    actor_id: str | None = None
    actor_name: str | None = None
    subject: str | None = None
    detail: str | None = None


@dataclass(slots=True)
class _Counted:
    first_at: datetime
    count: int = 0


@dataclass(slots=True)
class Refusals:
    """Counts refusals of this process, and stores them. Thread-safe. `key` makes pseudonyms of clients' addresses."""

    database: Database
    key: bytes
    clock: Callable[[], datetime]
    flush_after_s: float = FLUSH_AFTER_S
    _gate: threading.Lock = field(default_factory=threading.Lock)
    _flushing: threading.Lock = field(default_factory=threading.Lock)
    _counts: dict[_Refusal, _Counted] = field(default_factory=dict)
    _named: dict[str, str] = field(default_factory=dict)  # client -> key
    _timer: threading.Timer | None = None
    _is_closed: bool = False

    def sign_in(self, client: str, caller: Caller | None) -> None:
        """Count a sign-in with a wrong token, or with a key that lacks the scope admin."""
        actor = (caller.id, caller.name) if caller else (None, None)
        self._add(_Refusal(ActionKind.SIGN_IN_REFUSED, "page", self.pseudonym(client), *actor))

    def token(self, client: str, token: str) -> None:
        """Count a request with a token that is unknown or revoked; the first key that a client names is kept."""
        pseudonym, named = self.pseudonym(client), api_keys.id_in(token)
        with self._gate:
            if named is not None and len(self._named) < MAX_APART:
                self._named.setdefault(pseudonym, named)
            subject = named if self._named.get(pseudonym) == named else None
        self._add(_Refusal(ActionKind.KEY_REFUSED, "api", pseudonym, subject=subject))

    def scope(self, client: str, caller: Caller, scope: str) -> None:
        """Count a request of a key that lacks this scope."""
        pseudonym = self.pseudonym(client)
        self._add(_Refusal(ActionKind.SCOPE_REFUSED, caller.via, pseudonym, caller.id, caller.name, detail=scope))

    def pseudonym(self, client: str) -> str:
        """A short keyed hash of a client's address: it tells clients apart and names none."""
        return hmac.new(self.key, f"client\0{client}".encode(), hashlib.sha256).hexdigest()[:16]

    def flush(self) -> None:
        """Store what was counted; where the database can't take it now, it stays for the next time."""
        with self._flushing:
            with self._gate:
                counted, self._counts, self._named = self._counts, {}, {}
                self._timer = None
            if not counted:
                return
            try:
                self.database.write(lambda tx: self._store(tx, counted))
            except StoreError as error:
                _log.warning("refusals_not_stored", exc_info=error)
                with self._gate:
                    for refusal, one in counted.items():
                        self._count(refusal, one.first_at, one.count)
                    self._start_timer()

    def close(self) -> None:
        """Store the rest, before the database closes."""
        with self._gate:
            self._is_closed = True
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        self.flush()

    def _add(self, refusal: _Refusal) -> None:
        with self._gate:
            self._count(refusal, self.clock(), 1)
            self._start_timer()

    def _count(self, refusal: _Refusal, first_at: datetime, count: int) -> None:
        if refusal not in self._counts and len(self._counts) >= MAX_APART:
            refusal = _Refusal(refusal.kind, refusal.via)
        one = self._counts.setdefault(refusal, _Counted(first_at))
        one.count += count

    def _start_timer(self) -> None:
        if self._timer is None and not self._is_closed:
            self._timer = threading.Timer(self.flush_after_s, self.flush)
            self._timer.daemon = True
            self._timer.start()

    def _store(self, tx: Transaction, counted: Mapping[_Refusal, _Counted]) -> None:
        since = self.clock() - timedelta(days=1)
        if admin_actions.count_since(tx, REFUSALS, since) >= MAX_ROWS_A_DAY:
            counted = _together(counted, lambda refusal: _Refusal(refusal.kind, refusal.via))
        known = api_keys.known(tx, {refusal.subject for refusal in counted if refusal.subject})
        # A stranger may write any id: only that of a key that there is, or was, is stored.
        counted = _together(counted, lambda one: one._replace(subject=one.subject if one.subject in known else None))
        for refusal, one in counted.items():
            action = AdminAction(str(uuid_utils.uuid7()), one.first_at, count=one.count, **refusal._asdict())
            admin_actions.append(tx, action)


def _together(
    counted: Mapping[_Refusal, _Counted], as_one: Callable[[_Refusal], _Refusal]
) -> Mapping[_Refusal, _Counted]:
    """The counts with those added up that are the same by `as_one`."""
    found: dict[_Refusal, _Counted] = {}
    for refusal, one in counted.items():
        same = found.setdefault(as_one(refusal), _Counted(one.first_at))
        same.first_at = min(same.first_at, one.first_at)
        same.count += one.count
    return found
