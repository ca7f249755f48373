"""The text of a report for people: its text parts as one text, without the returned mail."""

import re

from service.feedback.bounce.original_message import split_words
from service.mail.encoded_words import decode_words
from service.mail.html_tokens import unescape
from service.mail.parser import RETURNED_TYPES, MimePart

#: Elements that a browser does not show.
_INVISIBLE = re.compile(r"<(style|script|head)\b|<!--", re.IGNORECASE)
_BREAK = re.compile(r"<(?:br|/?p|/?div|/?tr|/?li|/?h\d|/?table|/?pre|hr)\b[^<>]*>", re.IGNORECASE)
#: A tag, and not an address in brackets.
_TAG = re.compile(r"</?[a-zA-Z][a-zA-Z0-9:]*(?:\s[^<>]*)?/?>")
_MAX_CHARACTERS = 100_000
_MAX_HEADER_CHARACTERS = 2_000

_WRITER = re.compile(
    r"mailer[-_ ]?daemon|post_?master|mail delivery|mail\.delivery|maildeliv|system administrator|mail admin"
    r"|administrator"
    r"|delivery subsystem|mail system|mmsc|sysadmin|no-?reply|amazonses|bounce|majordomo|listserv|-admin@|nobody@",
    re.IGNORECASE,
)
_SUBJECT = re.compile(
    r"undeliver|deliver\w{0,9}.{0,30}(?:fail|status|problem|error|delay|notif|report)|fail\w{0,9}.{0,30}(?:deliver"
    r"|notice|mail|send)"
    r"|return(?:ed|ing)?.{0,6}(?:mail|message|to sender)|(?:mail|message).{0,30}(?:fail|return|error|problem"
    r"|could not|not sent|blocked)"
    r"|could ?n[o']t.{0,20}(?:send|deliver)|non[- ]?(?:remis|deliver|recapit)|nondeliver|non livr|échec"
    r"|rejected|unzustellbar|zustell"
    r"|warning.{0,4}(?:could|message|mail|delay)|there was an error|not member|loop alert|エラー|配信|配送|送信でき"
    r"|no encontrad|bounce",
    re.IGNORECASE,
)


def words_of(mail: MimePart) -> tuple[str, MimePart | None]:
    """Return the text of this mail's text parts, and the headers of a mail that it quotes."""
    plain = [part.text for part in mail.walk() if _is_words(part) and part.content_type != "text/html"]
    text = "\n".join(plain)
    if not text.strip():
        text = "\n".join(strip_html(part.text) for part in mail.walk() if part.content_type == "text/html")
    elif re.match(r"\s*(?:<!doctype html|<html)", text, re.IGNORECASE):
        text = strip_html(text)
    return split_words(_unquote(text[:_MAX_CHARACTERS]))


def text_of(mail: MimePart) -> str:
    """Return the text of this mail's parts, quoted mails included."""
    texts = [strip_html(part.text) if part.content_type == "text/html" else part.text for part in mail.walk()]
    return _unquote("\n".join(texts)[:_MAX_CHARACTERS])


def strip_html(text: str) -> str:
    """Return the text of HTML; addresses in angle brackets stay."""
    text = _BREAK.sub("\n", _shown(text[: 4 * _MAX_CHARACTERS]))
    return unescape(_TAG.sub("", text)).replace("\u00a0", " ")


def _shown(text: str) -> str:
    """Remove elements that a browser hides, in one pass, also where they are never closed."""
    pieces, place, low = [], 0, text.lower()
    while opened := _INVISIBLE.search(text, place):
        end = f"</{opened[1].lower()}" if opened[1] else "-->"
        closed = low.find(end, opened.end())
        if closed < 0:
            break
        pieces.append(text[place : opened.start()])
        place = closed + len(end)
    return " ".join([*pieces, text[place:]])


def is_report(mail: MimePart) -> bool:
    """True if a program wrote this mail about failed mail, judging by sender and subject."""
    if mail.content_type == "multipart/report" or mail.header("x-failed-recipients"):
        return True
    if mail.header("return-path").strip() == "<>" or "daemon" in mail.header("return-path").lower():
        return True
    subject, writer = (decode_words(mail.header(name)[:_MAX_HEADER_CHARACTERS]) for name in ("subject", "from"))
    return bool(_SUBJECT.search(subject) or _WRITER.search(writer))


def _is_words(part: MimePart) -> bool:
    if part.children or part.content_type in RETURNED_TYPES:
        return False
    named = part.header("content-disposition").lower().startswith("attachment")
    return part.content_type.startswith("multipart/") or (part.content_type.startswith("text/") and not named)


def _unquote(text: str) -> str:
    """Remove the `>` of a forwarded text, where most lines have one."""
    lines = text.split("\n")
    quoted = sum(line.startswith(">") for line in lines)
    if quoted * 2 <= sum(bool(line.strip()) for line in lines):
        return text
    return "\n".join(re.sub(r"^> ?", "", line) for line in lines)
