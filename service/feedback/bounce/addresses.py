"""Parse addresses as mail servers write them into reports: typed, in brackets, xtext, UTF-8, with punctuation."""

import re

_LOCAL = r'(?:"(?:[^"\\\n]|\\.){1,64}"|[^\s<>()\[\],;:"@\\\x00-\x20]{1,128})'
_DOMAIN = r"(?:[\w\u0080-\U0010ffff](?:[\w.\-\u0080-\U0010ffff]{0,252}[\w\u0080-\U0010ffff])?|\[[\d.]+\])"
ADDRESS = re.compile(rf"{_LOCAL}@{_DOMAIN}")
_TYPE = re.compile(r"^\s*(?:rfc ?822|utf-8|smtp|x400|unknown|local|system|x-local|dns|internet)\s*;\s*", re.IGNORECASE)
_UNICODE_XTEXT = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_XTEXT = re.compile(r"\+([0-9A-F]{2})")


def address_of(value: str) -> str | None:
    """Parse the address of a field such as `rfc822; <a@b.example>`; None without one."""
    typed = _TYPE.match(value)
    value = value[typed.end() :] if typed else value
    if "\\x{" in value:
        value = _UNICODE_XTEXT.sub(_character, value)  # RFC 6533, 3: utf-8-addr-xtext
    found = ADDRESS.search(value)
    return trim(found[0]) if found else None


def addresses_in(text: str) -> list[str]:
    """Find all addresses in a text, each once, in order."""
    return list(dict.fromkeys(trim(found[0]) for found in ADDRESS.finditer(text)))


def trim(address: str) -> str:
    """Remove punctuation and prefixes from an address."""
    address = re.sub(r"^(?:dda:)?(?:smtp|mailto|rfc822|to)[:=;]", "", address.strip("<>"), flags=re.IGNORECASE)
    local, _, domain = address.rpartition("@")
    return f"{local.lstrip(chr(39) + '`*.|') or local}@{domain.rstrip('.-_')}"


def without_xtext(address: str) -> str:
    """Decode xtext (RFC 3461, 4: `+3D` is `=`). Only for known xtext: a plus is also an ordinary letter."""
    return _XTEXT.sub(lambda found: chr(int(found[1], 16)), address)


def _character(found: re.Match[str]) -> str:
    number = int(found[1], 16)
    return chr(number) if number < 0x110000 and not 0xD800 <= number < 0xE000 else found[0]
