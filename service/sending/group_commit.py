"""Group commit: one writer thread stores all waiting sends in one transaction."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import islice
from operator import attrgetter

from service.config.settings import Settings
from service.errors import StoreBusy
from service.models import NewMessage
from service.monitoring.metrics import Metrics
from service.sending.insert import store
from service.sending.notifier import WorkerNotifier
from service.sending.prepared_send import PreparedSend
from service.store import messages
from service.store.batcher import Batcher
from service.store.body_codec import CODECS_BYTES, PackedBody, Packer, PlainBody
from service.store.database import Database
from service.store.sized_cache import SizedCache

#: Messages that may wait for their transaction: one second's worth at 5,000 a second.
MAX_WAITING = 5_000
#: Messages in one transaction, so that other processes get their turn.
_MAX_BATCH = 256
_KEY_TAKEN = "This idempotency key has been used in the last 24 hours."


class GroupCommit:
    """Stores prepared sends, many in one transaction, and calls `notify_workers` after each."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        notify_workers: Callable[[], None],
        metrics: Metrics,
        *,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._metrics = metrics
        self._database = database
        self._settings = settings
        self._packers: SizedCache[bytes | None, Packer] = SizedCache(CODECS_BYTES, attrgetter("size_bytes"))
        self._notifier = WorkerNotifier(notify_workers)
        self._batcher: Batcher[PreparedSend, list[NewMessage]] = Batcher(
            self._store,
            name="group-commit",
            max_waiting=max_waiting,
            max_batch=_MAX_BATCH,
            full=lambda: StoreBusy("Too many requests wait to be stored."),
            size_of=attrgetter("size"),
        )

    @property
    def waiting(self) -> int:
        """How many messages wait for a transaction; those of the one under way are not counted."""
        return self._batcher.waiting

    def submit(self, prepared: PreparedSend) -> list[NewMessage]:
        """Store a send and return its messages as they were decided, once they are durable.

        A message to a suppressed recipient, or over a rate limit, is stored with that status. Attachments must be
        stored already: they have a transaction of their own.

        Raises IdempotencyTaken where the send's key is in use, StoreBusy where nothing was stored, also because too
        much waits; ValueError for lone surrogates.
        """
        return self._batcher.submit(prepared)

    async def submit_async(self, prepared: PreparedSend) -> list[NewMessage]:
        """Store as `submit` does, from an event loop."""
        return await self._batcher.submit_async(prepared)

    def require_room(self) -> None:
        """Raise StoreBusy while too much waits: before a request is read and rendered for nothing."""
        self._batcher.require_room()

    def close(self) -> None:
        """Store what waits, notify the workers, and end."""
        self._batcher.close()
        self._notifier.close()

    def _store(self, batch: Sequence[PreparedSend]) -> list[list[NewMessage] | Exception]:
        prepared = list(zip(batch, self._packed(batch), strict=True))
        stored = self._database.write(lambda tx: store(tx, prepared, self._settings))
        self._notifier.notify()
        self._metrics.accepted(Counter(message.status.value for sent in stored.values() for message in sent))
        return [stored.get(one.send.id) or messages.IdempotencyTaken(_KEY_TAKEN) for one in batch]

    def _packed(self, batch: Sequence[PreparedSend]) -> list[list[PackedBody]]:
        """The packed bodies of each send; those with one dictionary are packed together."""
        by_dictionary: dict[bytes | None, list[PlainBody]] = defaultdict(list)
        for prepared in batch:
            by_dictionary[prepared.revision.dictionary] += [rendered.body for rendered in prepared.rendered]
        packed = {
            dictionary: iter(self._packer(dictionary).pack_all(bodies)) for dictionary, bodies in by_dictionary.items()
        }
        return [list(islice(packed[prepared.revision.dictionary], len(prepared.rendered))) for prepared in batch]

    def _packer(self, dictionary: bytes | None) -> Packer:
        return self._packers.get(dictionary) or self._packers.put(dictionary, Packer(dictionary))
