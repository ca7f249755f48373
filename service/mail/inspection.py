"""Inspection of a mail's bytes for the development mailbox: headers, parts, links, sizes and an HTML check.

The HTML check names what well-known mail programs do not show, or show otherwise (https://www.caniemail.com). It only
informs; the rules for our own templates are those of `rgz-email check`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from service.mail.encoded_words import decode_words
from service.mail.html_tokens import HtmlToken, tokens
from service.mail.parameters import parse_parameters
from service.mail.parser import Bounds, MimePart, read_head, read_whole

#: Gmail shows no more of the HTML part than this, and a link to the rest.
GMAIL_CLIPS_AFTER_BYTES = 102 * 1024
#: Characters of each body that are shown and checked, of a subject and of a file's name; links that are listed.
MAX_SHOWN_CHARACTERS = 2 * 1024 * 1024
_MAX_SUBJECT_LENGTH = 1_000
_MAX_NAME_LENGTH = 255
_MAX_LINKS = 1_000
#: Our own mails have a handful of parts, three deep.
_BOUNDS = Bounds(parts=500, depth=20)

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
    mail = read_whole(raw, _BOUNDS)
    bodies = _bodies(mail)
    html, text = (_shown(bodies.get(kind)) for kind in ("html", "plain"))
    features = _HtmlFeatures()
    if html is not None:
        features.read(html)
    parts = [_described(n, part) for n, part in enumerate(_files(mail))]
    plain_links = re.findall(r"https?://[^\s<>\"')\]]+", text or "")
    sizes = {kind: len(part.text.encode()) for kind, part in bodies.items()}
    return Inspection(
        subject=decode_words(mail.header("subject"))[:_MAX_SUBJECT_LENGTH],
        headers=[(name, decode_words(value)) for name, value in read_head(raw)],
        html=html,
        text=text,
        parts=parts,
        links=list(dict.fromkeys([*features.links, *plain_links]))[:_MAX_LINKS],
        remarks=_remarks(sizes, features),
        sizes_bytes={
            "all": len(raw),
            "html": sizes.get("html", 0),
            "text": sizes.get("plain", 0),
            "attachments": sum(part.size_bytes for part in parts),
        },
    )


def uninspected(raw: bytes) -> Inspection:
    """Return what is known of a mail without looking into it: its size."""
    return Inspection("", (), None, None, (), (), (), {"all": len(raw), "html": 0, "text": 0, "attachments": 0})


def file(raw: bytes, n: int) -> tuple[InspectedFile, bytes] | None:
    """Return the nth attached file with its bytes, or None."""
    files = _files(read_whole(raw, _BOUNDS))
    return (_described(n, files[n]), files[n].content) if 0 <= n < len(files) else None


def embedded_images(raw: bytes) -> dict[str, tuple[str, bytes]]:
    """Return content type and bytes of the images that HTML may show by their Content-ID."""
    files = _files(read_whole(raw, _BOUNDS))
    described = [(_described(n, part), part) for n, part in enumerate(files)]
    return {
        one.content_id: (one.content_type, part.content)
        for one, part in reversed(described)
        if one.content_id and one.content_type.startswith("image/")
    }


def _leaves(mail: MimePart) -> list[MimePart]:
    return [part for part in mail.walk() if not part.children]


def _bodies(mail: MimePart) -> dict[str, MimePart]:
    """Return the parts that a reader shows: the first of each kind that is not attached."""
    found: dict[str, MimePart] = {}
    for part in _leaves(mail):
        kind, _, subtype = part.content_type.partition("/")
        # A multipart without a part is the text before its first boundary.
        subtype = "plain" if kind == "multipart" else subtype
        if kind in ("text", "multipart") and subtype in ("html", "plain") and not _is_attached(part):
            found.setdefault(subtype, part)
    return found


def _is_attached(part: MimePart) -> bool:
    return parse_parameters(part.header("content-disposition"))[0] == "attachment"


def _files(mail: MimePart) -> list[MimePart]:
    bodies = {id(part) for part in _bodies(mail).values()}
    return [part for part in _leaves(mail) if id(part) not in bodies]


def _shown(part: MimePart | None) -> str | None:
    return part.text[:MAX_SHOWN_CHARACTERS] if part is not None else None


def _described(n: int, part: MimePart) -> InspectedFile:
    content_id = part.header("content-id").strip().strip("<>")[:_MAX_NAME_LENGTH] or None
    _, parameters = parse_parameters(part.header("content-disposition"))
    content_type = part.content_type[:_MAX_NAME_LENGTH]
    ending = _ENDINGS.get(content_type, content_type.partition("/")[2])
    name = parameters.get("filename") or part.parameters.get("name") or f"{n}.{ending}"
    return InspectedFile(n, name[:_MAX_NAME_LENGTH], content_type, len(part.content), content_id)


class _HtmlFeatures:
    """Counts what the HTML check reports."""

    def __init__(self) -> None:
        self.links: list[str] = []
        self.counts: dict[Code, int] = {}
        self.has_lang = self.has_title = False

    def read(self, html: str) -> None:
        for token in tokens(html):
            if token.kind == "open":
                self._tag(token)
            elif token.kind == "raw" and token.name == "style":
                self._css(token.text)

    def _tag(self, token: HtmlToken) -> None:
        tag, given = token.name, dict(token.attributes)
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
        for declaration in css.split(";"):
            found = _BACKGROUND.search(declaration)
            if found and "url(" in declaration[found.end() :].lower():
                self.note("css_background")


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
}
_BACKGROUND = re.compile(r"\bbackground(?:-image)?\s*:", re.IGNORECASE)


def _remarks(sizes: Mapping[str, int], features: _HtmlFeatures) -> list[Remark]:
    remarks = [Remark(code, count) for code, count in features.counts.items()]
    if "html" in sizes:
        if sizes["html"] > GMAIL_CLIPS_AFTER_BYTES:
            remarks.append(Remark("clipped", 1))
        if not features.has_lang:
            remarks.append(Remark("lang", 1))
        if not features.has_title:
            remarks.append(Remark("title", 1))
    if "plain" not in sizes:
        remarks.append(Remark("no_text", 1))
    return sorted(remarks, key=lambda remark: remark.code)
