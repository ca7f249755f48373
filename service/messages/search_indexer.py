"""Fill the search index with accepted messages, about a minute behind acceptance and in small steps."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.store import search_index
from service.store.database import Database, Transaction

#: Messages in one transaction: some milliseconds of the writer.
STEP_MESSAGES = 50
#: Messages accepted within this time may not be committed yet; a search scans them without the index.
BEHIND = timedelta(seconds=60)
#: Between two steps, so that other writers get their turn.
REST_S = 0.05


@dataclass(frozen=True, slots=True)
class SearchIndexer:
    """Keeps the search index up to date."""

    database: Database
    clock: Callable[[], datetime]

    def catch_up(self, stop: threading.Event | None = None) -> int:
        """Index all messages that are old enough, until `stop`; returns how many. Raises StoreBusy."""
        done = 0
        while stop is None or not stop.is_set():
            before = self.clock() - BEHIND
            step = self.database.write(lambda tx, before=before: _step(tx, before))  # type: ignore[misc]
            done += step
            if step < STEP_MESSAGES:
                break
            if stop is not None:
                stop.wait(REST_S)
        return done


def _step(tx: Transaction, before: datetime) -> int:
    return search_index.index_step(tx, before=before, limit=STEP_MESSAGES)
