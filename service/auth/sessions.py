"""Sign-in and sessions of the pages: a token is exchanged for a session, a row that names its caller.

The cookie is a random value, and the row holds its SHA-256. A session ends when somebody ends it, when it was not used
for a while, at its absolute end, with its key, and with the admin token or the secret key that it was made under.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import uuid_utils

from service.auth.api_keys import ADMIN_ID, ApiKeys
from service.auth.refusals import Refusals
from service.auth.wrong_tokens import WrongTokens
from service.errors import NotAllowed, NotFound
from service.models import ActionKind, Caller, Scope
from service.store import admin_actions, sessions
from service.store.database import Database, Transaction
from service.store.sessions import StoredSession

#: The absolute end: a working day.
SESSION_LASTS = timedelta(hours=10)
#: The idle end. Open pages that are fed by a stream count as idle.
IDLE_LASTS = timedelta(hours=2)
#: Use of a session is written down no more often than this.
SEEN_EVERY = timedelta(minutes=1)
#: Sessions on the page, at most; the last used ones.
MAX_LISTED = 500
_MAX_BROWSER = 200
#: Ended sessions that a sign-in sweeps.
_SWEPT = 100


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in person. `digest` is that of the cookie, to which forms are bound."""

    id: str
    digest: str
    caller: Caller
    client: str
    browser: str
    created_at: datetime
    seen_at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Sessions:
    """Exchanges tokens for sessions. `key` is the signing key: with another one all sessions end."""

    database: Database
    api_keys: ApiKeys
    key: bytes
    clock: Callable[[], datetime]
    wrong_tokens: WrongTokens
    refusals: Refusals

    def create_session(self, token: str, *, client: str, browser: str = "") -> str:
        """Sign in: the cookie value of a new session. Wrong tokens are counted by `client`, the client's address.

        Raises NotAuthenticated for an unknown token, TooManyAttempts for one of many; NotAllowed for a key with neither
        the scope admin nor deploy, whose pages are those of deployments alone.
        """
        caller = self.api_keys.find(token)
        if caller is None or not caller.may(Scope.DEPLOY):
            self.refusals.sign_in(client, caller)
        if caller is None:
            raise self.wrong_tokens.refusal(client, "This token is unknown or revoked.")
        if not caller.may(Scope.DEPLOY):
            raise NotAllowed(f"The key {caller.name!r} does not have the scope admin or deploy.")
        cookie, now = secrets.token_urlsafe(32), self.clock()
        session = StoredSession(
            id=str(uuid_utils.uuid7()),
            secret_sha256=sessions.digest(cookie),
            signed_with=self._signed_with(),
            caller_id=caller.id,
            caller_name=caller.name,
            client=self.refusals.pseudonym(client),
            browser=re.sub(r"[^ -~]", "", browser)[:_MAX_BROWSER],
            created_at=now,
            seen_at=now,
            idle_until=now + IDLE_LASTS,
            ends_at=now + SESSION_LASTS,
        )

        def work(tx: Transaction) -> None:
            sessions.delete_ended(tx, now=now, limit=_SWEPT)
            sessions.add(tx, session)
            admin_actions.note(tx, ActionKind.SIGN_IN, _on_pages(caller), now, subject=session.id)

        self.database.write(work)
        return cookie

    def session(self, cookie: str) -> Session | None:
        """The session of a cookie value; None for one that is unknown or has ended. Reads the database."""
        found = sessions.find(self.database, sessions.digest(cookie))
        return self._if_open(found) if found is not None else None

    def is_seen_lately(self, session: Session) -> bool:
        """Whether its use need not be written down yet."""
        return self.clock() - session.seen_at < SEEN_EVERY

    def touch(self, session: Session) -> None:
        """Write down that a session is used, which postpones its idle end."""
        now = self.clock()
        self.database.write(lambda tx: sessions.touch(tx, session.id, now=now, idle_until=now + IDLE_LASTS))

    def list_open(self) -> Sequence[Session]:
        """All open sessions, the last used first."""
        now = self.clock()
        found = sessions.list_open(self.database, signed_with=self._signed_with(), now=now, limit=MAX_LISTED)
        return [session for one in found if (session := self._if_open(one)) is not None]

    def sign_out(self, session: Session) -> None:
        """End a session, as its person wants."""
        self._end(session.id, session.caller, ActionKind.SIGN_OUT)

    def end(self, session_id: str, by: Caller) -> None:
        """End a session of anybody. Raises NotFound where it has ended already."""
        if not self._end(session_id, by, ActionKind.SESSION_ENDED):
            raise NotFound("There is no such session, or it has ended.")

    def end_all(self, by: Caller, *, caller_id: str | None = None, but: str | None = None) -> int:
        """End all sessions, or all of one caller, except that with the id `but`; returns how many."""
        now = self.clock()

        def work(tx: Transaction) -> int:
            count = sessions.end_others(tx, caller_id=caller_id, but=but)
            if count:
                admin_actions.note(tx, ActionKind.SESSION_ENDED, by, now, detail=f"sessions={count}")
            return count

        return self.database.write(work)

    def _end(self, session_id: str, by: Caller, kind: ActionKind) -> bool:
        now = self.clock()

        def work(tx: Transaction) -> bool:
            is_ended = sessions.end(tx, session_id)
            if is_ended:
                admin_actions.note(tx, kind, by, now, subject=session_id)
            return is_ended

        return self.database.write(work)

    def _if_open(self, found: StoredSession) -> Session | None:
        now = self.clock()
        if min(found.ends_at, found.idle_until) <= now:
            return None
        if not hmac.compare_digest(found.signed_with, self._signed_with()):
            return None
        if found.caller_id == ADMIN_ID:
            caller: Caller | None = Caller(ADMIN_ID, found.caller_name, frozenset({Scope.ADMIN}))
        else:
            caller = self.api_keys.holder(found.caller_id)
        if caller is None or not caller.may(Scope.DEPLOY):
            return None
        return Session(
            found.id,
            found.secret_sha256,
            _on_pages(caller),
            found.client,
            found.browser,
            found.created_at,
            found.seen_at,
            found.ends_at,
        )

    def _signed_with(self) -> str:
        return hmac.new(self.key, b"sessions", hashlib.sha256).hexdigest()


def cookie_digest(cookie: str) -> str:
    """What forms are bound to of a session's cookie, whether the session holds or not."""
    return sessions.digest(cookie)


def _on_pages(caller: Caller) -> Caller:
    return Caller(caller.id, caller.name, caller.scopes, via="page")


def signing_key(key: bytes, admin_token: str) -> bytes:
    """The key under which sessions are made, of the secret key's for this purpose; it changes with either secret."""
    return hmac.digest(key, f"sessions\0{admin_token}".encode(), "sha256")
