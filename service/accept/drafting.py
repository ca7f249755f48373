"""A request, checked and rendered: a parcel for the intake. Nothing but attachments is stored here."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import uuid_utils

from service import addresses, admission, unsubscribe_link
from service.addresses import Address
from service.enqueue import Letter, Parcel
from service.errors import Conflict, InvalidRequest, NotFound, Problem, TemplateInvalid, TooLarge, TryLater
from service.models import Attachment, Caller, NewMessage, Rendered, Send, Status, Stream
from service.requests import MAX_BATCH, MAX_METADATA_BYTES, BatchRequest, LetterRequest, Order, digest_of, to_json
from service.revisions import Revisions
from service.settings import Settings
from service.store import archive
from service.store.database import Database
from service.templates.catalogue import Catalogue
from service.templates.sandbox import Budget
from service.templates.template import Template
from service.unsubscribe_link import Unsubscription

#: How long a mail may wait where its template says nothing.
DEFAULT_EXPIRY = timedelta(hours=24)
MAX_SCHEDULE_AHEAD = timedelta(days=366)
#: Rendering so long at a time keeps the interpreter from others; then they get this moment, seconds.
_STRETCH_S = 0.001
_BREATH_S = 0.0005
#: Attachments that share a transaction: they must not sit in the write lock for long.
_FILES_AT_ONCE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Checked:
    """A letter in which no mistake was found."""

    recipients: Sequence[Address]
    attachments: Sequence[Attachment]
    rendered: Rendered


class Costs:
    """What renderings took of the processor lately, by revision. Thread-safe enough: a lost entry is measured again."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def of(self, template: Template) -> float | None:
        """Seconds of a dear one among the last; None where it has not rendered."""
        return self._seconds.get(template.revision)

    def note(self, template: Template, seconds: float) -> None:
        """A dear one is remembered for some dozens of cheap ones."""
        if len(self._seconds) > 1_000:
            self._seconds.clear()
        self._seconds[template.revision] = max(seconds, self._seconds.get(template.revision, 0.0) * 0.95)


