"""Search and read stored messages: lists, counts, details, bodies, attachments, the bytes on the wire.

A message that does not exist and one that the caller may not see look the same.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from service.errors import Gone, InvalidRequest, NotFound, Problem
from service.mail import addresses, message_builder
from service.mail.mime import Transfer
from service.models import Attachment, AttachmentInfo, Body, Caller, Event, Message, Origin, Scope, Status
from service.store import attachments, message_queries, revisions, search_index, sla, time_series
from service.store.database import Database
from service.store.message_queries import MessageQuery
from service.store.pages import Page
from service.store.time_series import Bucket, CountCache

__all__ = ["Bucket", "MessageDetail", "MessageSearch"]

#: Messages younger than this need not be in the search index.
NOT_BEHIND = timedelta(minutes=5)
#: Words of one search.
MAX_TERMS = 8
#: How far back `late` looks.
LATE_SINCE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class MessageDetail:
    """A message with its timeline, oldest event first, and where its template came from."""

    message: Message
    events: Sequence[Event]
    origin: Origin
    attachments: Sequence[AttachmentInfo]


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """What a list of messages asks for, as texts of a request; None leaves a filter out. Times are ISO 8601.

    `reason` is why a message is suppressed.
    """

    to: str | None = None
    status: str | None = None
    reason: str | None = None
    template_key: str | None = None
    source_endpoint: str | None = None
    since: str | None = None
    until: str | None = None
    text: str | None = None
    template_revision: str | None = None
    deployment: str | None = None
    commit: str | None = None


ALL_MESSAGES = MessageFilter()


@dataclass(frozen=True, slots=True)
class MessageSearch:
    """Reads messages; `pseudonym_key` turns an address into the hash by which its messages are found."""

    database: Database
    pseudonym_key: bytes
    clock: Callable[[], datetime]
    count_cache: CountCache = field(default_factory=CountCache)

    def search(
        self, wanted: MessageFilter = ALL_MESSAGES, *, limit: int = 50, cursor: str | None = None
    ) -> Page[Message]:
        """A page of messages, newest first. All words of `text` must match; `tech*` matches a prefix.

        Raises InvalidRequest with every wrong parameter.
        """
        problems: list[Problem] = []
        wanted = _by_header(wanted)
        terms = search_index.terms_of(wanted.text) if wanted.text is not None else []
        if wanted.text is not None and not 1 <= len(terms) <= MAX_TERMS:
            problems.append(Problem("", "text", f"text: write 1 to {MAX_TERMS} words of two characters or more"))
        query = self._query(wanted, problems)
        if not 1 <= limit <= 1_000:
            problems.append(Problem("", "limit", "limit: write a number from 1 to 1000"))
        if not problems:
            try:
                if terms:
                    return search_index.search(
                        self.database, terms, query, limit=limit, cursor=cursor, now=self.clock()
                    )
                return message_queries.search(self.database, query, limit=limit, cursor=cursor, now=self.clock())
            except ValueError:
                problems.append(Problem("", "cursor", "cursor: take it from `next` of the page before"))
        raise InvalidRequest("A parameter of this list is wrong.", problems)

    def searchable_up_to(self) -> datetime | None:
        """How far the search index reaches while it is behind; None while searches find everything."""
        at = search_index.indexed_up_to(self.database)
        newer = MessageQuery(since=at + timedelta(microseconds=1), until=self.clock() - NOT_BEHIND)
        page = message_queries.search(self.database, newer, limit=1, now=self.clock())
        return at if page.total > search_index.MAX_LOOKED_THROUGH else None

    def counts(self, edges: Sequence[datetime], wanted: MessageFilter = ALL_MESSAGES) -> list[Bucket]:
        """Counts of messages accepted between each edge and the next; `since`, `until` and `text` do not count.

        Raises InvalidRequest as `search` does.
        """
        problems: list[Problem] = []
        query = self._query(replace(_by_header(wanted), since=None, until=None), problems)
        if problems:
            raise InvalidRequest("A parameter of this list is wrong.", problems)
        return time_series.between(self.database, query, edges, now=self.clock(), cache=self.count_cache)

    def late(self, *, limit: int = 50) -> list[Message]:
        """Messages of the last 30 days that missed their template's SLA, or are late now; the newest first."""
        now = self.clock()
        return sla.late(self.database, now=now, since=now - LATE_SINCE, limit=limit)

    def detail(self, message_id: str, caller: Caller) -> MessageDetail:
        """A message with its events and attachments. Raises NotFound, also for another caller's message."""
        message = self._get(message_id)
        if not caller.may(Scope.ADMIN) and message.caller_id != caller.id:
            raise _no_message()
        return MessageDetail(
            message,
            message_queries.events(self.database, message_id),
            message_queries.origin(self.database, message.send_id),
            attachments.infos(self.database, message_id),
        )

    def variables(self, message_id: str) -> Mapping[str, Any]:
        """The template variables of a message; {} once it is anonymised. Raises NotFound."""
        found = message_queries.variables(self.database, message_id)
        if found is None:
            raise _no_message()
        return found

    def body(self, message_id: str) -> Body:
        """The HTML and text as they were sent. Raises NotFound, Gone."""
        self._get(message_id)
        body = message_queries.body(self.database, message_id)
        if body is None:
            raise Gone("This message has been anonymised; its content is gone.")
        return body

    def attachment(self, message_id: str, n: int) -> Attachment:
        """The nth attachment, counted from 0. Raises NotFound, Gone."""
        message = self._get(message_id)
        if message.anonymised_at is not None:
            raise Gone("This message has been anonymised; its attachments are gone.")
        found = attachments.get(self.database, message_id, n)
        if found is None:
            raise NotFound(f"This message has no attachment {n}; they count from 0.")
        return found

    def raw(self, message_id: str) -> bytes:
        """The bytes on the wire (RFC 5322), as sent or as they would be. Raises NotFound, Gone."""
        message = self._get(message_id)
        body = self.body(message_id)
        infos = attachments.infos(self.database, message_id)
        files = [self.attachment(message_id, info.n) for info in infos]
        transfer: Transfer = "8bit" if message.transfer_encoding == "8bit" else "quoted-printable"
        return message_builder.write(message, body, files).encode(transfer)

    def _query(self, wanted: MessageFilter, problems: list[Problem]) -> MessageQuery:
        """The query of a filter. Appends to `problems`."""
        return MessageQuery(
            to_hash=addresses.lookup("to", wanted.to, problems, key=self.pseudonym_key)
            if wanted.to is not None
            else None,
            status=_status(wanted.status, problems) if wanted.status is not None else None,
            suppressed_reason=wanted.reason,
            template_key=wanted.template_key,
            source_endpoint=wanted.source_endpoint,
            since=_moment("since", wanted.since, problems) if wanted.since is not None else None,
            until=_moment("until", wanted.until, problems) if wanted.until is not None else None,
            revisions=self._revisions(wanted.template_revision, problems)
            if wanted.template_revision is not None
            else None,
            deployment=_beginning("deployment", wanted.deployment, _DEPLOYMENT, problems),
            commit=_beginning("commit", wanted.commit, _COMMIT, problems),
        )

    def _revisions(self, text: str, problems: list[Problem]) -> tuple[str, ...]:
        """The revisions that begin like this, or that the header X-RGZ-Template names. Appends to `problems`."""
        named = _HEADER.fullmatch(text.strip())
        digits = _beginning("template_revision", named["revision"] if named else text, _REVISION, problems)
        if digits is None:
            return ()
        found = revisions.beginning_with(self.database, digits, with_previews=True)
        return tuple(one for one, (key, _) in found.items() if named is None or key == named["key"])

    def _get(self, message_id: str) -> Message:
        message = message_queries.get(self.database, message_id, now=self.clock())
        if message is None:
            raise _no_message()
        return message


