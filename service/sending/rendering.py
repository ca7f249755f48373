"""A request, checked and rendered: a parcel for the intake. Nothing but attachments is stored here."""

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import uuid_utils

from service.config.settings import Settings
from service.errors import Conflict, InvalidRequest, NotFound, Problem, TemplateInvalid, TooLarge, TryLater
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
from service.sending import validation
from service.sending.message_factory import (
    UNSUBSCRIBE_VARIABLE,
    MessageDraft,
    MessageFactory,
    Recipient,
    has_unsubscribe_link,
)
from service.sending.prepared_send import PreparedSend, RenderedMessage
from service.store import attachments, revisions
from service.store.database import Database
from service.templates.catalogue import Catalogue
from service.templates.rendering import check_variables, render
from service.templates.revisions import Revisions
from service.templates.runtime.sandbox import RenderLimits
from service.templates.template import Template

MAX_SCHEDULE_AHEAD = timedelta(days=366)
#: Rendering so long at a time keeps the interpreter from others; then they get this moment, seconds.
_STRETCH_S = 0.001
_BREATH_S = 0.0005
#: Attachments that share a transaction: they must not sit in the write lock for long.
_FILES_AT_ONCE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Checked:
    """A letter in which no mistake was found. One rendering for all, or one for each who has a link of their own."""

    addressees: Sequence[Recipient]
    attachments: Sequence[Attachment]
    rendered: Sequence[Rendered]


