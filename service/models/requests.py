"""Request bodies: JSON bytes to typed requests, with every mistake at once.

Only their shape is checked here. Whether a template exists, its variables fit or an address is valid is checked by the
feature that takes the request.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Protocol, TypeVar

import msgspec
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import PydanticCustomError

from service.errors import InvalidRequest, MalformedRequest, Problem, pointer
from service.models import json_text

#: Recipients of one message request; each gets a message of its own.
MAX_RECIPIENTS = 100
#: Message requests in one batch, and messages of all of them: one transaction holds them.
MAX_BATCH = 1_000
MAX_METADATA_BYTES = 4_096

_Key = Annotated[str, StringConstraints(min_length=1, max_length=100)]
_Line = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
_Locale = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
_Revision = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12,64}$")]
_Preview = Annotated[str, StringConstraints(pattern=r"^pr-[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
_Addresses = Annotated[str, StringConstraints(max_length=32_000)]
_Variables = dict[str, Any]

_TO = "an address, several separated by commas, or a list; up to 100 recipients, cc and bcc among them"
_CC = (
    "addresses in the form of `to`, a message each; with cc every message shows all of `to` and `cc` in its headers,"
    " without it each of `to` sees itself alone"
)
_BCC = "addresses in the form of `to`, a message each; no header shows them"
_VARIABLES = "values by name, as the template declares them; unknown and missing ones are refused"
_FILES = "up to 50 files, of types that the template allows"

#: Plainer texts for Pydantic's errors, by their type.
_PLAIN = {
    "missing": "this field is required",
    "extra_forbidden": "this field is unknown here",
    "model_type": "expected an object",
    "dict_type": "expected an object",
    "string_type": "expected a string",
    "list_type": "expected a list",
    "int_type": "expected an integer",
    "timezone_aware": "write a time with its offset, such as 2026-02-21T14:30:00Z",
}


#: RFC 3339, 5.6, also without seconds or offset. Pydantic would take digits alone for Unix seconds: "20261224" is 1970.
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?([Zz]|[+-]\d{2}:?\d{2})?", re.ASCII)


def _iso_8601(value: object) -> object:
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise PydanticCustomError("iso_8601", "write an ISO 8601 time such as 2026-02-21T14:30:00+01:00")
    return value


#: A time in a body.
Moment = Annotated[AwareDatetime, BeforeValidator(_iso_8601), Field(strict=False)]


class StrictRequest(BaseModel):
    """A body without unknown fields, whose values are of the very types that JSON has."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


#: The example of the API's description; it works as it is.
_WELCOME = {
    "reseller_name": "Tech Connect SA",
    "validation_link": "https://admin-rgz.duckdns.org",
    "estimated_duration": "7-12 jours",
}


def with_example(example: dict[str, Any]) -> ConfigDict:
    """The example that the API's description shows for a body."""
    return ConfigDict(json_schema_extra={"examples": [example]})


class AttachmentRequest(StrictRequest):
    """A file as it comes over HTTP."""

    filename: str = Field(max_length=1_000, description="its name, with an ending that the template allows")
    content_type: str = Field(
        max_length=200, description="its type, such as application/pdf; name, type and content must agree"
    )
    data_base64: str = Field(description="its bytes in base64 (RFC 4648)")


class MessageRequest(Protocol):
    """The part of a request that each message has of its own: recipients, variables, attachments."""

    @property
    def to(self) -> str | list[str]:
        """The recipient address or addresses."""

    @property
    def cc(self) -> str | list[str] | None:
        """The addresses that get a copy, and are seen."""

    @property
    def bcc(self) -> str | list[str] | None:
        """The addresses that get a copy, and are not seen."""

    @property
    def variables(self) -> dict[str, Any]:
        """The values for the template's variables."""

    @property
    def attachments(self) -> list[AttachmentRequest]:
        """The files sent along."""