@dataclass(frozen=True, slots=True)
class Drafter:
    """Makes parcels. `domain` stands in each Message-ID; `pseudonym_key` turns addresses into pseudonyms."""

    database: Database
    catalogue: Catalogue
    settings: Settings
    budget: Budget
    pseudonym_key: bytes
    clock: Callable[[], datetime]
    domain: str
    revisions: Revisions = field(default_factory=Revisions)
    costs: Costs = field(default_factory=Costs)

    def draft(self, order: Order, caller: Caller, *, idempotency_key: str | None, is_test: bool = False) -> Parcel:
        """The request ready to be stored; only its attachments are stored already.

        Raises as `Acceptor.send`, but for what the intake raises.
        """
        now = self.clock()
        template = self._template(order, is_test=is_test)
        letters = order.letters
        problems = self._shared_problems(order, now)
        checked = list(self._checked(letters, template, order.locale, problems, is_test=is_test))
        copies_count = sum(len(one.recipients) for one in checked)
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
        drafted = [
            Letter.of([self._message(send, template, one, to, order, letter, source) for to in one.recipients])
            for one, (_, letter) in zip(checked, letters, strict=True)
        ]
        self._save_files(checked, now)
        return Parcel(send, drafted, self.revisions.of(template, now))

    def is_quick(self, order: Order, *, within_s: float) -> bool:
        """Whether this needs neither the database nor a first rendering, which compiles, nor more time than that."""
        entry = self.catalogue.current.entries.get(order.template_key)
        if entry is None or entry.template is None or any(letter.attachments for _, letter in order.letters):
            return False
        template = entry.template
        cost_s = self.costs.of(template)
        return (
            order.template_version in (None, template.manifest.version)
            and self.revisions.has(template)
            and (cost_s or 0.0) * len(order.letters) <= within_s
        )

    def _template(self, order: Order, *, is_test: bool) -> Template:
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
        stored = archive.latest_revision_of(self.database, template.key, version or 0)
        if stored is None:
            problem = Problem("/template_version", "unknown_version", "no mail was ever sent with this version")
            raise InvalidRequest(f"The template {template.key!r} has no version {version} to send.", [problem])
        return Template.from_archive(stored.archive, budget=self.budget)

    def _shared_problems(self, order: Order, now: datetime) -> list[Problem]:
        problems: list[Problem] = []
        if len(to_json(order.metadata)) > MAX_METADATA_BYTES:
            problems.append(Problem("/metadata", "too_large", f"more than {MAX_METADATA_BYTES} bytes as JSON"))
        if order.reply_to is not None:
            admission.check_address(order.reply_to, "/reply_to", problems)
        if order.send_at is not None and order.send_at > now + MAX_SCHEDULE_AHEAD:
            problems.append(Problem("/send_at", "too_far", f"more than {MAX_SCHEDULE_AHEAD.days} days ahead"))
        return problems

    def _checked(
        self,
        letters: Sequence[tuple[str, LetterRequest]],
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
            began_s = time.thread_time()
            try:
                yield self._check(letter, template, locale, is_test=is_test)
            except TooLarge as error:
                raise TooLarge(str(error), _placed(error.problems, place)) from None
            except InvalidRequest as error:
                problems += _placed(error.problems, place)
            took_s = time.thread_time() - began_s
            since_breath_s += took_s
            self.costs.note(template, took_s)

    def _check(self, letter: LetterRequest, template: Template, locale: str | None, *, is_test: bool) -> _Checked:
        """Raises InvalidRequest with every mistake, TooLarge."""
        problems: list[Problem] = []
        recipients = admission.check_recipients(letter.to, problems)
        files = admission.check_attachments(letter.attachments, template, self.settings, problems, required=not is_test)
        problems += admission.check_variables(template, letter.variables, self.settings)
        if problems:
            raise InvalidRequest("The letter can't be sent as it is.", problems)
        return _Checked(recipients, files, admission.render(template, letter.variables, locale))

    def _source(self, caller: Caller, template: Template) -> str:
        return template.manifest.category if caller.id in ("anonymous", "admin") else caller.name

    def _message(
        self,
        send: Send,
        template: Template,
        checked: _Checked,
        recipient: Address,
        order: Order,
        letter: LetterRequest,
        source: str,
    ) -> NewMessage:
        message_id = str(uuid_utils.uuid7())
        rendered, policy, settings = checked.rendered, template.manifest.delivery, self.settings
        send_at = max(send.created_at, order.send_at or send.created_at)
        expires_after = timedelta(seconds=policy.expires_after_s) if policy.expires_after_s else DEFAULT_EXPIRY
        recipient_hash = addresses.pseudonym(recipient.normalised, key=self.pseudonym_key)
        unsubscribe_url = None
        if template.manifest.stream is Stream.MARKETING:
            who = Unsubscription(recipient_hash, message_id)
            unsubscribe_url = unsubscribe_link.url(settings.email_public_url, who, key=self.pseudonym_key)
        return NewMessage(
            id=message_id,
            send_id=send.id,
            template_key=template.key,
            template_version=template.manifest.version,
            template_revision=template.revision,
            stream=template.manifest.stream,
            priority=policy.priority,
            recipient=recipient.spelling,
            recipient_hash=recipient_hash,
            envelope_from=settings.envelope_from(message_id, key=self.pseudonym_key),
            from_header=rendered.from_header or addresses.header(settings.smtp_from_name, settings.smtp_from_email),
            reply_to=order.reply_to or rendered.reply_to or settings.smtp_reply_to,
            subject=rendered.subject,
            html=rendered.html,
            text=rendered.text,
            locale=rendered.locale,
            status=Status.QUEUED,
            created_at=send.created_at,
            next_attempt_at=send_at,
            expires_at=send_at + expires_after,
            attempts_max=policy.attempts or settings.smtp_retry_max_attempts,
            message_id=f"{message_id}@{self.domain}",
            date_at=send_at.replace(microsecond=0),
            source_endpoint=source,
            variables=letter.variables,
            metadata=order.metadata,
            attachments=checked.attachments,
            sla_s=policy.sla_s,
            is_test=send.is_test,
            unsubscribe_url=unsubscribe_url,
        )

    def _save_files(self, checked: Sequence[_Checked], now: datetime) -> None:
        """Each content once, a few MiB in a transaction."""
        distinct = {file.sha256: file for one in checked for file in one.attachments}
        together: list[Attachment] = []
        for file in distinct.values():
            together.append(file)
            if sum(one.size_bytes for one in together) >= _FILES_AT_ONCE_BYTES:
                archive.save_blobs(self.database, together, now=now)
                together = []
        archive.save_blobs(self.database, together, now=now)


def _placed(problems: Sequence[Problem], place: str) -> list[Problem]:
    return [replace(problem, pointer=place + problem.pointer) for problem in problems]
