"""VERB: who must not be written to, as people decide it: by hand, from a list, and taken back.

What providers and mail servers say is for `record`; that somebody unsubscribed, for `unsubscribe`. Nothing here is
ever deleted: lifting a suppression keeps who ended it, when and why.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast, get_args

import uuid_utils

from service.errors import InvalidRequest, NotFound, Problem
from service.mail import addresses
from service.models import Caller
from service.models.requests import SuppressionRequest
from service.recipients.suppression_csv import SuppressionRow
from service.store import suppressions
from service.store.database import Database, Transaction
from service.store.suppressions import Suppression, SuppressionPage

__all__ = ["ImportResult", "Suppression", "SuppressionList", "SuppressionPage", "reason_of"]

SuppressionScope = Literal["all", "marketing"]

#: What `reason` may say after anonymising; other words are somebody's own, and go into `detail`.
REASONS = frozenset({"bounce", "complaint", "unsubscribe", "manual", "erasure"})
MAX_PAGE = 1_000
#: Lines of a file that share a transaction: others wait for the lock meanwhile.
_LINES_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What a file did: `added` are new, `known` were suppressed in that scope already."""

    added: int
    known: int


@dataclass(frozen=True, slots=True)
class SuppressionList:
    """Keeps the list. `pseudonym_key` turns an address into the hash by which it is found."""

    database: Database
    pseudonym_key: bytes
    clock: Callable[[], datetime]

    def add(self, request: SuppressionRequest, caller: Caller, *, source: str) -> tuple[Suppression, bool]:
        """The suppression of this address in this scope, and whether it is new: the first one stands.

        Raises InvalidRequest for what is no address.
        """
        try:
            address = addresses.parse(request.address)
        except ValueError as error:
            raise InvalidRequest("This can't be suppressed.", [Problem("/address", "address", str(error))]) from None
        reason, detail = _split(request.reason)
        wanted = Suppression(
            id=str(uuid_utils.uuid7()),
            address=address.spelling,
            recipient_hash=self._hash(address.normalised),
            scope=request.scope,
            reason=reason,
            source=source,
            since=self.clock(),
            created_by=caller.name,
            detail=detail,
        )

        def work(tx: Transaction) -> tuple[Suppression, bool]:
            if suppressions.add(tx, wanted):
                return wanted, True
            found = suppressions.active(tx, wanted.recipient_hash, wanted.scope)
            return found or wanted, False

        return self.database.write(work)

    def lift(self, suppression_id: str, caller: Caller, *, reason: str | None = None) -> Suppression:
        """The suppression, ended now; once more is the same as once, and the first end stands. Raises NotFound."""
        now = self.clock()

        def work(tx: Transaction) -> Suppression:
            suppressions.lift(tx, suppression_id, by=caller.name, now=now, reason=reason)
            found = suppressions.get(tx, suppression_id)
            if found is None:
                raise NotFound("There is no such suppression.")
            return found

        return self.database.write(work)

    def lift_address(
        self, address: str, caller: Caller, *, scope: str | None = None, reason: str | None = None
    ) -> list[Suppression]:
        """What held for this address (in this scope), ended now; [] where nothing did. Raises InvalidRequest."""
        page = self.search(address=address, scope=scope, limit=MAX_PAGE)
        return [self.lift(item.id, caller, reason=reason) for item in page.items]

    def get(self, suppression_id: str) -> Suppression:
        """One, lifted or not. Raises NotFound."""
        found = suppressions.get(self.database, suppression_id)
        if found is None:
            raise NotFound("There is no such suppression.")
        return found

    def search(
        self,
        *,
        address: str | None = None,
        scope: str | None = None,
        lifted: bool = False,
        limit: int = 50,
        cursor: str | None = None,
    ) -> SuppressionPage:
        """A page, newest first; with `lifted` the ended ones too. Raises InvalidRequest with every wrong parameter."""
        problems: list[Problem] = []
        recipient_hash = None
        if address is not None:
            recipient_hash = addresses.lookup("address", address, problems, key=self.pseudonym_key)
        if scope is not None and scope not in get_args(SuppressionScope):
            problems.append(Problem("", "scope", f"scope: one of {', '.join(get_args(SuppressionScope))}"))
        if not 1 <= limit <= MAX_PAGE:
            problems.append(Problem("", "limit", f"limit: write a number from 1 to {MAX_PAGE}"))
        if not problems:
            try:
                return suppressions.list_page(
                    self.database, limit=limit, cursor=cursor, recipient_hash=recipient_hash, scope=scope, lifted=lifted
                )
            except ValueError:
                problems.append(Problem("", "cursor", "cursor: take it from `next` of the page before"))
        raise InvalidRequest("A parameter of this list is wrong.", problems)

    def everything(self) -> Iterator[Suppression]:
        """All that holds now, newest first."""
        cursor = None
        while True:
            page = suppressions.list_page(self.database, limit=MAX_PAGE, cursor=cursor)
            yield from page.items
            if (cursor := page.next) is None:
                return

    def take_in(self, lines: Sequence[SuppressionRow], caller: Caller, *, source: str = "import") -> ImportResult:
        """Suppresses what a file lists. The same file again changes nothing. Raises StoreBusy: then take it again."""
        now = self.clock()
        added = 0
        for start in range(0, len(lines), _LINES_AT_ONCE):
            batch = [self._of_line(line, caller, source, now) for line in lines[start : start + _LINES_AT_ONCE]]
            added += self.database.write(lambda tx, batch=batch: sum(suppressions.add(tx, one) for one in batch))  # type: ignore[misc]
        return ImportResult(added, len(lines) - added)

    def _of_line(self, line: SuppressionRow, caller: Caller, source: str, now: datetime) -> Suppression:
        reason, detail = _split(line.reason)
        return Suppression(
            id=str(uuid_utils.uuid7()),
            address=line.address.spelling if line.address else None,
            recipient_hash=self._hash(line.address.normalised) if line.address else line.recipient_hash,
            scope=cast(SuppressionScope, line.scope),
            reason=reason,
            source=line.source or source,
            since=line.since or now,
            event_id=line.event_id,
            created_by=caller.name,
            detail=detail,
        )

    def _hash(self, normalised: str) -> str:
        return addresses.pseudonym(normalised, key=self.pseudonym_key)


def reason_of(suppression: Suppression) -> str:
    """Why, in the words of who did it, as long as these are kept."""
    return suppression.detail if suppression.reason == "manual" and suppression.detail else suppression.reason


def _split(reason: str) -> tuple[str, str | None]:
    """The word that stays, and the words that may name a person and go with it."""
    return (reason, None) if reason in REASONS else ("manual", reason)