class _SendFields(StrictRequest):
    """The fields that all messages of a request share."""

    template_key: _Key = Field(description="the template's folder name")
    template_version: int | None = Field(
        None, ge=1, le=2**31 - 1, description="send with the latest revision of this version, not with the current one"
    )
    template_revision: _Revision | None = Field(
        None,
        description="send with this revision, whatever is current: its digest, or at least the first 12 digits of it",
    )
    template_ref: _Preview | None = Field(
        None,
        description="send with the template of an open pull request, such as pr-12 (`GET /previews`), where"
        " EMAIL_RECIPIENTS restricts who gets mail; a template that it does not change is the current one",
    )
    locale: _Locale | None = Field(
        None, description="another language; one that the template lacks falls back: fr-BJ to fr, then to the default"
    )
    reply_to: _Addresses | None = Field(
        None, description="addresses for Reply-To; without it the template's, then SMTP_REPLY_TO"
    )
    source_endpoint: _Line | None = Field(
        None,
        description="which part of the caller asks, to find its messages; without it the key's name, or the category",
    )
    send_at: Moment | None = Field(None, description="when it is to leave, ISO 8601 with an offset; without it now")
    metadata: dict[str, Any] = Field(
        default_factory=dict, description="the caller's own notes, up to 4,096 bytes; kept, searchable, never sent"
    )


class SendRequest(_SendFields):
    """The body of `POST /send`. `to`, `cc` and `bcc` are one address, several separated by commas, or a list."""

    model_config = with_example(
        {"to": "john@techconnect.bj", "template_key": "onboarding_welcome", "variables": _WELCOME}
    )

    to: _Addresses | list[_Addresses] = Field(description=_TO)
    cc: _Addresses | list[_Addresses] | None = Field(None, description=_CC)
    bcc: _Addresses | list[_Addresses] | None = Field(None, description=_BCC)
    variables: _Variables = Field(default_factory=dict, description=_VARIABLES)
    attachments: list[AttachmentRequest] = Field(default_factory=list, max_length=50, description=_FILES)

    @property
    def message_requests(self) -> Sequence[tuple[str, MessageRequest]]:
        """The only message request, with its JSON pointer."""
        return [("", self)]


class BatchMessage(StrictRequest):
    """One message request of a batch."""

    to: _Addresses | list[_Addresses] = Field(description=_TO)
    cc: _Addresses | list[_Addresses] | None = Field(None, description=_CC)
    bcc: _Addresses | list[_Addresses] | None = Field(None, description=_BCC)
    variables: _Variables = Field(default_factory=dict, description=_VARIABLES)
    attachments: list[AttachmentRequest] = Field(default_factory=list, max_length=50, description=_FILES)


class BatchRequest(_SendFields):
    """The body of `POST /send/batch`: one template, many messages, all of them or none."""

    model_config = with_example(
        {
            "template_key": "onboarding_welcome",
            "messages": [
                {"to": "john@techconnect.bj", "variables": _WELCOME},
                {"to": "nadia@example.bj", "variables": _WELCOME | {"reseller_name": "Nadia Net"}},
            ],
        }
    )

    messages: list[BatchMessage] = Field(
        min_length=1, max_length=MAX_BATCH, description="1 to 1,000 objects with to, cc, bcc, variables and attachments"
    )

    @property
    def message_requests(self) -> Sequence[tuple[str, MessageRequest]]:
        """The message requests, each with its JSON pointer."""
        return [(f"/messages/{n}", message) for n, message in enumerate(self.messages)]


AnySendRequest = SendRequest | BatchRequest


class TestRequest(StrictRequest):
    """The body of `POST /templates/{key}/test`; everything may be left out."""

    __test__ = False  # not a test case of pytest, in spite of its name
    model_config = with_example({"variables": {"reseller_name": "Nadia Net"}})

    to: _Addresses | None = Field(None, description="also send it, marked as a test; without it only render")
    template_ref: _Preview | None = Field(
        None, description="the template of an open pull request, such as pr-12 (`GET /previews`)"
    )
    variables: _Variables | None = Field(
        None, description="values by name; the example fills what is missing, and without any the whole example counts"
    )
    locale: _Locale | None = Field(None, description="another language")
    example: _Key | None = Field(None, description="which example; without it the first")
    attachments: list[AttachmentRequest] = Field(default_factory=list, max_length=50, description=_FILES)


#: Characters of one template file; in UTF-8 it stays below the size limit of files in the template directory.
_Source = Annotated[str, StringConstraints(min_length=1, max_length=500_000)]
_ExampleName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]


