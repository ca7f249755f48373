"""Validation of attachments: file name, declared content type, and the type that the bytes really have.

Every mistake is returned as `(field, code, sentence)`, the field as the API calls it: filename, content_type or
data_base64. The total size is limited in `sending.validation`.
"""

import binascii
import csv
import hashlib
import io
import json
import mimetypes
import re
import unicodedata
from collections.abc import Callable, Collection, Mapping

import puremagic

from service.models import Attachment

#: A file name's limit on every common file system, in UTF-8 octets.
MAX_NAME_BYTES = 255

#: Endings of the same type.
_ALIASES = {"jpeg": "jpg"}

#: Content types that a caller may declare for an ending; the first is sent.
_CONTENT_TYPES: Mapping[str, tuple[str, ...]] = {
    "pdf": ("application/pdf", "application/x-pdf"),
    "png": ("image/png",),
    "jpg": ("image/jpeg", "image/jpg"),
    "json": ("application/json", "text/json"),
    "csv": ("text/csv", "application/csv"),
    "txt": ("text/plain",),
}


#: Many generators write a blank line or a byte order mark before the header of a PDF, and readers take it within 1,024
#: bytes (PDF Reference 1.7, H.3, note 13). Anything else before it may be a file of another type.
_PDF = re.compile(rb"(?:[\x00\t\n\f\r ]|\xef\xbb\xbf|\xfe\xff|\xff\xfe)*%PDF-")
_PDF_HEADER_WITHIN_BYTES = 1_024


def kind_of(filename: str) -> str:
    """Return the ending that decides the type, lower case, without its dot; "" without one."""
    stem, dot, ending = filename.rpartition(".")
    ending = ending.lower() if dot and stem else ""
    return _ALIASES.get(ending, ending)


def check(filename: str, content_type: str, data: bytes, *, allowed: Collection[str]) -> list[tuple[str, str, str]]:
    """Return every mistake of a file as `(field, code, sentence)`; empty: it may be sent.

    `allowed` are endings without dots, such as {"pdf", "csv"}. Codes: `filename`, `type_not_allowed`,
    `content_type`, `empty`, `content`.
    """
    problems = [("filename", "filename", sentence) for sentence in _name_problems(filename)]
    kind = kind_of(filename)
    kinds = {_ALIASES.get(ending.lower(), ending.lower()) for ending in allowed}
    if kind not in kinds:
        listed = ", ".join(f".{ending}" for ending in sorted(kinds)) or "none"
        problems.append(
            ("filename", "type_not_allowed", f"Files of this type may not be attached here; allowed: {listed}.")
        )
        return problems
    if _bare(content_type) not in _declarable(kind):
        expected = " or ".join(_declarable(kind)) or "a type that fits the ending"
        problems.append(("content_type", "content_type", f"A .{kind} file must be declared as {expected}."))
    if not data:
        problems.append(("data_base64", "empty", "The file is empty."))
    elif sentence := _content_problem(kind, data):
        problems.append(("data_base64", "content", sentence))
    return problems


def build(filename: str, content_type: str, data: bytes) -> Attachment:
    """Build the attachment of a file without mistakes, with the usual content type of its ending."""
    usual = _CONTENT_TYPES.get(kind_of(filename))
    return Attachment(filename, usual[0] if usual else _bare(content_type), data, hashlib.sha256(data).hexdigest())


def decode_base64(text: str) -> bytes:
    """Decode RFC 4648 base64; line breaks are ignored (MIME tools write them), nothing else is.

    Raises ValueError with a sentence for any other character, URL-safe digits included, and for wrong padding.
    """
    digits = text.replace("\r", "").replace("\n", "")
    try:
        data = binascii.a2b_base64(digits.encode("ascii"), strict_mode=True)
    except (binascii.Error, UnicodeEncodeError):
        data = None
    if data is None or len(digits) % 4:  # Python 3.11 accepts one = too many
        hint = " (without the data: prefix)" if text.startswith("data:") else ""
        raise ValueError(f"This is not base64 as in RFC 4648, section 4{hint}.")
    return data


def _name_problems(name: str) -> list[str]:
    problems = []
    if not name.strip():
        return ["The file has no name."]
    if any(character in name for character in "/\\:") or name in (".", ".."):
        problems.append("A file name must not contain a path: no /, no \\ and no colon.")
    if any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for character in name):
        problems.append("A file name must not contain control, invisible or direction characters.")
    if name.startswith("."):
        problems.append("A file name must not begin with a dot.")
    if name != name.strip() or name.endswith("."):
        problems.append("A file name must not begin or end with a blank or end with a dot.")
    if len(name.encode("utf-8", "replace")) > MAX_NAME_BYTES:
        problems.append(f"A file name must not be longer than {MAX_NAME_BYTES} octets.")
    return problems


def _bare(content_type: str) -> str:
    """Return the type without a charset parameter of UTF-8; any other parameter stays, and will not match."""
    value = content_type.strip().lower()
    kind, _, parameter = value.rpartition(";")
    return kind.rstrip() if parameter.strip() in ("charset=utf-8", 'charset="utf-8"') else value


def _declarable(kind: str) -> tuple[str, ...]:
    known = _CONTENT_TYPES.get(kind)
    if known:
        return known
    guessed = mimetypes.guess_type(f"file.{kind}")[0]
    return (guessed,) if guessed else ()


def _content_problem(kind: str, data: bytes) -> str | None:
    rule = _TEXT_RULES.get(kind)
    if rule is not None:
        return rule(data)
    if kind in _signatures(data) or (kind == "pdf" and _PDF.match(data[:_PDF_HEADER_WITHIN_BYTES])):
        return None
    return f"The content is not that of a .{kind} file."


def _signatures(data: bytes) -> set[str]:
    """Return the types whose signature these bytes have. A signature of less than three bytes proves nothing."""
    try:
        found = puremagic.magic_string(data)
    except (puremagic.PureError, ValueError):
        return set()
    endings = (match.extension.lstrip(".").lower() for match in found if len(match.byte_match or b"") >= 3)
    return {_ALIASES.get(ending, ending) for ending in endings}


def _json_problem(data: bytes) -> str | None:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    try:
        json.loads(data.decode("utf-8"), parse_constant=refuse)
    except RecursionError:
        return "The content is nested too deeply for JSON."
    except ValueError as error:
        return f"The content is not JSON: {error}."
    return None


def _csv_problem(data: bytes) -> str | None:
    if sentence := _text_problem(data):
        return sentence
    reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
    try:
        rows = sum(1 for row in reader if row)
    except csv.Error as error:
        return f"The content is not CSV: line {reader.line_num}: {error}."
    return None if rows else "The content has no rows."


def _text_problem(data: bytes) -> str | None:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return "The content is not UTF-8 text."
    if any(character < " " and character not in "\t\r\n\f" for character in text):
        return "The content holds control characters that text has not."
    return None


_TEXT_RULES: Mapping[str, Callable[[bytes], str | None]] = {
    "json": _json_problem,
    "csv": _csv_problem,
    "txt": _text_problem,
}
