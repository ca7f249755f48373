"""Who came before with this Idempotency-Key, what needs a thread, and the answer."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

import anyio
import anyio.to_thread

from service.errors import Conflict, InvalidRequest, Problem
from service.models import Caller, NewMessage, Status
from service.models.requests import AnySendRequest, BatchRequest, SendRequest, digest_of, parse
from service.sending.group_commit import GroupCommit
from service.sending.prepared_send import PreparedSend
from service.sending.rendering import SendRenderer
from service.store import messages
from service.store.database import Database

#: Up to this a body is read, checked and rendered in the event loop: a thread would cost more than it spares.
MAX_QUICK_BYTES = 64 * 1024
#: And what has not rendered longer than this lately: everybody else waits meanwhile.
MAX_QUICK_S = 0.005
#: Batches that are checked and rendered at a time, each in a thread: more would only take turns with each other, and
#: with the event loop.
MAX_BATCHES_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class AcceptedMessage:
    """One recipient's copy, as it was accepted."""

    id: str
    to: str
    status: Status


@dataclass(frozen=True, slots=True)
class Accepted:
    """The answer to a send. `replayed`: it was given before, under the same Idempotency-Key."""

    id: str
    template_key: str
    template_version: int
    template_revision: str
    messages: Sequence[AcceptedMessage]
    replayed: bool = False


class InFlightKeys:
    """The idempotency keys that this process is working on right now."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: set[tuple[str, str]] = set()

    @contextmanager
    def hold(self, caller_id: str, key: str) -> Iterator[None]:
        """Raises Conflict while another request of this process holds the same key."""
        with self._lock:
            if (caller_id, key) in self._keys:
                raise Conflict("A request with this Idempotency-Key is under way; ask again in a moment.")
            self._keys.add((caller_id, key))
        try:
            yield
        finally:
            with self._lock:
                self._keys.discard((caller_id, key))


@dataclass(frozen=True, slots=True)
class Acceptor:
    """Takes sends. What `drafter` has made ready is written by `intake`, which wakes the workers."""

    database: Database
    renderer: SendRenderer
    group_commit: GroupCommit
    in_flight: InFlightKeys = field(default_factory=InFlightKeys)
    batches: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(MAX_BATCHES_AT_ONCE))

    def send(
        self, order: AnySendRequest, caller: Caller, *, idempotency_key: str | None = None, is_test: bool = False
    ) -> Accepted:
        """Store one message for each recipient, durably, and wake the workers.

        A recipient who is suppressed or over a limit gets a row that says so, and no mail.

        What came before with this key is answered as it was then, whatever has become of the template. Raises
        InvalidRequest with every mistake, NotFound for an unknown template, Conflict for an inactive one or a key under
        way, TooLarge, TryLater where the template is broken, StoreBusy where nothing could be stored.
        """
        with self._held(caller, idempotency_key):
            if answer := self._replay(order, caller, idempotency_key):
                return answer
            parcel = self.renderer.render(order, caller, idempotency_key=idempotency_key, is_test=is_test)
            try:
                return _accepted(parcel, self.group_commit.submit(parcel))
            except messages.IdempotencyTaken:  # by another process, meanwhile
                if answer := self._replay(order, caller, idempotency_key):
                    return answer
                raise

    async def accept_send(self, body: bytes, caller: Caller, *, idempotency_key: str | None = None) -> Accepted:
        """The same for the body of `POST /send`, within an event loop; also raises MalformedRequest.

        What takes longer than a moment is done in a thread, and nothing waits for the database in one: as many requests
        as there are share a commit.
        """
        if len(body) > MAX_QUICK_BYTES:
            order = await anyio.to_thread.run_sync(parse, body, SendRequest)
        else:
            order = parse(body, SendRequest)
        is_quick = len(body) <= MAX_QUICK_BYTES and self.renderer.is_quick(order, within_s=MAX_QUICK_S)
        return await self._take(order, caller, idempotency_key, is_quick=is_quick, limiter=None)

    async def accept_batch(self, body: bytes, caller: Caller, *, idempotency_key: str | None = None) -> Accepted:
        """The same for the body of `POST /send/batch`: all of it or nothing, in one commit.

        Its letters are checked and rendered in a thread, a few batches at a time. One for a recipient who is suppressed
        or over a limit has a row that says so, and stops none of the others.
        """
        self.group_commit.require_room()
        async with self.batches:
            order = await anyio.to_thread.run_sync(parse, body, BatchRequest)
        return await self._take(order, caller, idempotency_key, is_quick=False, limiter=self.batches)

    async def _take(
        self,
        order: AnySendRequest,
        caller: Caller,
        idempotency_key: str | None,
        *,
        is_quick: bool,
        limiter: anyio.CapacityLimiter | None,
    ) -> Accepted:
        with self._held(caller, idempotency_key):
            if answer := await self._replayed(order, caller, idempotency_key):
                return answer
            if is_quick:
                parcel = self.renderer.render(order, caller, idempotency_key=idempotency_key)
            else:
                parcel = await anyio.to_thread.run_sync(self._draft, order, caller, idempotency_key, limiter=limiter)
            try:
                return _accepted(parcel, await self.group_commit.submit_async(parcel))
            except messages.IdempotencyTaken:
                if answer := await self._replayed(order, caller, idempotency_key):
                    return answer
                raise

    def _draft(self, order: AnySendRequest, caller: Caller, idempotency_key: str | None) -> PreparedSend:
        return self.renderer.render(order, caller, idempotency_key=idempotency_key)

    def _held(self, caller: Caller, idempotency_key: str | None) -> AbstractContextManager[None]:
        return nullcontext() if idempotency_key is None else self.in_flight.hold(caller.id, idempotency_key)

    async def _replayed(self, order: AnySendRequest, caller: Caller, idempotency_key: str | None) -> Accepted | None:
        if idempotency_key is None:
            return None
        if self.database.is_local and isinstance(order, SendRequest):
            return self._replay(order, caller, idempotency_key)
        return await anyio.to_thread.run_sync(self._replay, order, caller, idempotency_key)

    def _replay(self, order: AnySendRequest, caller: Caller, idempotency_key: str | None) -> Accepted | None:
        """What was answered to this key before. Raises InvalidRequest where that was another request."""
        if idempotency_key is None:
            return None
        since = self.renderer.clock() - messages.IDEMPOTENCY_WINDOW
        stored = messages.find_send(self.database, caller.id, idempotency_key, since=since)
        if stored is None:
            return None
        if stored.request_digest != digest_of(order):
            problem = Problem("", "idempotency_key_reused", "the key came before, with another body")
            raise InvalidRequest("This Idempotency-Key belongs to another request.", [problem])
        copies = [AcceptedMessage(item.id, item.recipient, item.status_at_accept) for item in stored.messages]
        return Accepted(
            stored.id, stored.template_key, stored.template_version, stored.template_revision, copies, replayed=True
        )


def _accepted(parcel: PreparedSend, stored: Sequence[NewMessage]) -> Accepted:
    send, copies = parcel.send, [AcceptedMessage(copy.id, copy.recipient, copy.status) for copy in stored]
    return Accepted(send.id, send.template_key, send.template_version, send.template_revision, copies)
