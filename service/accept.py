"""VERB: request -> rows.

Everything that can be wrong is found here, while the caller still listens: all mistakes at once, before
anything is stored. Rendering happens here too, so a template error is the caller's 422 and a reload can't
change an accepted mail. What was answered with 201 is on disk.
"""

import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import anyio.to_thread
import uuid_utils

from service import addresses, admission
from service.addresses import Address
from service.enqueue import Intake, Parcel
from service.errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    Problem,
    RequestRefused,
    TemplateInvalid,
    TryLater,
)
from service.models import Attachment, Caller, NewMessage, Rendered, Send, Status
from service.requests import (
    MAX_METADATA_BYTES,
    SendRequest,
    digest_input,
    parse,
    to_json,
)
from service.revisions import Revisions
from service.settings import Settings
from service.store import archive, messages
from service.store.database import Database
from service.templates.catalogue import Catalogue
from service.templates.sandbox import Budget
from service.templates.template import Template

#: How long an Idempotency-Key is remembered.
IDEMPOTENCY_WINDOW = timedelta(hours=24)
#: How long a mail may wait where its template says nothing.
DEFAULT_EXPIRY = timedelta(hours=24)
MAX_SCHEDULE_AHEAD = timedelta(days=366)
#: Up to this a body is read, checked and rendered in the event loop: a thread would cost more than it spares.
MAX_QUICK_BYTES = 64 * 1024
#: What a request may meet whose Idempotency-Key has been answered before: then that answer counts.
_MAY_HAVE_AN_ANSWER = (messages.IdempotencyTaken, RequestRefused, TryLater)


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


class UnderWay:
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
class _Checked:
    """A request in which no mistake was found."""

    recipients: Sequence[Address]
    attachments: Sequence[Attachment]
    rendered: Rendered
    send_at: datetime


