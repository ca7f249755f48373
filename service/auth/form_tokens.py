"""The CSRF token of a form: bound to one session, or to one visitor before sign-in."""

import hashlib
import hmac
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FormTokens:
    """Makes and verifies tokens; `key` is random and stays the same over processes."""

    key: bytes

    def token(self, nonce: str) -> str:
        """The token of the forms of one session, or of one visitor."""
        return hmac.new(self.key, f"form\0{nonce}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    def is_token(self, nonce: str, given: str) -> bool:
        """Whether this is the token of `token`; compared in constant time."""
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.token(nonce).encode())