class PublishRequest(StrictRequest):
    """The body of `PUT /templates/{key}`: files of a template as texts.

    A file that is left out stays as it is; `text`: null deletes it. `locales`, `locale_texts` (plain text parts of
    other languages) and `examples` replace all there are.
    """

    source: _Source = Field(description="template.mjml, front matter included")
    text: _Source | None = Field(None, description="template.txt; null removes it")
    locales: dict[_Locale, _Source] = Field(
        default_factory=dict, max_length=50, description="template.LOCALE.mjml by language: all there are to be"
    )
    locale_texts: dict[_Locale, _Source] = Field(
        default_factory=dict, max_length=50, description="template.LOCALE.txt by language: all there are to be"
    )
    examples: dict[_ExampleName, dict[str, Any]] = Field(
        default_factory=dict, max_length=100, description="variables by the example's name: all there are to be"
    )
    message: Annotated[str, StringConstraints(max_length=5_000, pattern=r"^[^\x00]*\S[^\x00]*$")] | None = Field(
        None, description="the commit's message; without it one that names the template"
    )


class SuppressionRequest(StrictRequest):
    """The body of `POST /suppressions`. `reason` is a word such as manual, or a sentence."""

    model_config = with_example(
        {"address": "someone@example.com", "scope": "marketing", "reason": "asked by telephone"}
    )

    address: _Addresses = Field(description="the address that must not be written to")
    scope: Literal["all", "marketing"] = Field("all", description="which mail is meant")
    reason: Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]*$")] = Field(
        "manual", description="a word, or a sentence"
    )


RequestBody = TypeVar("RequestBody", bound=StrictRequest)


def parse(body: bytes, kind: type[RequestBody]) -> RequestBody:
    """Parse and validate the body of a request.

    Raises MalformedRequest and TooLarge as `json_text.decode` does, and InvalidRequest with a problem for each rule
    that the JSON breaks.
    """
    value = json_text.decode(body)
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object.", [Problem("", "object_type", "expected an object")])
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        problems = [_problem(value, detail) for detail in error.errors(include_url=False, include_input=False)]
        raise InvalidRequest("The request breaks rules of this endpoint.", _without_repeats(problems)) from None
    except RecursionError:
        raise MalformedRequest("The body is nested too deeply.") from None


_ADDED_LATER = frozenset({"cc", "bcc", "template_revision", "template_ref"})


def digest_input(route: str, request: BaseModel) -> bytes:
    """Canonical bytes of a request: equal for requests that mean the same. The input of `digest_of`.

    Requests without copies, pins and previews have the digest that they had before requests knew these fields.
    """
    fields = _without_new_fields(request.model_dump(mode="python"))
    if "messages" in fields:
        fields["messages"] = [_without_new_fields(message) for message in fields["messages"]]
    if isinstance(fields.get("send_at"), datetime):
        fields["send_at"] = _instant(fields["send_at"])
    return msgspec.json.encode([route, fields], order="deterministic", enc_hook=str)


def digest_of(order: AnySendRequest) -> str:
    """The digest that tells whether two requests with one Idempotency-Key are the same."""
    route = "send" if isinstance(order, SendRequest) else "send/batch"
    return hashlib.sha256(digest_input(route, order)).hexdigest()


def to_json(value: Mapping[str, Any]) -> bytes:
    """Compact JSON of values that came as JSON."""
    return msgspec.json.encode(value)


def _without_new_fields(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value or name not in _ADDED_LATER}


def _instant(at: datetime) -> datetime:
    """The same instant in UTC, whatever offset it was written with."""
    try:
        return at.astimezone(UTC)
    except OverflowError:  # at the first and the last day of the calendar; no send is that far off
        return at


def _problem(value: object, detail: Any) -> Problem:
    """The problem of a Pydantic error, with a JSON pointer that leaves out the names of a union's branches."""
    path: list[str | int] = []
    for part in detail["loc"]:
        if part == "[key]" and path:
            continue  # the key itself is meant, which the path names already
        if isinstance(value, dict) and isinstance(part, str):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int):
            value = value[part]
        else:
            continue
        path.append(part)
    code = str(detail["type"])
    message = _PLAIN.get(code, str(detail["msg"]))
    return Problem(pointer(*path), code, message[:1].lower() + message[1:])


def _without_repeats(problems: list[Problem]) -> list[Problem]:
    """One problem for each place, the innermost: a union reports each of its branches."""
    first: dict[str, Problem] = {}
    for problem in problems:
        kept = first.get(problem.pointer)
        if kept is None:
            first[problem.pointer] = problem
        elif kept.code != problem.code and kept.code.endswith("_type"):
            first[problem.pointer] = Problem(kept.pointer, kept.code, f"{kept.message}, or: {problem.message}")
    return [problem for place, problem in first.items() if not any(other.startswith(f"{place}/") for other in first)]
