"""Validate and render a request into a prepared send. Only attachments are stored here."""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import structlog
import uuid_utils

from service.config.settings import Settings
from service.errors import InvalidRequest, Problem, StoreBusy, TooLarge
from service.models import Attachment, Caller, Rendered, Send
from service.models.requests import (
    MAX_BATCH,
    MAX_METADATA_BYTES,
    AnySendRequest,
    BatchRequest,
    MessageRequest,
    digest_of,
    to_json,
)
from service.monitoring.template_refusals import TemplateRefusals
from service.sending import validation
from service.sending.message_factory import (
    UNSUBSCRIBE_VARIABLE,
    MessageDraft,
    MessageFactory,
    Recipient,
    has_unsubscribe_link,
)
from service.sending.prepared_send import PreparedSend, RenderedMessage
from service.sending.template_choice import Choice, TemplateChooser, is_current
from service.store import attachments
from service.store.database import Database
from service.templates.rendering import check_variables, render
from service.templates.revisions import Revisions
from service.templates.template import Template

MAX_SCHEDULE_AHEAD = timedelta(days=366)
#: Clocks differ, and a request takes a while: a `send_at` this long ago means now.
MAX_SCHEDULE_BEHIND = timedelta(minutes=1)
#: After rendering this long at a stretch a thread pauses that long, so that the event loop gets its turn, seconds.
_STRETCH_S = 0.001
_BREATH_S = 0.0005
#: Attachments of one transaction, so that they don't hold the write lock for long.
_FILES_AT_ONCE_BYTES = 4 * 1024 * 1024

_log = structlog.get_logger("send")


@dataclass(frozen=True, slots=True)
class _Checked:
    """A valid message request. One rendering for all recipients, or one each where the unsubscribe link differs."""

    recipients: Sequence[Recipient]
    attachments: Sequence[Attachment]
    rendered: Sequence[Rendered]


