"""Inspection of a mail's bytes for the development mailbox: headers, parts, links, sizes and an HTML check.

The HTML check names what well-known mail programs do not show, or show otherwise (https://www.caniemail.com). It only
informs; the rules for our own templates are those of `rgz-email check`.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage, Message, MIMEPart
from html.parser import HTMLParser
from typing import Any, Literal, cast

#: Gmail shows no more of the HTML part than this, and a link to the rest.
GMAIL_CLIPS_AFTER_BYTES = 102 * 1024

#: Endings that differ from the subtype.
_ENDINGS = {"message/rfc822": "eml", "message/global": "eml", "text/plain": "txt"}

Code = Literal[
    "clipped", "script", "form", "stylesheet", "media", "svg", "data_image", "remote_image", "alt", "lang", "title",
    "css_position", "css_layout", "css_background", "no_text", "relative_link",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class InspectedFile:
    """An attached file; `n` counts from 0. `content_id` is without angle brackets."""

    n: int
    filename: str
    content_type: str
    size_bytes: int
    content_id: str | None


@dataclass(frozen=True, slots=True)
class Remark:
    """A feature of the HTML that some mail programs do not show as meant, and how often it occurs."""

    code: Code
    count: int


@dataclass(frozen=True, slots=True)
class Inspection:
    """Headers, parts, links and remarks of a mail. `html` and `text` are None where it has no such part."""

    subject: str
    headers: Sequence[tuple[str, str]]
    html: str | None
    text: str | None
    parts: Sequence[InspectedFile]
    links: Sequence[str]
    remarks: Sequence[Remark]
    sizes_bytes: Mapping[str, int]


def inspect(raw: bytes) -> Inspection:
    """Parse and inspect a mail. Never raises: unreadable parts are left out, or decoded as far as possible."""
    message = _parsed(raw)
    html, text = _content(message, "html"), _content(message, "plain")
    features = _HtmlFeatures()
    if html is not None:
        features.feed(html)
        features.close()
    parts = [_part(n, part) for n, part in enumerate(_files(message))]
    plain_links = re.findall(r"https?://[^\s<>\"')\]]+", text or "")
    return Inspection(
        subject=str(message.get("Subject", "")),
        headers=[(name, str(value)) for name, value in message.items()],
        html=html,
        text=text,
        parts=parts,
        links=list(dict.fromkeys([*features.links, *plain_links])),
        remarks=_remarks(html, text, features),
        sizes_bytes={
            "all": len(raw),
            "html": len((html or "").encode()),
            "text": len((text or "").encode()),
            "attachments": sum(part.size_bytes for part in parts),
        },
    )


def file(raw: bytes, n: int) -> tuple[InspectedFile, bytes] | None:
    """Return the nth attached file with its bytes, or None."""
    files = _files(_parsed(raw))
    return (_part(n, files[n]), _bytes_of(files[n])) if 0 <= n < len(files) else None


def _parsed(raw: bytes) -> EmailMessage:
    return message_from_bytes(raw, policy=policy.default)


def _content(message: EmailMessage, subtype: Literal["html", "plain"]) -> str | None:
    part = message.get_body((subtype,))
    if part is None:
        return None
    charset = part.get_content_charset() or "utf-8"
    try:
        return _bytes_of(part).decode(charset, "replace")
    except LookupError:  # a character set that Python does not know
        return _bytes_of(part).decode("utf-8", "replace")


def _files(message: EmailMessage) -> list[EmailMessage]:
    bodies = [message.get_body(("html",)), message.get_body(("plain",))]
    return [part for part in _leaves(message) if part not in bodies]


def _leaves(part: "Message[Any, Any]") -> Iterator[EmailMessage]:
    """Yield all parts that are no multipart. An attached mail is one: its own parts are not those of this mail."""
    pending = [part]
    while pending:
        part = pending.pop()
        if part.get_content_maintype() == "multipart" and part.is_multipart():
            pending += reversed(cast("list[Message[Any, Any]]", part.get_payload()))
        else:
            yield cast(EmailMessage, part)


def _part(n: int, part: "MIMEPart[Any, Any]") -> InspectedFile:
    content_id = str(part.get("Content-ID", "")).strip().strip("<>") or None
    name = part.get_filename() or f"{n}.{_ENDINGS.get(part.get_content_type(), part.get_content_subtype())}"
    return InspectedFile(n, name, part.get_content_type(), len(_bytes_of(part)), content_id)


def _bytes_of(part: "MIMEPart[Any, Any]") -> bytes:
    if part.is_multipart():  # message/rfc822 and its kin: their parts are messages, as they came
        inner = cast("list[Message[Any, Any]]", part.get_payload())
        return b"\r\n".join(_wire_of(message) for message in inner)
    content = part.get_payload(decode=True)
    return content if isinstance(content, bytes) else b""


def _wire_of(message: "Message[Any, Any]") -> bytes:
    try:
        return message.as_bytes(policy=policy.compat32.clone(linesep="\r\n"))
    except (LookupError, RecursionError, TypeError, ValueError):  # bytes that the generator can't write again
        return b""


class _HtmlFeatures(HTMLParser):
    """Counts what the HTML check reports."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.counts: dict[Code, int] = {}
        self.has_lang = self.has_title = False
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self._in_style = tag == "style"
        self.has_lang |= tag == "html" and bool(given.get("lang"))
        self.has_title |= tag == "title"
        if tag in _TAGS:
            self.note(_TAGS[tag])
        if tag == "link" and (given.get("rel") or "").lower() == "stylesheet":
            self.note("stylesheet")
        if tag == "img":
            self._picture(given)
        if tag in ("a", "area") and (href := (given.get("href") or "").strip()):
            self.links.append(href)
            if not re.match(r"[a-z][a-z0-9+.-]*:|#", href, re.IGNORECASE):
                self.note("relative_link")
        self._css(given.get("style") or "")

    def handle_endtag(self, tag: str) -> None:
        self._in_style = self._in_style and tag != "style"

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self._css(data)

    def note(self, code: Code) -> None:
        self.counts[code] = self.counts.get(code, 0) + 1

    def _picture(self, given: Mapping[str, str | None]) -> None:
        source = (given.get("src") or "").strip().lower()
        if "alt" not in given:
            self.note("alt")
        if source.startswith("data:"):
            self.note("data_image")
        elif source.startswith(("http:", "https:", "//")):
            self.note("remote_image")

    def _css(self, css: str) -> None:
        for code, pattern in _CSS.items():
            for _ in pattern.findall(css):
                self.note(code)


_TAGS: Mapping[str, Code] = {
    "script": "script",
    "form": "form",
    "input": "form",
    "video": "media",
    "audio": "media",
    "iframe": "media",
    "object": "media",
    "svg": "svg",
}
_CSS: Mapping[Code, re.Pattern[str]] = {
    "css_position": re.compile(r"\bposition\s*:\s*(?:absolute|fixed|sticky)", re.IGNORECASE),
    "css_layout": re.compile(r"\bdisplay\s*:\s*(?:inline-)?(?:flex|grid)", re.IGNORECASE),
    "css_background": re.compile(r"\bbackground(?:-image)?\s*:", re.IGNORECASE),
}


def _remarks(html: str | None, text: str | None, features: _HtmlFeatures) -> list[Remark]:
    remarks = [Remark(code, count) for code, count in features.counts.items()]
    if html is not None:
        if len(html.encode()) > GMAIL_CLIPS_AFTER_BYTES:
            remarks.append(Remark("clipped", 1))
        if not features.has_lang:
            remarks.append(Remark("lang", 1))
        if not features.has_title:
            remarks.append(Remark("title", 1))
    if text is None:
        remarks.append(Remark("no_text", 1))
    return sorted(remarks, key=lambda remark: remark.code)
