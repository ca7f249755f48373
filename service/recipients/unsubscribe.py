"""VERB: a link in a mail -> no more marketing to whom it was written.

What it never does: anything on a GET. Programs that look for harmful links open every one of them.
"""

from collections.abc import Callable
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
    """Reads links and ends marketing. `signing_key` is what they were signed with."""

    database: Database
    signing_key: bytes
    clock: Callable[[], datetime]

    def state(self, token: str) -> Literal["subscribed", "unsubscribed"]:
        """Whether marketing still goes to whom this link was sent. Raises NotFound for a link that is not ours."""
        who = self._read(token)
        found = suppressions.find(self.database, [who.recipient_hash], Stream.MARKETING)
        return "unsubscribed" if found else "subscribed"

    def unsubscribe(self, token: str) -> None:
        """No more marketing; once more is the same as once. Raises NotFound for a link that is not ours, StoreBusy.

        The address is noted with it as long as the message still knows it; afterwards its keyed hash does.
        """
        who, now = self._read(token), self.clock()

        def work(tx: Transaction) -> None:
            message = message_queries.get(tx, who.message_id, now=now)
            knows = message is not None and message.anonymised_at is None
            suppression = Suppression(
                id=str(uuid_utils.uuid7()),
                address=message.recipient if message is not None and knows else None,
                recipient_hash=who.recipient_hash,
                scope="marketing",
                reason="unsubscribe",
                source="unsubscribe",
                since=now,
                event_id=who.message_id,
            )
            suppressions.add(tx, suppression)

        self.database.write(work)

    def _read(self, token: str) -> Unsubscription:
        try:
            return unsubscribe_token.read(token, key=self.signing_key)
        except TokenForged as error:
            raise NotFound(str(error)) from None
