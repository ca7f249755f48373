"""Return path (VERP): a signed envelope sender for each message, `bounces+<id><signature>@domain`.

A mail server's report goes to this address whatever it quotes, and nobody can forge one for a mail that they have not
seen. Id and signature are in base32, because some servers change the case of a local part: 42 characters, which with a
short name stay within the 64 octets of RFC 5321, 4.5.3.1.1.
"""

import base64
import hmac
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from uuid import UUID

#: Separates these signatures from others by the same key, as there was one for all in v0.1: a normalised address never
#: holds U+0000.
_DOMAIN = b"return-path\x00"
_UUID_BYTES = 16
#: 80 bits of HMAC-SHA256, which RFC 2104, 5 allows; a guessed one forges the bounce of one mail.
_TAG_BYTES = 10
_CODE_LENGTH = 42
#: Octets that are left for the name before the plus.
MAX_NAME_LENGTH = 64 - 1 - _CODE_LENGTH

_CODE = re.compile(rf"(?<![a-z2-7])([a-z2-7]{{{_CODE_LENGTH}}})@", re.IGNORECASE)
_MOST_IN_TEXT = 50
_MOST = 500


def signed(address: str, message_id: str, *, key: bytes) -> str:
    """Return the return path of one message below `address`, where `name+anything@` arrives like `name@`.

    Raises ValueError where the message's id is no UUID.
    """
    payload = UUID(message_id).bytes
    name, _, domain = address.rpartition("@")
    return f"{name}+{_base32(payload)}{_base32(_tag(payload, key))}@{domain}"


def codes_in(texts: Iterable[str]) -> Iterator[str]:
    """Yield what may be id and signature of a return path in these texts, each once, at most 50 a text and 500 in all.

    Name and domain are left out: both may have been other settings when the mail was sent.
    """
    seen: dict[str, None] = {}
    for text in texts:
        for found in islice(_CODE.finditer(text), _MOST_IN_TEXT):
            if len(seen) < _MOST and found[1] not in seen:
                seen[found[1]] = None
                yield found[1]


def verified(codes: Iterable[str], *, keys: Sequence[bytes]) -> str | None:
    """Return the message id of the first of these codes that one of these keys signed, or None."""
    return next((message_id for code in codes if (message_id := _read(code, keys))), None)


def _read(code: str, keys: Sequence[bytes]) -> str | None:
    if len(code) != _CODE_LENGTH:
        return None
    split = -(-_UUID_BYTES * 8 // 5)
    try:
        payload, tag = _from_base32(code[:split]), _from_base32(code[split:])
    except ValueError:  # also for letters beyond ASCII that equal one without regard to case
        return None
    if len(payload) != _UUID_BYTES or not any(hmac.compare_digest(_tag(payload, key), tag) for key in keys):
        return None
    return str(UUID(bytes=payload))


def _tag(payload: bytes, key: bytes) -> bytes:
    return hmac.digest(key, _DOMAIN + payload, "sha256")[:_TAG_BYTES]


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()


def _from_base32(text: str) -> bytes:
    return base64.b32decode(text.upper() + "=" * (-len(text) % 8))
