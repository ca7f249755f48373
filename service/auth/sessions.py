"""Sign-in and sessions of the pages: a token is exchanged for a signed session, which names a caller.

A session is a signed cookie value: the caller, an end and a nonce. Nothing is stored, so any process of the service can
verify it. It ends at its time, when its key is revoked, and, for the admin, when the admin token or the secret key
changes. Signing out deletes the cookie.
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from service.auth.wrong_tokens import WrongTokens
from service.errors import NotAllowed
from service.models import Caller, Scope

#: A working day.
SESSION_LASTS = timedelta(hours=10)

_ADMIN_ID = "admin"


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in person; `nonce` is unique to the session."""

    caller_id: str
    caller_name: str
    until: datetime
    nonce: str


@dataclass(frozen=True, slots=True)
class Sessions:
    """Exchanges tokens for sessions.

    `find` gives the caller behind a token, `find_again` the caller with this id if the key still holds. `key` signs;
    it must change with the admin token.
    """

    find: Callable[[str], Caller | None]
    find_again: Callable[[str], Caller | None]
    key: bytes
    clock: Callable[[], datetime]
    wrong_tokens: WrongTokens

    def create_session(self, token: str, *, client: str) -> str:
        """Sign in: the cookie value of a new session. Wrong tokens are counted by `client`, the client's address.

        Raises NotAuthenticated for an unknown token, TooManyAttempts for one of many; NotAllowed for a key without the
        scope admin.
        """
        now = self.clock()
        caller = self.find(token)
        if caller is None:
            raise self.wrong_tokens.refusal(client, "This token is unknown or revoked.")
        if not caller.may(Scope.ADMIN):
            raise NotAllowed(f"The key {caller.name!r} does not have the scope admin.")
        until = now + SESSION_LASTS
        return self._sign([caller.id, caller.name, int(until.timestamp()), secrets.token_urlsafe(16)])

    def session(self, text: str) -> Session | None:
        """The session of a cookie value; None for a value that is not ours or has expired."""
        body, _, signature = text.partition(".")
        if not hmac.compare_digest(signature.encode(), self._digest("session", body).encode()):
            return None
        caller_id, caller_name, until, nonce = json.loads(base64.urlsafe_b64decode(body))
        session = Session(caller_id, caller_name, datetime.fromtimestamp(until, UTC), nonce)
        return session if session.until > self.clock() else None

    def caller(self, session: Session) -> Caller | None:
        """The caller of a session, if its key is active and has the scope admin. May read the database."""
        if session.caller_id == _ADMIN_ID:
            return Caller(_ADMIN_ID, session.caller_name, frozenset({Scope.ADMIN}))
        found = self.find_again(session.caller_id)
        return found if found is not None and found.may(Scope.ADMIN) else None

    def form_token(self, nonce: str) -> str:
        """The CSRF token of a form: bound to one session, or to one visitor before sign-in."""
        return self._digest("form", nonce)

    def is_form_token(self, nonce: str, given: str) -> bool:
        """Whether this is the token of `form_token`; compared in constant time."""
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.form_token(nonce).encode())

    def _sign(self, content: object) -> str:
        body = base64.urlsafe_b64encode(json.dumps(content).encode()).decode()
        return f"{body}.{self._digest('session', body)}"

    def _digest(self, purpose: str, text: str) -> str:
        message = f"{purpose}\0{text}".encode("utf-8", "replace")
        return hmac.new(self.key, message, hashlib.sha256).hexdigest()


def signing_key(key: bytes, admin_token: str) -> bytes:
    """The key that signs sessions, of the secret key's for this purpose; it changes with either secret."""
    return hmac.digest(key, f"sessions\0{admin_token}".encode(), "sha256")