class RenderTimes:
    """Moving average of rendering times by revision. Thread-safe enough: a lost entry is measured again.

    In wall time: reading one thread's CPU time takes 80 us on some machines. A measurement on a busy machine weighs a
    fifth, and fades.
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def of(self, template: Template) -> float | None:
        """The average in seconds; None where the revision has not rendered."""
        return self._seconds.get(template.revision)

    def note(self, template: Template, seconds: float) -> None:
        """Add a measurement, which weighs a fifth."""
        if len(self._seconds) > 1_000:
            self._seconds.clear()
        known = self._seconds.get(template.revision)
        self._seconds[template.revision] = seconds if known is None else known + (seconds - known) * 0.2


@dataclass(frozen=True, slots=True)
class SendRenderer:
    """Validates and renders requests into prepared sends."""

    database: Database
    chooser: TemplateChooser
    settings: Settings
    messages: MessageFactory
    clock: Callable[[], datetime]
    refusals: TemplateRefusals
    revisions: Revisions = field(default_factory=Revisions)
    render_times: RenderTimes = field(default_factory=RenderTimes)

    def render(
        self, request: AnySendRequest, caller: Caller, *, idempotency_key: str | None, is_test: bool = False
    ) -> PreparedSend:
        """Validate and render a request, and store its attachments.

        Raises as `Acceptor.send`, but for the errors of the group commit.
        """
        choice = self.chooser.choose(request, is_test=is_test)
        try:
            return self._rendered(choice, request, caller, idempotency_key=idempotency_key, is_test=is_test)
        except InvalidRequest:
            if not is_test and choice.preview is None:
                self.refusals.add(choice.template.key, choice.template.revision, choice.deployment_id)
            raise

    def _rendered(
        self, choice: Choice, request: AnySendRequest, caller: Caller, *, idempotency_key: str | None, is_test: bool
    ) -> PreparedSend:
        now, template = self.clock(), choice.template
        message_requests = request.message_requests
        problems = self._shared_problems(request, now)
        checked = list(self._checked(message_requests, template, request.locale, problems, is_test=is_test))
        copies_count = sum(len(one.recipients) for one in checked)
        if isinstance(request, BatchRequest) and copies_count > MAX_BATCH:
            problems.append(
                Problem("/messages", "too_many", f"at most {MAX_BATCH:,} messages in one batch, copies among them")
            )
        if problems:
            raise InvalidRequest("The request can't be sent as it is.", problems)
        send = Send(
            id=str(uuid_utils.uuid7()),
            caller_id=caller.id,
            caller_name=caller.name,
            template_key=template.key,
            template_version=template.manifest.version,
            template_revision=template.revision,
            created_at=now,
            idempotency_key=idempotency_key,
            request_digest=digest_of(request) if idempotency_key is not None else None,
            is_test=is_test,
            deployment_id=choice.deployment_id,
            git_commit=template.commit,
            template_ref=choice.preview,
        )
        source = request.source_endpoint or self._source(caller, template)
        rendered_messages: list[RenderedMessage] = []
        for one, (_, message_request) in zip(checked, message_requests, strict=True):
            draft = MessageDraft(send, template, request, message_request, one.attachments, source)
            new_messages = [
                self.messages.message(draft, to, rendered)
                for to, rendered in zip(one.recipients, itertools.cycle(one.rendered), strict=False)
            ]
            # Messages that share a rendering share their body.
            rendered_messages += (
                [RenderedMessage.of(new_messages)]
                if len(one.rendered) == 1
                else [RenderedMessage.of([message]) for message in new_messages]
            )
        prepared = PreparedSend(send, rendered_messages, choice.archived or self.revisions.of(template, now))
        try:
            self._save_files(send.id, checked, now)
        except BaseException:
            self.discard(prepared)
            raise
        return prepared

    def discard(self, prepared: PreparedSend) -> None:
        """Delete the attachments of a send that is not stored after all."""
        if not prepared.has_attachments:
            return
        try:
            attachments.discard(self.database, prepared.send.id, now=self.clock())
        except StoreBusy as error:
            _log.warning("store_busy", task="discard", reason=str(error))  # the purge deletes them

    def is_quick(self, request: AnySendRequest, *, within_s: float) -> bool:
        """Whether rendering needs no database, compiles nothing, and takes at most `within_s` by the last times."""
        entry = self.chooser.catalogue.current.entries.get(request.template_key)
        if (
            entry is None
            or entry.template is None
            or request.template_ref is not None
            or any(message_request.attachments for _, message_request in request.message_requests)
        ):
            return False
        template = entry.template
        if has_unsubscribe_link(template):
            return False
        cost_s = self.render_times.of(template)
        return (
            is_current(request, template)
            and self.revisions.has(template)
            and (cost_s or 0.0) * len(request.message_requests) <= within_s
        )

    def _shared_problems(self, request: AnySendRequest, now: datetime) -> list[Problem]:
        problems: list[Problem] = []
        if len(to_json(request.metadata)) > MAX_METADATA_BYTES:
            problems.append(Problem("/metadata", "too_large", f"more than {MAX_METADATA_BYTES} bytes as JSON"))
        if request.reply_to is not None:
            validation.check_address(request.reply_to, "/reply_to", problems)
        if request.send_at is not None and request.send_at > now + MAX_SCHEDULE_AHEAD:
            problems.append(Problem("/send_at", "too_far", f"more than {MAX_SCHEDULE_AHEAD.days} days ahead"))
        if request.send_at is not None and request.send_at < now - MAX_SCHEDULE_BEHIND:
            problems.append(Problem("/send_at", "in_the_past", "that time has passed; leave it out to send now"))
        return problems

    def _checked(
        self,
        message_requests: Sequence[tuple[str, MessageRequest]],
        template: Template,
        locale: str | None,
        problems: list[Problem],
        *,
        is_test: bool,
    ) -> Iterator[_Checked]:
        """Yield the valid message requests; mistakes of the others go to `problems`, each with its JSON pointer."""
        since_breath_s = 0.0
        for place, message_request in message_requests:
            if since_breath_s > _STRETCH_S:
                time.sleep(_BREATH_S)
                since_breath_s = 0.0
            began_s = time.perf_counter()
            try:
                yield self._check(message_request, template, locale, is_test=is_test)
            except TooLarge as error:
                raise TooLarge(str(error), _placed(error.problems, place)) from None
            except InvalidRequest as error:
                problems += _placed(error.problems, place)
            took_s = time.perf_counter() - began_s
            since_breath_s += took_s
            self.render_times.note(template, took_s)

    def _check(
        self, message_request: MessageRequest, template: Template, locale: str | None, *, is_test: bool
    ) -> _Checked:
        """Validate and render one message request. Raises InvalidRequest with every mistake, TooLarge."""
        problems: list[Problem] = []
        parsed = validation.check_recipients(message_request, problems)
        files = validation.check_attachments(
            message_request.attachments, template, self.settings, problems, required=not is_test
        )
        recipients = self.messages.recipients(template, parsed, is_test=is_test)
        each: list[Mapping[str, Any]] = [message_request.variables]
        if has_unsubscribe_link(template) and (is_test or UNSUBSCRIBE_VARIABLE not in message_request.variables):
            each = [
                {**message_request.variables, UNSUBSCRIBE_VARIABLE: one.unsubscribe_url} for one in recipients
            ] or each
        problems += check_variables(template, each[0], self.settings)
        if problems:
            raise InvalidRequest("The message can't be sent as it is.", problems)
        return _Checked(recipients, files, [render(template, variables, locale) for variables in each])

    def _source(self, caller: Caller, template: Template) -> str:
        return template.manifest.category if caller.id in ("anonymous", "admin") else caller.name

    def _save_files(self, send_id: str, checked: Sequence[_Checked], now: datetime) -> None:
        """Store each distinct attachment once, a few MiB in a transaction."""
        distinct = {file.sha256: file for one in checked for file in one.attachments}
        together: list[Attachment] = []
        for file in distinct.values():
            together.append(file)
            if sum(one.size_bytes for one in together) >= _FILES_AT_ONCE_BYTES:
                attachments.save_blobs(self.database, together, send_id=send_id, now=now)
                together = []
        attachments.save_blobs(self.database, together, send_id=send_id, now=now)


def _placed(problems: Sequence[Problem], place: str) -> list[Problem]:
    return [replace(problem, pointer=place + problem.pointer) for problem in problems]
