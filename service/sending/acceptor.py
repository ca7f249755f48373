"""Accept sends: replay idempotent requests, render slow ones in a thread, return the stored result."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field

import anyio
import anyio.to_thread

from service.errors import Conflict, InvalidRequest, Problem
from service.models import Caller, NewMessage, Role, Status
from service.models.requests import AnySendRequest, BatchRequest, SendRequest, digest_of, parse
from service.sending.group_commit import GroupCommit
from service.sending.prepared_send import PreparedSend
from service.sending.rendering import SendRenderer
from service.store import messages
from service.store.database import Database

#: Bodies up to this size are parsed and rendered in the event loop: a thread would cost more than it saves.
MAX_QUICK_BYTES = 64 * 1024
#: And templates whose last renderings took no longer than this: all other requests wait meanwhile.
MAX_QUICK_S = 0.005
#: Batches that are validated and rendered at a time, each in a thread: more would only take turns with each other and
#: with the event loop.
MAX_BATCHES_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class AcceptedMessage:
    """One message of an accepted send."""

    id: str
    to: str
    status: Status
    role: Role


@dataclass(frozen=True, slots=True)
class Accepted:
    """The result of a send. `replayed`: it is that of an earlier request with the same Idempotency-Key."""

    id: str
    template_key: str
    template_version: int
    template_revision: str
    messages: Sequence[AcceptedMessage]
    replayed: bool = False


class InFlightKeys:
    """The idempotency keys of the requests that this process is working on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: set[tuple[str, str]] = set()

    @contextmanager
    def hold(self, caller_id: str, key: str) -> Iterator[None]:
        """Hold a key meanwhile. Raises Conflict while another request of this process holds it."""
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
    """Accepts sends: `renderer` prepares them, `group_commit` stores them and notifies the workers."""

    database: Database
    renderer: SendRenderer
    group_commit: GroupCommit
    in_flight: InFlightKeys = field(default_factory=InFlightKeys)
    batches: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(MAX_BATCHES_AT_ONCE))

    def send(
        self, request: AnySendRequest, caller: Caller, *, idempotency_key: str | None = None, is_test: bool = False
    ) -> Accepted:
        """Store one message for each recipient, durably, and notify the workers.

        A message to a suppressed recipient, or over a rate limit, is stored with that status and not sent.

        A request that was accepted before with this key gets the result of that time, whatever the template is now.
        Raises InvalidRequest with every mistake, NotFound for an unknown template, Conflict for an inactive one or for
        a key in use, TooLarge, TryLater where the template is broken, StoreBusy where nothing could be stored.
        """
        with self._held(caller, idempotency_key):
            if answer := self._replay(request, caller, idempotency_key):
                return answer
            prepared = self.renderer.render(request, caller, idempotency_key=idempotency_key, is_test=is_test)
            try:
                return _accepted(prepared, self.group_commit.submit(prepared))
            except Exception as error:
                self.renderer.discard(prepared)
                # Taken by another process, meanwhile.
                is_taken = isinstance(error, messages.IdempotencyTaken)
                if is_taken and (answer := self._replay(request, caller, idempotency_key)):
                    return answer
                raise

    async def accept_send(self, body: bytes, caller: Caller, *, idempotency_key: str | None = None) -> Accepted:
        """Accept the body of `POST /send` in an event loop. Raises as `send`, and MalformedRequest.

        Only what takes long runs in a thread, and no thread waits for the database, so that any number of requests
        share a commit.
        """
        if len(body) > MAX_QUICK_BYTES:
            request = await anyio.to_thread.run_sync(parse, body, SendRequest)
        else:
            request = parse(body, SendRequest)
        is_quick = len(body) <= MAX_QUICK_BYTES and self.renderer.is_quick(request, within_s=MAX_QUICK_S)
        return await self._take(request, caller, idempotency_key, is_quick=is_quick, limiter=None)

    async def accept_batch(self, body: bytes, caller: Caller, *, idempotency_key: str | None = None) -> Accepted:
        """Accept the body of `POST /send/batch` in an event loop: all of it or nothing, in one commit.

        Its messages are validated and rendered in a thread, a few batches at a time. One to a suppressed recipient, or
        over a rate limit, is stored with that status and stops none of the others. Raises as `accept_send`.
        """
        self.group_commit.require_room()
        async with self.batches:
            request = await anyio.to_thread.run_sync(parse, body, BatchRequest)
        return await self._take(request, caller, idempotency_key, is_quick=False, limiter=self.batches)

    async def _take(
        self,
        request: AnySendRequest,
        caller: Caller,
        idempotency_key: str | None,
        *,
        is_quick: bool,
        limiter: anyio.CapacityLimiter | None,
    ) -> Accepted:
        with self._held(caller, idempotency_key):
            if answer := await self._replayed(request, caller, idempotency_key):
                return answer
            if is_quick:
                prepared = self.renderer.render(request, caller, idempotency_key=idempotency_key)
            else:
                prepared = await anyio.to_thread.run_sync(
                    self._draft, request, caller, idempotency_key, limiter=limiter
                )
            try:
                return _accepted(prepared, await self.group_commit.submit_async(prepared))
            except Exception as error:
                if prepared.has_attachments:
                    await anyio.to_thread.run_sync(self.renderer.discard, prepared)
                is_taken = isinstance(error, messages.IdempotencyTaken)
                if is_taken and (answer := await self._replayed(request, caller, idempotency_key)):
                    return answer
                raise

    def _draft(self, request: AnySendRequest, caller: Caller, idempotency_key: str | None) -> PreparedSend:
        return self.renderer.render(request, caller, idempotency_key=idempotency_key)

    def _held(self, caller: Caller, idempotency_key: str | None) -> AbstractContextManager[None]:
        return nullcontext() if idempotency_key is None else self.in_flight.hold(caller.id, idempotency_key)

    async def _replayed(self, request: AnySendRequest, caller: Caller, idempotency_key: str | None) -> Accepted | None:
        if idempotency_key is None:
            return None
        if self.database.is_local and isinstance(request, SendRequest):
            return self._replay(request, caller, idempotency_key)
        return await anyio.to_thread.run_sync(self._replay, request, caller, idempotency_key)

    def _replay(self, request: AnySendRequest, caller: Caller, idempotency_key: str | None) -> Accepted | None:
        """The result of the earlier request with this key, if any. Raises InvalidRequest where its body differs."""
        if idempotency_key is None:
            return None
        since = self.renderer.clock() - messages.IDEMPOTENCY_WINDOW
        stored = messages.find_send(self.database, caller.id, idempotency_key, since=since)
        if stored is None:
            return None
        if stored.request_digest != digest_of(request):
            problem = Problem("", "idempotency_key_reused", "the key came before, with another body")
            raise InvalidRequest("This Idempotency-Key belongs to another request.", [problem])
        accepted = [
            AcceptedMessage(item.id, item.recipient, item.status_at_accept, item.role) for item in stored.messages
        ]
        return Accepted(
            stored.id, stored.template_key, stored.template_version, stored.template_revision, accepted, replayed=True
        )


def _accepted(prepared: PreparedSend, stored: Sequence[NewMessage]) -> Accepted:
    send = prepared.send
    accepted = [AcceptedMessage(message.id, message.recipient, message.status, message.role) for message in stored]
    return Accepted(send.id, send.template_key, send.template_version, send.template_revision, accepted)
