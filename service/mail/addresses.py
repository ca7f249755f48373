"""E-mail addresses: parse, normalise, pseudonymise.

Whether a domain exists is not looked up. Names for special use (`.test`, `.local`, `localhost`) are accepted, because a
company's own network uses them and a test should not need a real domain.
"""

import hmac
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import email_validator

from service.errors import Problem

# The library's documented way to accept names for special use (RFC 6761); the relay may refuse them.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()

#: RFC 5321, 4.5.3.1: octets of a local part, of a domain, and of an address (a path of 256 less its two brackets).
MAX_LOCAL_BYTES = 64
MAX_DOMAIN_BYTES = 255
MAX_ADDRESS_BYTES = 254
#: A longer text is too long in ASCII whatever its domain is; it is refused unread.
_LONGEST_WRITTEN = 1_000

#: Nearly every address matches this, which is ten times cheaper than the library; the others go to the library.
_ORDINARY = re.compile(
    r"([A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*)@((?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+[A-Za-z]{2,})"
)
_PLAIN_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")


class AddressInvalid(ValueError):
    """This text is not an address that mail can be sent to; the message is a sentence for people."""


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox.

    `local` is the part before the @ in its own spelling, `domain` the A-label (lower-case ASCII) of the part behind it.
    `normalised` is the same for two spellings of one mailbox: local part and domain case-folded. `spelling` is the text
    as written, in Unicode's NFC.
    """

    local: str
    domain: str
    normalised: str
    spelling: str

    @property
    def wire(self) -> str:
        """The form of envelopes and headers, with the domain in ASCII."""
        return f"{self.local}@{self.domain}"

    @property
    def needs_smtputf8(self) -> bool:
        """True where only a server with SMTPUTF8 (RFC 6531) accepts the address."""
        return not self.local.isascii()


@dataclass(frozen=True, slots=True)
class NamedAddress:
    """A header's `Name <address>`; `name` is "" without one."""

    name: str
    address: Address


def parse(text: str) -> Address:
    """Parse an address; blanks around it are ignored.

    Raises AddressInvalid for everything else: line breaks, blanks, two @, quoted local parts (`"a b"@…`), address
    literals (`a@[192.0.2.1]`), names without a dot except localhost, parts beyond RFC 5321's lengths, and a local part
    with `=?`, which some readers would decode (CVE-2024-6923).
    """
    text = text.strip(" \t")
    matched = _ORDINARY.fullmatch(text)
    if matched and "--" not in matched[2]:
        local, domain, spelling = matched[1], matched[2].lower(), text
    else:
        local, domain, spelling = _validated(text)
    if len(text) >= MAX_LOCAL_BYTES or not text.isascii():  # a part is shorter than the whole
        _refuse_long(local, domain)
    return Address(local, domain, f"{_identity(local)}@{domain}", spelling)


def _identity(local: str) -> str:
    """The local part without regard to case. `casefold` would make one mailbox of groß and gross, ﬁ and fi, ſ and s."""
    return local.lower() if local.isascii() else unicodedata.normalize("NFC", local).lower()


def split_list(to: str | Sequence[str]) -> list[str]:
    """Split `a@x, b@y`, or a list, into single addresses without blanks around them; none is checked.

    Empty items of a text are dropped; the items of a list keep their positions, also where they are empty.
    """
    if isinstance(to, str):
        return [part for piece in to.split(",") if (part := piece.strip(" \t"))]
    return [item.strip(" \t") for item in to]


def parse_header(text: str) -> NamedAddress:
    """Parse a From or Reply-To value: `address`, `<address>`, `Name <address>` or `"Name, quoted" <address>`.

    Raises AddressInvalid for a bad address, and for control characters anywhere.
    """
    # U+FFFD stands for a character that was lost before it came here.
    if "\ufffd" in text or any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text):
        raise AddressInvalid("A name and address must be one line without control characters.")
    text = text.strip()
    if not text.endswith(">"):
        return NamedAddress("", parse(text))
    name, bracket, address = text[:-1].rpartition("<")
    if not bracket:
        raise AddressInvalid('Write it as "Name <address>".')
    name = name.strip()
    if len(name) >= 2 and name[0] == name[-1] == '"':
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    return NamedAddress(name, parse(address))


def header(name: str, address: str) -> str:
    """Return `Name <address>`, the name quoted where needed, for `parse_header`. Not yet encoded."""
    if not name:
        return address
    if _PLAIN_PHRASE.fullmatch(name) or not (name.isascii() or set(name) & set('"\\')):
        return f"{name} <{address}>"
    quoted = '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
    return f"{quoted} <{address}>"


def pseudonym(normalised: str, *, key: bytes) -> str:
    """Return the keyed hash of an address: HMAC-SHA256 (RFC 2104), 64 hex digits. Guessing needs the key."""
    return hmac.digest(key, normalised.encode("utf-8"), "sha256").hex()


def lookup(parameter: str, text: str, problems: list[Problem], *, key: bytes) -> str | None:
    """Return the pseudonym of a query parameter's address; None for a bad one, with a problem in `problems`."""
    try:
        # A "+" that the caller did not encode arrives as a space, and no address holds one.
        address = parse(text.strip().replace(" ", "+"))
    except AddressInvalid as error:
        problems.append(Problem("", parameter, f"{parameter}: {error}"))
        return None
    return pseudonym(address.normalised, key=key)


def _validated(text: str) -> tuple[str, str, str]:
    if not text:
        raise AddressInvalid("The address is empty.")
    if len(text) > _LONGEST_WRITTEN:
        raise AddressInvalid(f"The address is longer than {MAX_ADDRESS_BYTES} octets (RFC 5321).")
    # U+FFFD stands for a character that was lost before it came here.
    if "\ufffd" in text or any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text):
        raise AddressInvalid("An address must be one line without control characters.")
    if "=?" in text.partition("@")[0]:
        raise AddressInvalid("The part before the @ must not contain =?.")
    try:
        found = email_validator.validate_email(
            text, check_deliverability=False, globally_deliverable=False, strict=False, allow_smtputf8=True
        )
    except email_validator.EmailNotValidError as error:
        raise AddressInvalid(str(error)) from None
    domain = str(found.ascii_domain).lower()
    if "." not in domain and domain != "localhost":
        raise AddressInvalid("The part after the @ has no dot: write a complete domain, such as example.com.")
    spelling = unicodedata.normalize("NFC", text)
    local, written = str(found.local_part), spelling.rpartition("@")[0]
    # The library writes some names (INFO, Postmaster) in lower case; the spelling is the writer's.
    return written if written.casefold() == local.casefold() else local, domain, spelling


def _refuse_long(local: str, domain: str) -> None:
    octets = len(local.encode("utf-8"))
    if octets > MAX_LOCAL_BYTES:
        raise AddressInvalid(f"The part before the @ has {octets} octets; {MAX_LOCAL_BYTES} are allowed (RFC 5321).")
    if len(domain) > MAX_DOMAIN_BYTES or any(len(label) > 63 for label in domain.split(".")):
        raise AddressInvalid("The part after the @ is too long (RFC 5321 and 1035).")
    if octets + 1 + len(domain) > MAX_ADDRESS_BYTES:
        raise AddressInvalid(f"The address is longer than {MAX_ADDRESS_BYTES} octets (RFC 5321).")
