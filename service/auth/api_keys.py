"""Authenticate tokens: API keys, the admin token, and anonymous callers."""

import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.models import OPERATOR, ActionKind, Caller, Scope
from service.store import admin_actions, api_keys, sessions
from service.store.api_keys import ApiKey
from service.store.database import Database, Transaction

#: The identity of all callers without a key, and that of the admin token.
ANONYMOUS_ID = "anonymous"
ADMIN_ID = "admin"
#: Keys are made and revoked by command: who can run it can read the database anyway.


@dataclass(frozen=True, slots=True)
class ApiKeys:
    """Finds the caller of a token, and manages keys. `admin_token` is compared in constant time."""

    database: Database
    admin_token: str
    anonymous_scopes: frozenset[Scope]

    def anonymous(self) -> Caller | None:
        """The caller of a request without a token; None where EMAIL_ANONYMOUS_SCOPES is empty."""
        if not self.anonymous_scopes:
            return None
        return Caller(id=ANONYMOUS_ID, name="anonymous", scopes=self.anonymous_scopes)

    def admin(self, token: str) -> Caller | None:
        """The admin, if this is the admin token."""
        if hmac.compare_digest(token.encode(), self.admin_token.encode()):
            return Caller(id=ADMIN_ID, name="admin", scopes=frozenset({Scope.ADMIN}))
        return None

    @property
    def is_quick(self) -> bool:
        """Whether `key` may be called in an event loop."""
        return self.database.is_local

    def key(self, token: str) -> Caller | None:
        """The caller of an API key; None for one that is unknown or revoked."""
        found = api_keys.find(self.database, token)
        return Caller(id=found.id, name=found.name, scopes=found.scopes) if found else None

    def holder(self, key_id: str) -> Caller | None:
        """The caller with this id; None where the key is unknown or revoked."""
        found = api_keys.get(self.database, key_id)
        return Caller(id=found.id, name=found.name, scopes=found.scopes) if found else None

    def find(self, token: str) -> Caller | None:
        """The caller of a token of any kind; None for an unknown one."""
        return self.admin(token) or self.key(token)

    def create(self, name: str, scopes: Iterable[Scope], now: datetime, *, by: Caller = OPERATOR) -> tuple[ApiKey, str]:
        """Create a key; returns it and its text, which can't be read again: only a digest is stored."""
        wanted = frozenset(scopes)

        def work(tx: Transaction) -> tuple[ApiKey, str]:
            made, text = api_keys.create(tx, name, wanted, now)
            admin_actions.note(tx, ActionKind.KEY_CREATED, by, now, subject=made.id, detail=",".join(sorted(wanted)))
            return made, text

        return self.database.write(work)

    def list_keys(self) -> Sequence[ApiKey]:
        """All keys, revoked ones too."""
        return api_keys.list_keys(self.database)

    def revoke(self, key_id: str, now: datetime, *, by: Caller = OPERATOR) -> bool:
        """End a key and its sessions; False where there is no active one of this id."""

        def work(tx: Transaction) -> bool:
            is_revoked = api_keys.revoke(tx, key_id, now)
            if is_revoked:
                ended = sessions.end_others(tx, caller_id=key_id)
                admin_actions.note(tx, ActionKind.KEY_REVOKED, by, now, subject=key_id, detail=f"sessions={ended}")
            return is_revoked

        return self.database.write(work)
