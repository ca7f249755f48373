"""Unsubscribe link of marketing mail (RFC 8058): signed token, written and verified.

A token holds all that suppressing needs: the keyed hash of the address, the message's id, and a signature. So the link
works as long as the mail exists, also after the message was anonymised or deleted here. 66 bytes are exactly 88
characters of base64, so that a token has one spelling.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

#: Version of the token, and what keeps its signature apart from others by the same key, as there was one for all in
#: v0.1: a normalised address (`addresses.pseudonym`) never holds U+0000.
_VERSION = b"u1"
_DOMAIN = b"unsubscribe\x00"
_HASH_BYTES = 32
_UUID_BYTES = 16
#: 128 bits of HMAC-SHA256, which RFC 2104, 5 allows: half of the digest.
_TAG_BYTES = 16
_TOKEN_LENGTH = (len(_VERSION) + _HASH_BYTES + _UUID_BYTES + _TAG_BYTES) * 4 // 3


class TokenForged(ValueError):
    """The token was not signed by this installation, or it was changed."""


@dataclass(frozen=True, slots=True)
class Unsubscription:
    """Content of a token: the recipient, by the keyed hash of the address, and the message that carried it."""

    recipient_hash: str
    message_id: str


def url(public_url: str, unsubscription: Unsubscription, *, key: bytes) -> str:
    """Return the link for one message; `public_url` is this service's public address, with or without a final slash."""
    return f"{public_url.rstrip('/')}/api/v1/email/unsubscribe/{token(unsubscription, key=key)}"


def token(unsubscription: Unsubscription, *, key: bytes) -> str:
    """Return the signed token. Raises ValueError where the message's id is no UUID."""
    payload = _VERSION + bytes.fromhex(unsubscription.recipient_hash) + UUID(unsubscription.message_id).bytes
    return base64.urlsafe_b64encode(payload + _tag(payload, key)).decode()


def read(text: str, *, keys: Sequence[bytes]) -> Unsubscription:
    """Verify a token by any of these keys. Raises TokenForged, in the same time wherever the signature differs."""
    if len(text) != _TOKEN_LENGTH or not text.isascii():
        raise TokenForged("This is not a link of ours.")
    try:
        data = base64.b64decode(text, altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise TokenForged("This is not a link of ours.") from None
    payload, tag = data[:-_TAG_BYTES], data[-_TAG_BYTES:]
    is_ours = any(hmac.compare_digest(_tag(payload, key), tag) for key in keys)
    if not is_ours or not payload.startswith(_VERSION):
        raise TokenForged("This is not a link of ours.")
    body = payload[len(_VERSION) :]
    return Unsubscription(body[:_HASH_BYTES].hex(), str(UUID(bytes=body[_HASH_BYTES:])))


def _tag(payload: bytes, key: bytes) -> bytes:
    return hmac.new(key, _DOMAIN + payload, hashlib.sha256).digest()[:_TAG_BYTES]
