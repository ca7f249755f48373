"""Build what concerns the people we write to."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from service.config.settings import Settings
from service.mail.keys import MailKeys
from service.recipients.data_requests import DataRequests
from service.recipients.retention import RetentionPurge
from service.recipients.suppressions import SuppressionList
from service.recipients.unsubscribe import Unsubscriber
from service.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipients:
    """Suppressions, unsubscribing, requests about personal data, retention."""

    suppressions: SuppressionList
    unsubscriber: Unsubscriber
    data_requests: DataRequests
    retention_purge: RetentionPurge


def build_recipients(
    settings: Settings, database: Database, clock: Callable[[], datetime], *, keys: MailKeys
) -> Recipients:
    """Build; `keys` are those of pseudonyms and of unsubscribe links."""
    return Recipients(
        suppressions=SuppressionList(database, keys.pseudonym, clock),
        unsubscriber=Unsubscriber(database, keys.unsubscribe.accepted, clock),
        data_requests=DataRequests(database, keys.pseudonym, clock),
        retention_purge=RetentionPurge(database, settings, clock),
    )
