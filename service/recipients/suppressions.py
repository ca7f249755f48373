"""The suppression list as people keep it: add an address, import a list, search, lift.

Feedback suppresses in `feedback.apply`, the link in a mail in `unsubscribe`. No suppression is ever deleted: a lifted
one keeps who ended it, when and why.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, cast, get_args

import uuid_utils

from service.errors import InvalidRequest, NotFound, Problem
from service.mail import addresses
from service.models import ActionKind, Caller
from service.models.requests import SuppressionRequest
from service.recipients.suppression_csv import SuppressionRow
from service.store import admin_actions, suppressions
from service.store.database import Database, Transaction
from service.store.suppressions import Suppression, SuppressionPage

__all__ = ["ImportResult", "Suppression", "SuppressionList", "SuppressionPage", "reason_of"]

SuppressionScope = Literal["all", "marketing"]

#: Words that `reason` may have and that stay after anonymisation; a person's own words go into `detail`.
REASONS = frozenset({"bounce", "complaint", "unsubscribe", "manual", "erasure"})
MAX_PAGE = 1_000
#: Rows of a file that share a transaction, during which other writers wait.
_ROWS_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class ImportResult:
    """Result of an import: `added` are new, `known` were suppressed in that scope already."""

    added: int
    known: int


@dataclass(frozen=True, slots=True)
class SuppressionList:
    """The suppression list. `pseudonym_key` is the key of the address's hash by which it is found."""

    database: Database
    pseudonym_key: bytes
    clock: Callable[[], datetime]

    def add(self, request: SuppressionRequest, caller: Caller, *, source: str) -> tuple[Suppression, bool]:
        """Suppress an address in a scope; returns the suppression and whether it is new, as the first one stands.

        Raises InvalidRequest for a bad address.
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
        """End a suppression; it returns the suppression, and the first end stands. Raises NotFound."""
        now = self.clock()

        def work(tx: Transaction) -> Suppression:
            is_lifted = suppressions.lift(tx, suppression_id, by=caller.name, now=now, reason=reason)
            found = suppressions.get(tx, suppression_id)
            if found is None:
                raise NotFound("There is no such suppression.")
            if is_lifted:
                admin_actions.note(
                    tx,
                    ActionKind.SUPPRESSION_LIFTED,
                    caller,
                    now,
                    subject=found.id,
                    recipient_hash=found.recipient_hash,
                    detail=found.scope,
                )
            return found

        return self.database.write(work)

    def lift_address(
        self, address: str, caller: Caller, *, scope: str | None = None, reason: str | None = None
    ) -> list[Suppression]:
        """End the suppressions of this address (in this scope) and return them. Raises InvalidRequest."""
        page = self.search(address=address, scope=scope, limit=MAX_PAGE)
        return [self.lift(item.id, caller, reason=reason) for item in page.items]

    def get(self, suppression_id: str) -> Suppression:
        """Return a suppression, lifted or not. Raises NotFound."""
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
        """Return a page, newest first; with `lifted` also ended ones. Raises InvalidRequest with all bad parameters."""
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

    def all_active(self) -> Iterator[Suppression]:
        """Yield all active suppressions, newest first."""
        cursor = None
        while True:
            page = suppressions.list_page(self.database, limit=MAX_PAGE, cursor=cursor)
            yield from page.items
            if (cursor := page.next) is None:
                return

    def import_rows(self, rows: Sequence[SuppressionRow], caller: Caller, *, source: str = "import") -> ImportResult:
        """Suppress the rows of a file; importing it again changes nothing.

        Raises InvalidRequest for hashes of another database, StoreBusy: then import it again.
        """
        self._require_own_hashes(rows)
        now = self.clock()
        added = 0
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            batch = [self._of_row(row, caller, source, now) for row in rows[start : start + _ROWS_AT_ONCE]]
            added += self.database.write(lambda tx, batch=batch: sum(suppressions.add(tx, one) for one in batch))  # type: ignore[misc]
        return ImportResult(added, len(rows) - added)

    def _require_own_hashes(self, rows: Sequence[SuppressionRow]) -> None:
        """Raise InvalidRequest for rows that would match nobody: the other rows tell which key made the hashes."""
        both = [(row.address, row.recipient_hash) for row in rows if row.address is not None and row.recipient_hash]
        are_foreign = bool(both) and all(self._hash(address.normalised) != known for address, known in both)
        nameless = sum(row.address is None for row in rows)
        if are_foreign and nameless:
            hint = (
                f"{nameless} rows have no address, and the hashes in this file are another database's: leave them out"
            )
            raise InvalidRequest("Nothing was imported.", [Problem("", "recipient_hash", hint)])

    def _of_row(self, row: SuppressionRow, caller: Caller, source: str, now: datetime) -> Suppression:
        reason, detail = _split(row.reason)
        return Suppression(
            id=str(uuid_utils.uuid7()),
            address=row.address.spelling if row.address else None,
            recipient_hash=self._hash(row.address.normalised) if row.address else row.recipient_hash,
            scope=cast(SuppressionScope, row.scope),
            reason=reason,
            source=row.source or source,
            since=row.since or now,
            event_id=row.event_id,
            created_by=caller.name,
            detail=detail,
        )

    def _hash(self, normalised: str) -> str:
        return addresses.pseudonym(normalised, key=self.pseudonym_key)


def reason_of(suppression: Suppression) -> str:
    """Return why an address is suppressed, in the person's own words as long as they are kept."""
    return suppression.detail if suppression.reason == "manual" and suppression.detail else suppression.reason


def _split(reason: str) -> tuple[str, str | None]:
    """Split a reason into the word that stays and the words that are removed by anonymisation."""
    return (reason, None) if reason in REASONS else ("manual", reason)
