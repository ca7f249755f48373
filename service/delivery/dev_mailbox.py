"""Development mailbox: a local SMTP server that keeps the last mails in memory and relays none.

Some addresses are refused or deferred on purpose (`mailbox_simulator`). It has no login, no encryption and no storage
on disk.
"""

import asyncio
import socket
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from service.delivery.mailbox_simulator import MailboxSimulator
from service.errors import ConfigurationError, TryLater
from service.mail.encoded_words import decode_words
from service.mail.parser import read_head

#: Largest accepted mail: the largest EMAIL_MAX_ATTACHMENT_SIZE_MB, encoded, with its bodies.
_MAX_MAIL_BYTES = 160 * 1024 * 1024
_MAX_SUBJECT_LENGTH = 1_000
#: Requests that wait for a mail at the same time.
MAX_LISTENERS = 200


@dataclass(frozen=True, slots=True)
class MailboxItem:
    """A received mail. `sender` and `to` are of the envelope, `subject` is decoded; `received_at` is UTC."""

    id: str
    sender: str
    to: tuple[str, ...]
    subject: str
    received_at: datetime
    size_bytes: int


Items = list[MailboxItem]


class DevMailbox:
    """Keeps the newest mails, up to `max_messages` and `max_total_bytes` altogether. Thread-safe."""

    def __init__(
        self,
        max_messages: int,
        *,
        max_total_bytes: int = 512 * 1024 * 1024,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._max_messages = max_messages
        self._max_total_bytes = max_total_bytes
        self._clock = clock
        self._simulator = MailboxSimulator()
        self._changed = threading.Condition()
        self._mails: OrderedDict[str, tuple[MailboxItem, bytes]] = OrderedDict()  # oldest first
        self._total_bytes = 0
        self._count = 0
        self._listeners: list[tuple[str | None, Callable[[], None]]] = []
        self._stopped = True
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen; returns the port, a free one for 0. Raises ConfigurationError where the port can't be bound."""
        try:
            listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except OSError as error:
            raise ConfigurationError([f"The mailbox can't listen on {host}:{port} ({error.strerror})."]) from error
        listening = int(listener.getsockname()[1])
        ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stopped = False
        self._thread = threading.Thread(
            target=self._serve, args=(self._loop, listener, ready), name="mailbox", daemon=True
        )
        self._thread.start()
        ready.wait()
        return listening

    def stop(self) -> None:
        """Close; mails stay readable, and calls that wait in `list` return. Stopping twice does nothing."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            listeners = [wake for _, wake in self._listeners]
        for wake in listeners:
            wake()
        loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is not None and thread is not None:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()

    def list(self, to: str | None = None, wait_s: float = 0) -> Items:
        """List the mails to this recipient (None: all), newest first; waits up to `wait_s` seconds for the first."""
        wanted = _wanted(to)

        def matching() -> Items:
            return [item for item, _ in reversed(self._mails.values()) if wanted is None or _is_to(item, wanted)]

        with self._changed:
            self._changed.wait_for(lambda: self._stopped or bool(matching()), timeout=max(wait_s, 0))
            return matching()

    @contextmanager
    def listening(self, to: str | None, wake: Callable[[], None]) -> Iterator[None]:
        """Call `wake` for each new mail to this recipient (None: all), and when the mailbox stops; in another thread.

        Raises TryLater where too many listen.
        """
        listener = _wanted(to), wake
        with self._changed:
            if len(self._listeners) >= MAX_LISTENERS:
                raise TryLater(f"{MAX_LISTENERS} requests wait for mail already.")
            self._listeners.append(listener)
        try:
            yield
        finally:
            with self._changed:
                self._listeners.remove(listener)

    def raw(self, mail_id: str) -> bytes | None:
        """Return the mail's bytes as they were received; None where it is unknown or was dropped."""
        with self._changed:
            found = self._mails.get(mail_id)
            return found[1] if found else None

    def clear(self) -> None:
        """Delete all mails."""
        with self._changed:
            self._mails.clear()
            self._total_bytes = 0

    def keep(self, sender: str, to: Sequence[str], content: bytes) -> str:
        """Store a mail and return its id. The oldest are dropped where there is no room."""
        written = next((value for name, value in read_head(content) if name.lower() == "subject"), "")
        subject = decode_words(written)[:_MAX_SUBJECT_LENGTH]
        with self._changed:
            self._count += 1
            item = MailboxItem(f"{self._count}", sender, tuple(to), subject, self._clock(), len(content))
            self._mails[item.id] = item, content
            self._total_bytes += len(content)
            while len(self._mails) > self._max_messages or (
                self._total_bytes > self._max_total_bytes and len(self._mails) > 1
            ):
                _, (oldest, _) = self._mails.popitem(last=False)
                self._total_bytes -= oldest.size_bytes
            self._changed.notify_all()
            listeners = [wake for wanted, wake in self._listeners if wanted is None or _is_to(item, wanted)]
        for wake in listeners:
            wake()
        return item.id

    def _serve(self, loop: asyncio.AbstractEventLoop, listener: socket.socket, ready: threading.Event) -> None:
        """Run the event loop in a thread of its own: the caller may run another loop."""
        asyncio.set_event_loop(loop)
        server = loop.run_until_complete(loop.create_server(lambda: self._session(loop), sock=listener))
        ready.set()
        loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    def _session(self, loop: asyncio.AbstractEventLoop) -> Any:
        return SMTP(
            _SmtpHandler(self, self._simulator),
            loop=loop,
            hostname="mailbox.localhost",
            ident="development mailbox",
            enable_SMTPUTF8=True,
            data_size_limit=min(_MAX_MAIL_BYTES, self._max_total_bytes),
        )


class _SmtpHandler:
    """Handler of aiosmtpd, which finds these methods by their names."""

    def __init__(self, mailbox: DevMailbox, simulator: MailboxSimulator) -> None:
        self._mailbox = mailbox
        self._simulator = simulator

    async def handle_EHLO(  # noqa: N802
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Offer PIPELINING too: commands are read one after the other, however they arrive."""
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", "250-ENHANCEDSTATUSCODES", responses[-1]]

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, rcpt_options: list[str]
    ) -> str:
        """Accept the recipient, or refuse it as its address asks."""
        reply = self._simulator.answer(address)
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
            envelope.rcpt_options.extend(rcpt_options)
        return reply

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Store the mail; the answer names it."""
        content = bytes(envelope.original_content or b"")
        mail_id = self._mailbox.keep(envelope.mail_from or "", envelope.rcpt_tos, content)
        return f"250 2.0.0 Ok: queued as mailbox-{mail_id}"


def _wanted(to: str | None) -> str | None:
    return to.strip().lower() if to else None


def _is_to(item: MailboxItem, wanted: str) -> bool:
    return any(address.lower() == wanted for address in item.to)
