"""Unsubscribe by the link in a mail: suppresses marketing to its recipient.

Only a POST unsubscribes, never a GET: programs that scan for harmful links open every link.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import uuid_utils

from service.errors import NotFound
from service.mail import unsubscribe_token
from service.mail.unsubscribe_token import TokenForged, Unsubscription
from service.models import Stream
from service.store import message_queries, suppressions
from service.store.database import Database, Transaction
from service.store.suppressions import Suppression


@dataclass(frozen=True, slots=True)
class Unsubscriber:
    """Verifies links and ends marketing. `signing_keys` are the accepted keys of their signatures."""

    database: Database
    signing_keys: Sequence[bytes]
    clock: Callable[[], datetime]

    def state(self, token: str) -> Literal["subscribed", "unsubscribed"]:
        """Return whether the link's recipient still gets marketing. Raises NotFound for a link that is not ours."""
        unsubscription = self._read(token)
        found = suppressions.find(self.database, [unsubscription.recipient_hash], Stream.MARKETING)
        return "unsubscribed" if found else "subscribed"

    def unsubscribe(self, token: str) -> None:
        """Suppress marketing; idempotent. Raises NotFound for a link that is not ours, StoreBusy.

        The suppression holds the address as long as the message does, afterwards only its keyed hash.
        """
        unsubscription, now = self._read(token), self.clock()

        def work(tx: Transaction) -> None:
            message = message_queries.get(tx, unsubscription.message_id, now=now)
            is_in_clear = message is not None and message.anonymised_at is None
            suppression = Suppression(
                id=str(uuid_utils.uuid7()),
                address=message.recipient if message is not None and is_in_clear else None,
                recipient_hash=unsubscription.recipient_hash,
                scope="marketing",
                reason="unsubscribe",
                source="unsubscribe",
                since=now,
                event_id=unsubscription.message_id,
            )
            suppressions.add(tx, suppression)

        self.database.write(work)

    def _read(self, token: str) -> Unsubscription:
        try:
            return unsubscribe_token.read(token, keys=self.signing_keys)
        except TokenForged as error:
            raise NotFound(str(error)) from None
