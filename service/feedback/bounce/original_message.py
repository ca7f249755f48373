"""The original message that a report returns: its beginning in the text, and its headers."""

import re
from itertools import islice

from service.mail.parser import RETURNED_TYPES, MimePart, read_headers

_ID = re.compile(r"<\s*([^<>\s]{1,998})\s*>")
_HEADER_LINE = re.compile(
    r"^[ \t>|]{0,8}(received|from|to|subject|date|message-id|return-path|mime-version|content-type|x-[\w-]+"
    r"|reply-to"
    r"|dkim-signature|cc|x-mailer|content-transfer-encoding|delivered-to|sender|importance|thread-topic"
    r"|thread-index):",
    re.IGNORECASE | re.MULTILINE,
)
#: Words in the lines that announce a returned mail in the report's own text, after dashes or stars.
_RULED = re.compile(
    r"original (?:message|mail)|copy of (?:the|your) message|(?:returned|unsent|undelivered) message|message header"
    r"|header of the|begin(?:ning)? of|this is a copy|below this line|message follows|元の?メ|a copy of"
    r"|returned (?:mail|headers)|message text follows",
    re.IGNORECASE,
)
#: Announcements without dashes or stars around them.
_PLAIN = re.compile(
    r"\W{0,12}(?:original message (?:follows|headers?|header:|text)|original mail as follows|your original message"
    r"|return(?:ed)? (?:message|mail) follows"
    r"|(?:the )?(?:original|unsent|undelivered) (?:message|mail)(?: headers?)?(?: is| was)?(?: as)?"
    r"(?: (?:below|follows|attached|included))?[.:]"
    r"|received: (?:from|by) .{0,400}|received-header:.{0,400}"
    r"|(?:original )?message headers? follows?.{0,40}|message contents follow.{0,40})\s*",
    re.IGNORECASE,
)
#: Announcements that are unambiguous, whatever follows.
_CERTAIN = re.compile(r"\W{0,12}(?:below this line|this) is a copy of (?:the|your) message\b", re.IGNORECASE)
_LONGEST_ANNOUNCEMENT = 500
_MAX_HEADER_LINES = 1_000


def find_returned(mail: MimePart) -> MimePart | None:
    """Return the headers of the returned mail from its own part; None without such a part."""
    for part in mail.walk():
        if part.content_type in RETURNED_TYPES and part is not mail:
            found = read_headers(part.text.lstrip("\n"))
            if found.headers:
                return found
    return None


def split_words(text: str) -> tuple[str, MimePart | None]:
    """Split a text into a report's own words and the headers of the mail that follows them, if any."""
    place = _beginning(text)
    if place is None:
        return text, None
    rest = text[place:]
    first = _HEADER_LINE.search(rest)
    if first is None:
        return text[:place], None
    block = re.sub(r"^[ \t>|]{1,8}(?=[A-Za-z-]+:)", "", rest[first.start() :], flags=re.MULTILINE)
    return text[:place], read_headers(block.lstrip())


def rfc_message_id(returned: MimePart | None) -> str | None:
    """Return the Message-ID of the returned mail without brackets, or None."""
    if returned is None:
        return None
    value = returned.header("message-id")
    found = _ID.search(value)
    if found:
        return found[1]
    bare = value.strip()
    return bare if bare and " " not in bare and "@" in bare else None


def _beginning(text: str) -> int | None:
    """Return where the returned mail begins: at an announcement followed by headers, or at unannounced headers."""
    headers = [(found.start(), found[1].lower()) for found in islice(_HEADER_LINE.finditer(text), _MAX_HEADER_LINES)]
    place = 0
    for line in text.split("\n"):
        if _CERTAIN.match(line) or (
            _announces(line) and sum(place <= start < place + 4_000 for start, _ in headers) >= 2
        ):
            return place
        place += len(line) + 1
    for n, (place, _) in enumerate(headers):
        names = {name for start, name in headers[n : n + 40] if start < place + 1_500}
        if len(names & {"received", "from", "to", "subject", "date", "message-id", "return-path"}) >= 4:
            return place
    return None


def _announces(line: str) -> bool:
    if len(line) > _LONGEST_ANNOUNCEMENT:
        return False
    return bool((line[:24].count("-") + line[:24].count("*") >= 2 and _RULED.search(line)) or _PLAIN.fullmatch(line))
