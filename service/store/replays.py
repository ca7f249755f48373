"""Variables of the last sends of a template, to try a new revision with them."""

from dataclasses import dataclass
from datetime import datetime

from service.store.database import Reader


@dataclass(frozen=True, slots=True)
class RecentSend:
    """What a caller sent: its variables as JSON, the language it was rendered in, and where it came from."""

    variables: str
    locale: str
    source_endpoint: str


def recent_variables(reader: Reader, key: str, *, since: datetime, limit: int) -> list[RecentSend]:
    """The newest sends of a template, without tests and without what is anonymised."""
    rows = reader.read(
        "SELECT variables, locale, source_endpoint FROM email_messages WHERE template_key = :key"
        " AND created_at >= :since AND anonymised_at IS NULL AND is_test = FALSE AND role = 'to' AND resend_of IS NULL"
        " ORDER BY created_at DESC, id DESC LIMIT :limit",
        {"key": key, "since": since, "limit": limit},
    )
    return [RecentSend(row["variables"], row["locale"], row["source_endpoint"]) for row in rows]
