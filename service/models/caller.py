"""Who asks, and what they may do."""

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """What a key may do. `admin` implies the others."""

    SEND = "send"
    READ = "read"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `id` is the key's identity, on which idempotency and reading one's own messages rest."""

    id: str
    name: str
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        """True if the caller's key has this scope, or the scope admin."""
        return scope in self.scopes or Scope.ADMIN in self.scopes
