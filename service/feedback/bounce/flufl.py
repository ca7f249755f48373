"""What Mailman has learnt of servers that report in a form of their own, by its library `flufl.bounce`."""

import email
import logging

import structlog
from flufl.bounce import all_failures

from service.feedback.bounce.addresses import trim
from service.feedback.bounce.report import MailKind, RecipientStatus
from service.mail.parser import decode

#: Its patterns were written for mail of people's size; what they look for stands at the beginning.
_MAX_BYTES = 24 * 1024

_log = structlog.get_logger("feedback")
#: It logs each detector that it tries.
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL + 1)


def read_with_flufl(raw: bytes) -> list[RecipientStatus]:
    """Whom the library finds; it tells lasting from passing failures, and nothing more."""
    try:
        passing, lasting = all_failures(email.message_from_bytes(raw[:_MAX_BYTES]))
    except Exception as error:  # it says of itself that detectors may raise, and any mail may come
        _log.info("flufl_could_not_read", reason=type(error).__name__)
        return []
    found = [(address, MailKind.BOUNCE, "5.0.0") for address in sorted(lasting)]
    found += [(address, MailKind.DELAYED, "4.0.0") for address in sorted(set(passing) - set(lasting))]
    addresses = [(trim(decode(bytes(address), "utf-8").strip()), kind, status) for address, kind, status in found]
    return [RecipientStatus(kind, address, status) for address, kind, status in addresses if _is_address(address)]


def _is_address(text: str) -> bool:
    local, _, domain = text.rpartition("@")
    return bool(local and domain and not set(text) & set(" \t\r\n<>"))