class RenderTimes:
    """How long renderings took lately, by revision. Thread-safe enough: a lost entry is measured again.

    By the clock on the wall: to ask for the processor's time of one thread takes 80 us on some machines. A moment in
    which others had the machine weighs a fifth, and is forgotten.
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def of(self, template: Template) -> float | None:
        """Seconds; None where it has not rendered."""
        return self._seconds.get(template.revision)

    def note(self, template: Template, seconds: float) -> None:
        """The newest weighs a fifth."""
        if len(self._seconds) > 1_000:
            self._seconds.clear()
        known = self._seconds.get(template.revision)
        self._seconds[template.revision] = seconds if known is None else known + (seconds - known) * 0.2


@dataclass(frozen=True, slots=True)
class SendRenderer:
    """Validates and renders requests into prepared sends."""

    database: Database
    catalogue: Catalogue
    settings: Settings
    limits: RenderLimits
    messages: MessageFactory
    clock: Callable[[], datetime]
    revisions: Revisions = field(default_factory=Revisions)
    render_times: RenderTimes = field(default_factory=RenderTimes)

    def render(
        self, order: AnySendRequest, caller: Caller, *, idempotency_key: str | None, is_test: bool = False
    ) -> PreparedSend:
        """The request ready to be stored; only its attachments are stored already.

        Raises as `Acceptor.send`, but for what the intake raises.
        """
        now = self.clock()
        template = self._template(order, is_test=is_test)
        letters = order.message_requests
        problems = self._shared_problems(order, now)
        checked = list(self._checked(letters, template, order.locale, problems, is_test=is_test))
        copies_count = sum(len(one.addressees) for one in checked)
        if isinstance(order, BatchRequest) and copies_count > MAX_BATCH:
            problems.append(Problem("/messages", "too_many", f"at most {MAX_BATCH:,} copies in one batch"))
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
            request_digest=digest_of(order) if idempotency_key is not None else None,
            is_test=is_test,
        )
        source = order.source_endpoint or self._source(caller, template)
        drafted: list[RenderedMessage] = []
        for one, (_, letter) in zip(checked, letters, strict=True):
            draft = MessageDraft(send, template, order, letter, one.attachments, source)
            copies = [
                self.messages.message(draft, to, rendered)
                for to, rendered in zip(one.addressees, itertools.cycle(one.rendered), strict=False)
            ]
            # Those that share a rendering share their body.
            drafted += (
                [RenderedMessage.of(copies)]
                if len(one.rendered) == 1
                else [RenderedMessage.of([copy]) for copy in copies]
            )
        self._save_files(checked, now)
        return PreparedSend(send, drafted, self.revisions.of(template, now))

    def is_quick(self, order: AnySendRequest, *, within_s: float) -> bool:
        """Whether this needs neither the database nor a first rendering, which compiles, nor more time than that."""
        entry = self.catalogue.current.entries.get(order.template_key)
        if entry is None or entry.template is None or any(letter.attachments for _, letter in order.message_requests):
            return False
        template = entry.template
        if has_unsubscribe_link(template):
            return False
        cost_s = self.render_times.of(template)
        return (
            order.template_version in (None, template.manifest.version)
            and self.revisions.has(template)
            and (cost_s or 0.0) * len(order.message_requests) <= within_s
        )

    def _template(self, order: AnySendRequest, *, is_test: bool) -> Template:
        try:
            template = self.catalogue.current.get(order.template_key)
        except KeyError:
            problem = Problem("/template_key", "unknown_template", "there is no such template")
            raise NotFound(f"There is no template {order.template_key!r}.", [problem]) from None
        except TemplateInvalid:
            raise TryLater(
                f"The template {order.template_key!r} is broken and has no earlier revision to serve.",
                retry_after_s=30,
            ) from None
        if not template.manifest.active and not is_test:
            raise Conflict(f"The template {template.key!r} is inactive.")
        if order.template_version not in (None, template.manifest.version):
            return self._pinned(template, order.template_version)
        return template

    def _pinned(self, template: Template, version: int | None) -> Template:
        stored = revisions.latest_revision_of(self.database, template.key, version or 0)
        if stored is None:
            problem = Problem("/template_version", "unknown_version", "no mail was ever sent with this version")
            raise InvalidRequest(f"The template {template.key!r} has no version {version} to send.", [problem])
        return Template.from_archive(stored.archive, limits=self.limits)

    def _shared_problems(self, order: AnySendRequest, now: datetime) -> list[Problem]:
        problems: list[Problem] = []
        if len(to_json(order.metadata)) > MAX_METADATA_BYTES:
            problems.append(Problem("/metadata", "too_large", f"more than {MAX_METADATA_BYTES} bytes as JSON"))
        if order.reply_to is not None:
            validation.check_address(order.reply_to, "/reply_to", problems)
        if order.send_at is not None and order.send_at > now + MAX_SCHEDULE_AHEAD:
            problems.append(Problem("/send_at", "too_far", f"more than {MAX_SCHEDULE_AHEAD.days} days ahead"))
        return problems

    def _checked(
        self,
        letters: Sequence[tuple[str, MessageRequest]],
        template: Template,
        locale: str | None,
        problems: list[Problem],
        *,
        is_test: bool,
    ) -> Iterator[_Checked]:
        """Those in which no mistake was found; the mistakes of the others go to `problems`, each with its pointer."""
        since_breath_s = 0.0
        for place, letter in letters:
            if since_breath_s > _STRETCH_S:
                time.sleep(_BREATH_S)
                since_breath_s = 0.0
            began_s = time.perf_counter()
            try:
                yield self._check(letter, template, locale, is_test=is_test)
            except TooLarge as error:
                raise TooLarge(str(error), _placed(error.problems, place)) from None
            except InvalidRequest as error:
                problems += _placed(error.problems, place)
            took_s = time.perf_counter() - began_s
            since_breath_s += took_s
            self.render_times.note(template, took_s)

    def _check(self, letter: MessageRequest, template: Template, locale: str | None, *, is_test: bool) -> _Checked:
        """Raises InvalidRequest with every mistake, TooLarge."""
        problems: list[Problem] = []
        recipients = validation.check_recipients(letter.to, problems)
        files = validation.check_attachments(
            letter.attachments, template, self.settings, problems, required=not is_test
        )
        addressees = [self.messages.recipient(template, recipient) for recipient in recipients]
        each: list[Mapping[str, Any]] = [letter.variables]
        if has_unsubscribe_link(template) and (is_test or UNSUBSCRIBE_VARIABLE not in letter.variables):
            each = [{**letter.variables, UNSUBSCRIBE_VARIABLE: one.unsubscribe_url} for one in addressees] or each
        problems += check_variables(template, each[0], self.settings)
        if problems:
            raise InvalidRequest("The letter can't be sent as it is.", problems)
        return _Checked(addressees, files, [render(template, variables, locale) for variables in each])

    def _source(self, caller: Caller, template: Template) -> str:
        return template.manifest.category if caller.id in ("anonymous", "admin") else caller.name

    def _save_files(self, checked: Sequence[_Checked], now: datetime) -> None:
        """Each content once, a few MiB in a transaction."""
        distinct = {file.sha256: file for one in checked for file in one.attachments}
        together: list[Attachment] = []
        for file in distinct.values():
            together.append(file)
            if sum(one.size_bytes for one in together) >= _FILES_AT_ONCE_BYTES:
                attachments.save_blobs(self.database, together, now=now)
                together = []
        attachments.save_blobs(self.database, together, now=now)


def _placed(problems: Sequence[Problem], place: str) -> list[Problem]:
    return [replace(problem, pointer=place + problem.pointer) for problem in problems]
