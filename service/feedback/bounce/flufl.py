"""Bounce formats of single mail servers, parsed by Mailman's library `flufl.bounce`."""

import email
import logging

import structlog
from flufl.bounce import all_failures

from service.feedback.bounce.addresses import trim
from service.feedback.bounce.report import MailKind, RecipientStatus
from service.mail.charsets import decode

#: The library gets only the beginning, where its patterns match: they are slow on large mails.
_MAX_BYTES = 24 * 1024
_MAX_LINE_BYTES = 500
_MAX_PARTS = 30

_log = structlog.get_logger("feedback")
#: The library logs each detector that it tries.
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL + 1)


def read_with_flufl(raw: bytes) -> list[RecipientStatus]:
    """Return the recipients that the library finds; it only tells permanent from temporary failures."""
    # Some of its patterns take the square of a line's length.
    head = b"\n".join(line[:_MAX_LINE_BYTES] for line in raw[:_MAX_BYTES].splitlines())
    if head.lower().count(b"content-type:") > _MAX_PARTS:
        return []  # its detectors walk through all parts again and again
    try:
        temporary, permanent = all_failures(email.message_from_bytes(head))
    except Exception as error:  # its documentation says that detectors may raise
        _log.info("flufl_could_not_read", reason=type(error).__name__)
        return []
    found = [(address, MailKind.BOUNCE, "5.0.0") for address in sorted(permanent)]
    found += [(address, MailKind.DELAYED, "4.0.0") for address in sorted(set(temporary) - set(permanent))]
    addresses = [(trim(decode(bytes(address), "utf-8").strip()), kind, status) for address, kind, status in found]
    return [RecipientStatus(kind, address, status) for address, kind, status in addresses if _is_address(address)]


def _is_address(text: str) -> bool:
    local, _, domain = text.rpartition("@")
    return bool(local and domain and not set(text) & set(" \t\r\n<>"))
