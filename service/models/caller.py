"""Callers of the API and their scopes."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Scope(StrEnum):
    """A permission of an API key. `admin` implies the others."""

    SEND = "send"
    READ = "read"
    DEPLOY = "deploy"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of a request. `id` is its key's: for idempotency keys and for reading its own messages.

    `via` is the way in: api, page (with a session) or cli.
    """

    id: str
    name: str
    scopes: frozenset[Scope]
    via: Literal["api", "page", "cli"] = "api"

    def may(self, scope: Scope) -> bool:
        """True if the caller's key has this scope, or the scope admin."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


#: Whoever may run commands on the machine.
OPERATOR = Caller(id="command-line", name="command line", scopes=frozenset({Scope.ADMIN}), via="cli")