@dataclass(frozen=True, slots=True)
class Acceptor:
    """Takes sends. What it has made ready is written by `intake`, which wakes the workers.

    `domain` stands in each Message-ID; `pseudonym_key` turns addresses into pseudonyms.
    """

    database: Database
    catalogue: Catalogue
    settings: Settings
    budget: Budget
    pseudonym_key: bytes
    clock: Callable[[], datetime]
    intake: Intake
    domain: str
    under_way: UnderWay = field(default_factory=UnderWay)
    revisions: Revisions = field(default_factory=Revisions)

    def send(
        self, request: SendRequest, caller: Caller, *, idempotency_key: str | None = None, is_test: bool = False
    ) -> Accepted:
        """Store one message for each recipient, durably, and wake the workers.

        A recipient who is suppressed or over a limit gets a row that says so, and no mail.

        Raises InvalidRequest with every mistake, NotFound for an unknown template, Conflict for an inactive one or a
        key under way, TooLarge, TryLater where the template is broken, StoreBusy where nothing could be stored.
        """
        with self._held(caller, idempotency_key):
            try:
                parcel = self._parcel(request, caller, idempotency_key, is_test)
                return _accepted(parcel, self.intake.write(parcel))
            except _MAY_HAVE_AN_ANSWER:
                if answer := self._replay(request, caller, idempotency_key):
                    return answer
                raise

    async def take(self, body: bytes, caller: Caller, *, idempotency_key: str | None = None) -> Accepted:
        """The same for the body of `POST /send`, within an event loop; also raises MalformedRequest.

        What takes longer than a moment is done in a thread, and nothing waits for the database in one: as many requests
        as there are share a commit.
        """
        if len(body) > MAX_QUICK_BYTES:
            request = await anyio.to_thread.run_sync(parse, body, SendRequest)
        else:
            request = parse(body, SendRequest)
        with self._held(caller, idempotency_key):
            try:
                if len(body) <= MAX_QUICK_BYTES and self._is_quick(request):
                    parcel = self._parcel(request, caller, idempotency_key, False)
                else:
                    parcel = await anyio.to_thread.run_sync(self._parcel, request, caller, idempotency_key, False)
                return _accepted(parcel, await self.intake.written(parcel))
            except _MAY_HAVE_AN_ANSWER:
                if idempotency_key is None:
                    raise
                if answer := await anyio.to_thread.run_sync(self._replay, request, caller, idempotency_key):
                    return answer
                raise

    def _held(self, caller: Caller, idempotency_key: str | None) -> AbstractContextManager[None]:
        return nullcontext() if idempotency_key is None else self.under_way.hold(caller.id, idempotency_key)

    def _is_quick(self, request: SendRequest) -> bool:
        """Whether this needs neither the database nor a first rendering, which compiles."""
        entry = self.catalogue.current.entries.get(request.template_key)
        if entry is None or entry.template is None or request.attachments:
            return False
        template = entry.template
        return request.template_version in (None, template.manifest.version) and self.revisions.has(template)

    def _replay(self, request: SendRequest, caller: Caller, idempotency_key: str | None) -> Accepted | None:
        """What was answered to this key before. Raises InvalidRequest where that was another request."""
        if idempotency_key is None:
            return None
        since = self.clock() - IDEMPOTENCY_WINDOW
        stored = messages.find_send(self.database, caller.id, idempotency_key, since=since)
        if stored is None:
            return None
        if stored.request_digest != _digest(request):
            problem = Problem("", "idempotency_key_reused", "the key came before, with another body")
            raise InvalidRequest("This Idempotency-Key belongs to another request.", [problem])
        copies = [AcceptedMessage(item.id, item.recipient, item.status_at_accept) for item in stored.messages]
        return Accepted(
            stored.id, stored.template_key, stored.template_version, stored.template_revision, copies, replayed=True
        )

    def _parcel(self, request: SendRequest, caller: Caller, idempotency_key: str | None, is_test: bool) -> Parcel:
        """The request checked, rendered and ready to be stored; only its attachments are stored already."""
        now = self.clock()
        template = self._template(request, is_test=is_test)
        checked = self._check(request, template, now, is_test=is_test)
        send = Send(
            id=str(uuid_utils.uuid7()),
            caller_id=caller.id,
            caller_name=caller.name,
            template_key=template.key,
            template_version=template.manifest.version,
            template_revision=template.revision,
            created_at=now,
            idempotency_key=idempotency_key,
            request_digest=_digest(request) if idempotency_key is not None else None,
            is_test=is_test,
        )
        source = request.source_endpoint or self._source(caller, template)
        copies = [self._message(send, template, checked, address, request, source) for address in checked.recipients]
        archive.save_blobs(self.database, checked.attachments, now=now)
        return Parcel(send, copies, self.revisions.of(template, now))

    def _template(self, request: SendRequest, *, is_test: bool) -> Template:
        try:
            template = self.catalogue.current.get(request.template_key)
        except KeyError:
            problem = Problem("/template_key", "unknown_template", "there is no such template")
            raise NotFound(f"There is no template {request.template_key!r}.", [problem]) from None
        except TemplateInvalid:
            raise TryLater(
                f"The template {request.template_key!r} is broken and has no earlier revision to serve.",
                retry_after_s=30,
            ) from None
        if not template.manifest.active and not is_test:
            raise Conflict(f"The template {template.key!r} is inactive.")
        if request.template_version not in (None, template.manifest.version):
            return self._pinned(template, request.template_version)
        return template

    def _pinned(self, template: Template, version: int | None) -> Template:
        stored = archive.latest_revision_of(self.database, template.key, version or 0)
        if stored is None:
            problem = Problem("/template_version", "unknown_version", "no mail was ever sent with this version")
            raise InvalidRequest(f"The template {template.key!r} has no version {version} to send.", [problem])
        return Template.from_archive(stored.archive, budget=self.budget)

    def _check(self, request: SendRequest, template: Template, now: datetime, *, is_test: bool) -> _Checked:
        problems: list[Problem] = []
        recipients = admission.check_recipients(request.to, problems)
        files = admission.check_attachments(
            request.attachments, template, self.settings, problems, required=not is_test
        )
        problems += admission.check_variables(template, request.variables, self.settings)
        if len(to_json(request.metadata)) > MAX_METADATA_BYTES:
            problems.append(Problem("/metadata", "too_large", f"more than {MAX_METADATA_BYTES} bytes as JSON"))
        if request.reply_to is not None:
            admission.check_address(request.reply_to, "/reply_to", problems)
        if request.send_at is not None and request.send_at > now + MAX_SCHEDULE_AHEAD:
            problems.append(Problem("/send_at", "too_far", f"more than {MAX_SCHEDULE_AHEAD.days} days ahead"))
        if problems:
            raise InvalidRequest("The request can't be sent as it is.", problems)
        rendered = admission.render(template, request.variables, request.locale)
        return _Checked(recipients, files, rendered, max(now, request.send_at or now))

    def _source(self, caller: Caller, template: Template) -> str:
        return template.manifest.category if caller.id in ("anonymous", "admin") else caller.name

    def _message(
        self,
        send: Send,
        template: Template,
        checked: _Checked,
        recipient: Address,
        request: SendRequest,
        source: str,
    ) -> NewMessage:
        message_id = str(uuid_utils.uuid7())
        rendered, policy, settings = checked.rendered, template.manifest.delivery, self.settings
        expires_after = timedelta(seconds=policy.expires_after_s) if policy.expires_after_s else DEFAULT_EXPIRY
        return NewMessage(
            id=message_id,
            send_id=send.id,
            template_key=template.key,
            template_version=template.manifest.version,
            template_revision=template.revision,
            stream=template.manifest.stream,
            priority=policy.priority,
            recipient=recipient.spelling,
            recipient_hash=addresses.pseudonym(recipient.normalised, key=self.pseudonym_key),
            envelope_from=settings.smtp_from_email,
            from_header=rendered.from_header or addresses.header(settings.smtp_from_name, settings.smtp_from_email),
            reply_to=request.reply_to or rendered.reply_to or settings.smtp_reply_to,
            subject=rendered.subject,
            html=rendered.html,
            text=rendered.text,
            locale=rendered.locale,
            status=Status.QUEUED,
            created_at=send.created_at,
            next_attempt_at=checked.send_at,
            expires_at=checked.send_at + expires_after,
            attempts_max=policy.attempts or settings.smtp_retry_max_attempts,
            message_id=f"{message_id}@{self.domain}",
            date_at=checked.send_at.replace(microsecond=0),
            source_endpoint=source,
            variables=request.variables,
            metadata=request.metadata,
            attachments=checked.attachments,
            sla_s=policy.sla_s,
            is_test=send.is_test,
        )


def _accepted(parcel: Parcel, stored: Sequence[NewMessage]) -> Accepted:
    send, copies = parcel.send, [AcceptedMessage(copy.id, copy.recipient, copy.status) for copy in stored]
    return Accepted(send.id, send.template_key, send.template_version, send.template_revision, copies)


def _digest(request: SendRequest) -> str:
    return hashlib.sha256(digest_input("send", request)).hexdigest()
