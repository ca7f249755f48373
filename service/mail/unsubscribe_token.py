"""The link that ends marketing mail to one person (RFC 8058): made, and read back.

A token holds all that is needed to suppress, so that it works for as long as the mail lies in somebody's mailbox, also
when the message has long been anonymised or deleted here: the keyed hash of the address, which says nothing to anybody
else, the message, and a signature. 66 bytes, which are exactly 88 characters of base64: there is one spelling.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from uuid import UUID

#: Version of the token, and what keeps its signature apart from everything else that this key signs: a normalised
#: address (`addresses.pseudonym`) never holds U+0000.
_VERSION = b"u1"
_DOMAIN = b"unsubscribe\x00"
_HASH_BYTES = 32
_UUID_BYTES = 16
#: 128 bits of HMAC-SHA256, which RFC 2104, 5 allows: half of the digest.
_TAG_BYTES = 16
_TOKEN_LENGTH = (len(_VERSION) + _HASH_BYTES + _UUID_BYTES + _TAG_BYTES) * 4 // 3


class TokenForged(ValueError):
    """Not a token of ours, or changed on its way."""


@dataclass(frozen=True, slots=True)
class Unsubscription:
    """Whom a token names, by the keyed hash of the address, and the message that carried it."""

    recipient_hash: str
    message_id: str


def url(public_url: str, who: Unsubscription, *, key: bytes) -> str:
    """The link for one message. `public_url` is where people reach this service, with or without a slash at its end."""
    return f"{public_url.rstrip('/')}/api/v1/email/unsubscribe/{token(who, key=key)}"


def token(who: Unsubscription, *, key: bytes) -> str:
    """Raises ValueError where the message's id is no UUID."""
    payload = _VERSION + bytes.fromhex(who.recipient_hash) + UUID(who.message_id).bytes
    return base64.urlsafe_b64encode(payload + _tag(payload, key)).decode()


def read(text: str, *, key: bytes) -> Unsubscription:
    """Raises TokenForged, after the same time wherever the signature is wrong."""
    if len(text) != _TOKEN_LENGTH or not text.isascii():
        raise TokenForged("This is not a link of ours.")
    try:
        data = base64.b64decode(text, altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise TokenForged("This is not a link of ours.") from None
    payload, tag = data[:-_TAG_BYTES], data[-_TAG_BYTES:]
    if not hmac.compare_digest(_tag(payload, key), tag) or not payload.startswith(_VERSION):
        raise TokenForged("This is not a link of ours.")
    body = payload[len(_VERSION) :]
    return Unsubscription(body[:_HASH_BYTES].hex(), str(UUID(bytes=body[_HASH_BYTES:])))


def _tag(payload: bytes, key: bytes) -> bytes:
    return hmac.new(key, _DOMAIN + payload, hashlib.sha256).digest()[:_TAG_BYTES]