#: The header as a mail program shows it, with or without its name.
_HEADER = re.compile(
    r"(?:x-rgz-template:\s*)?(?P<key>[A-Za-z0-9_-]+)/(?P<version>\d+)\s+(?P<revision>[0-9a-f]{12,64})"
    r"(?:\s+pr-[A-Za-z0-9._-]+)?",
    re.IGNORECASE,
)
_REVISION = re.compile(r"[0-9a-f]{12,64}"), "at least the first 12 hex digits of a revision"
_DEPLOYMENT = re.compile(r"[0-9a-f-]{4,36}"), "at least the first 4 characters of a deployment's id"
_COMMIT = re.compile(r"[0-9a-f]{4,64}"), "at least the first 4 hex digits of a commit"


def _by_header(wanted: MessageFilter) -> MessageFilter:
    """The filter by revision where words are the header X-RGZ-Template of a forwarded mail."""
    if wanted.text is None or wanted.template_revision is not None or not _HEADER.fullmatch(wanted.text.strip()):
        return wanted
    return replace(wanted, text=None, template_revision=wanted.text)


def _beginning(name: str, text: str | None, kind: tuple[re.Pattern[str], str], problems: list[Problem]) -> str | None:
    """The lower-case beginning of a name that a filter gives; None without one, or with a problem."""
    if text is None:
        return None
    pattern, described = kind
    beginning = text.strip().lower()
    if pattern.fullmatch(beginning):
        return beginning
    problems.append(Problem("", name, f"{name}: write {described}"))
    return None


def _no_message() -> NotFound:
    return NotFound("There is no such message.")


def _status(text: str, problems: list[Problem]) -> Status | None:
    try:
        return Status(text)
    except ValueError:
        problems.append(Problem("", "status", f"status: one of {', '.join(Status)}"))
        return None


def _moment(name: str, text: str, problems: list[Problem]) -> datetime | None:
    moment: datetime | None
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        moment = moment.astimezone(UTC) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):  # an offset may lead out of the calendar at either end
        moment = None
    if moment is None:
        problems.append(Problem("", name, f"{name}: an ISO 8601 time with its offset, such as 2026-02-21T00:00:00Z"))
        return None
    return moment
