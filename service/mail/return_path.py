"""The return path of each mail (its envelope sender): an address that says which mail came back, and that we made it.

Variable envelope return path: `bounces+<id><signature>@domain`. A report of a mail server goes to this address whatever
it quotes, and nobody can make one for a mail that they have not seen. Everything is in base32, because some servers
change the case of a local part; 42 characters, so that with a short name it stays within the 64 octets of RFC 5321,
4.5.3.1.1.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Iterable
from uuid import UUID

#: Keeps these signatures apart from everything else that this key signs: a normalised address never holds U+0000.
_DOMAIN = b"return-path\x00"
_UUID_BYTES = 16
#: 80 bits of HMAC-SHA256, which RFC 2104, 5 allows; whoever guesses may fake a bounce of one mail.
_TAG_BYTES = 10
_CODE_LENGTH = 42
#: Octets that are left for the name before the plus.
MAX_NAME_LENGTH = 64 - 1 - _CODE_LENGTH

_CODE = re.compile(rf"(?<![a-z2-7])([a-z2-7]{{{_CODE_LENGTH}}})@", re.IGNORECASE)
_MOST = 50


def signed(address: str, message_id: str, *, key: bytes) -> str:
    """The return path of one message below `address`, where `name+anything@` arrives like `name@`.

    Raises ValueError where the message's id is no UUID.
    """
    payload = UUID(message_id).bytes
    name, _, domain = address.rpartition("@")
    return f"{name}+{_base32(payload)}{_base32(_tag(payload, key))}@{domain}"


def find(texts: Iterable[str], *, key: bytes) -> str | None:
    """The id of the message whose return path stands first in these texts; None where there is none that we signed.

    Its name and domain do not count: both may have been set otherwise when the mail was sent.
    """
    for text in texts:
        for found in list(_CODE.finditer(text))[:_MOST]:
            if message_id := _read(found[1], key):
                return message_id
    return None


def _read(code: str, key: bytes) -> str | None:
    split = -(-_UUID_BYTES * 8 // 5)
    try:
        payload, tag = _from_base32(code[:split]), _from_base32(code[split:])
    except binascii.Error:
        return None
    if len(payload) != _UUID_BYTES or not hmac.compare_digest(_tag(payload, key), tag):
        return None
    return str(UUID(bytes=payload))


def _tag(payload: bytes, key: bytes) -> bytes:
    return hmac.digest(key, _DOMAIN + payload, "sha256")[:_TAG_BYTES]


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()


def _from_base32(text: str) -> bytes:
    return base64.b32decode(text.upper() + "=" * (-len(text) % 8))
