"""The secret key's versions, and the keys derived from them: one for each purpose (HKDF-SHA256, RFC 5869).

The newest version signs, any of them verifies. In v0.1 the secret key itself signed for every purpose, so it is still
accepted where signatures in mails are verified: links and return paths work as long as the mails exist.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import (
    InvalidUnwrap,
    aes_key_unwrap_with_padding,
    aes_key_wrap_with_padding,
)

from service.mail.keys import SigningKeys

_KEY_BYTES = 32
#: 128 bits name a version; they tell nothing about it.
_FINGERPRINT_BYTES = 16
#: What keeps these keys apart from those of another program with the same secret.
_CONTEXT = "rgz-email 1 "


class Purpose(StrEnum):
    """What a derived key is for; the value is HKDF's `info`, so it never changes."""

    RETURN_PATH = "return-path"
    UNSUBSCRIBE = "unsubscribe"
    SESSIONS = "sessions"
    PREVIEW_LINKS = "preview-links"
    PSEUDONYM_KEY_ENCRYPTION = "pseudonym-key-encryption"
    FINGERPRINT = "fingerprint"


class KeyNotUnwrapped(ValueError):
    """Another version encrypted this key, or its bytes were changed."""


@dataclass(frozen=True, slots=True)
class SecretVersion:
    """One version of the secret key."""

    text: str = field(repr=False)

    @property
    def undivided(self) -> bytes:
        """The key for every purpose in v0.1."""
        return self.text.encode()

    @property
    def fingerprint(self) -> str:
        """A name of this version, 32 hex digits. Only guessing leads back to the secret."""
        return self.key(Purpose.FINGERPRINT)[:_FINGERPRINT_BYTES].hex()

    def key(self, purpose: Purpose) -> bytes:
        """The key of this version for a purpose, 32 bytes."""
        derivation = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=f"{_CONTEXT}{purpose}".encode())
        return derivation.derive(self.undivided)

    def wrap(self, key: bytes) -> bytes:
        """Encrypt a key for storage: AES key wrap with padding (RFC 5649), the same bytes each time."""
        return aes_key_wrap_with_padding(self.key(Purpose.PSEUDONYM_KEY_ENCRYPTION), key)

    def unwrap(self, wrapped: bytes) -> bytes:
        """Decrypt what `wrap` returned. Raises KeyNotUnwrapped."""
        try:
            return aes_key_unwrap_with_padding(self.key(Purpose.PSEUDONYM_KEY_ENCRYPTION), wrapped)
        except InvalidUnwrap as error:
            raise KeyNotUnwrapped("This key was encrypted by another secret key.") from error


@dataclass(frozen=True, slots=True)
class SecretKey:
    """The accepted versions, newest first; at least one."""

    versions: tuple[SecretVersion, ...]

    @property
    def newest(self) -> SecretVersion:
        """The version that signs."""
        return self.versions[0]

    def signing_keys(self, purpose: Purpose) -> SigningKeys:
        """The keys of signatures in mails: each version's key for the purpose, then each undivided version."""
        derived = tuple(version.key(purpose) for version in self.versions)
        return SigningKeys(derived + tuple(version.undivided for version in self.versions))


def secret_key(texts: Sequence[str]) -> SecretKey:
    """The secret key of these versions, newest first. Raises ValueError where there is none."""
    if not texts:
        raise ValueError("a secret key has at least one version")
    return SecretKey(tuple(SecretVersion(text) for text in dict.fromkeys(texts)))
