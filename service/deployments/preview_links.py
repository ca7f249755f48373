"""Signed links of previews: each shows one preview for a time, without a key.

A link names the preview and its end. The signature is also over a random text in the preview's row, so that a link ends
with the preview, and one of the same name later needs a new link.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import anyio

from service.errors import NotFound
from service.models import ActionKind, Caller, Preview
from service.store import admin_actions
from service.store.database import Database
from service.templates.proposed_templates import ProposedTemplates

#: How long a link is good.
LASTS = timedelta(days=7)
#: Mails that are rendered at a time for those who have a link, so that they don't take all threads.
RENDERINGS_AT_ONCE = 2
_VERSION = b"p1"
_TIME_BYTES = 5
#: 128 bits of HMAC-SHA256, which RFC 2104, 5 allows: half of the digest.
_TAG_BYTES = 16
_TOKEN = re.compile(r"[A-Za-z0-9_-]{32,140}")


@dataclass(frozen=True, slots=True)
class PreviewLink:
    """A link, and when it ends."""

    url: str
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class PreviewLinks:
    """Signs links by the first of `keys`, and verifies them by any of them."""

    database: Database
    proposed: ProposedTemplates
    keys: Sequence[bytes]
    public_url: str
    clock: Callable[[], datetime]
    renderings: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(RENDERINGS_AT_ONCE))

    def make(self, preview: Preview, caller: Caller) -> PreviewLink:
        """A link to a preview as it is now and will be; that it was made is recorded. Raises StoreBusy."""
        now = self.clock()
        self.database.write(
            lambda tx: admin_actions.note(tx, ActionKind.PREVIEW_LINKED, caller, now, subject=preview.name)
        )
        ends_at = (now + LASTS).replace(microsecond=0)
        payload = _VERSION + int(ends_at.timestamp()).to_bytes(_TIME_BYTES, "big") + preview.name.encode()
        signed = payload + _tag(payload, preview.links, self.keys[0])
        token = base64.urlsafe_b64encode(signed).decode().rstrip("=")
        return PreviewLink(f"{self.public_url.rstrip('/')}/previews/{token}", ends_at)

    def open(self, token: str) -> Preview:
        """The preview of a link. Raises NotFound, with the same words whatever is wrong with it, and StoreBusy."""
        payload, tag = _parts(token)
        name = payload[len(_VERSION) + _TIME_BYTES :].decode("ascii", "replace")
        preview = self.proposed.find(name) if payload else None
        links = preview.links if preview is not None else ""
        is_ours = [hmac.compare_digest(_tag(payload, links, key), tag) for key in self.keys]
        if preview is None or not any(is_ours) or not payload.startswith(_VERSION):
            raise _no_link()
        seconds = int.from_bytes(payload[len(_VERSION) : len(_VERSION) + _TIME_BYTES], "big")
        if self.clock() >= datetime.fromtimestamp(seconds, UTC):
            raise _no_link()
        return preview


def _parts(token: str) -> tuple[bytes, bytes]:
    """What is signed, and the signature; empty where this is no token."""
    if not _TOKEN.fullmatch(token):
        return b"", b""
    try:
        data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return b"", b""
    if base64.urlsafe_b64encode(data).decode().rstrip("=") != token:  # one spelling alone
        return b"", b""
    return data[:-_TAG_BYTES], data[-_TAG_BYTES:]


def _tag(payload: bytes, links: str, key: bytes) -> bytes:
    return hmac.new(key, payload + b"\0" + links.encode(), hashlib.sha256).digest()[:_TAG_BYTES]


def _no_link() -> NotFound:
    return NotFound("This link shows nothing (any more). Ask for a new one.")
