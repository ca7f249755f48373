"""VERB: accepted messages -> words by which they are found, behind accepting and in small steps."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.store import search_index
from service.store.database import Database, Transaction

#: Some milliseconds of the writer.
STEP_MESSAGES = 50
#: What was accepted within this time may still be on its way into the database; a search looks it through by itself.
BEHIND = timedelta(seconds=60)
#: Between two steps while there is something to do: others write meanwhile.
REST_S = 0.05


@dataclass(frozen=True, slots=True)
class SearchIndexer:
    """Keeps the index of words up to date."""

    database: Database
    clock: Callable[[], datetime]

    def catch_up(self, stop: threading.Event | None = None) -> int:
        """Takes in all that is old enough, until `stop`; how many messages that were. Raises StoreBusy."""
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
