"""What the routes alone don't tell of the API: bodies, parameters of lists, examples that work as they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from service.models import Status
from service.models.requests import BatchRequest, PublishRequest, SendRequest, SuppressionRequest, TestRequest


@dataclass(frozen=True, slots=True)
class Detail:
    """Of one operation: its body and an example, query parameters and headers, values for its path, an answer."""

    body: type[BaseModel] | None = None
    is_body_required: bool = True
    example: Mapping[str, Any] | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    answer: Mapping[str, Any] | None = None


NOTHING = Detail()

_WELCOME = {
    "reseller_name": "Tech Connect SA",
    "validation_link": "https://admin-rgz.duckdns.org",
    "estimated_duration": "7-12 jours",
}
_PAGING = {"limit": "1 to 1000; 50 where it is left out", "cursor": "`next` of the page before"}
_MESSAGE = {
    "id": "01a212f5-d497-74eb-b8b3-9681aff82671",
    "to": "john@techconnect.bj",
    "template_key": "onboarding_welcome",
    "template_version": 1,
    "subject": "Bienvenue sur RGZ Access!",
    "status": "sent",
    "created_at": "2026-11-25T13:49:31Z",
    "sent_at": "2026-11-25T13:49:32Z",
    "error_message": None,
}
_IF_MATCH = {"If-Match": "the ETag of the state that is changed", "If-None-Match": "`*`: only where there is none yet"}
_KEY = {"key": "onboarding_welcome"}

DETAILS: Mapping[tuple[str, str], Detail] = {
    ("POST", "/send"): Detail(
        body=SendRequest,
        example={"to": "john@techconnect.bj", "template_key": "onboarding_welcome", "variables": _WELCOME},
        parameters={"Idempotency-Key": "the same request again gets the first answer for 24 hours"},
        answer={
            "id": "01a212f5-d497-74eb-b8b3-9680075c7dec",
            "status": "queued",
            "template": {"key": "onboarding_welcome", "version": 1, "revision": "0da2874f…"},
            "messages": [{"id": _MESSAGE["id"], "to": "john@techconnect.bj", "status": "queued"}],
        },
    ),
    ("POST", "/send/batch"): Detail(
        body=BatchRequest,
        example={
            "template_key": "onboarding_welcome",
            "messages": [
                {"to": "john@techconnect.bj", "variables": _WELCOME},
                {"to": "nadia@example.bj", "variables": {**_WELCOME, "reseller_name": "Nadia Net"}},
            ],
        },
        parameters={"Idempotency-Key": "the same request again gets the first answer for 24 hours"},
    ),
    ("GET", "/templates/{key}"): Detail(values=_KEY),
    ("PUT", "/templates/{key}"): Detail(body=PublishRequest, parameters=_IF_MATCH, values=_KEY),
    ("DELETE", "/templates/{key}"): Detail(parameters={"If-Match": _IF_MATCH["If-Match"]}, values=_KEY),
    ("GET", "/templates/{key}/versions"): Detail(values=_KEY),
    ("GET", "/templates/{key}/versions/{number}"): Detail(values={**_KEY, "number": "1"}),
    ("POST", "/templates/{key}/test"): Detail(
        body=TestRequest, is_body_required=False, example={"variables": {"reseller_name": "Nadia Net"}}, values=_KEY
    ),
    ("GET", "/messages"): Detail(
        parameters={
            "to": "a recipient",
            "status": f"one of {', '.join(Status)}",
            "template_key": "a template",
            "source_endpoint": "which part of the caller asked",
            "since": "ISO 8601, accepted then or later",
            "until": "ISO 8601, accepted before",
            "text": "words that must all be there; `tech*` is the beginning of one",
            **_PAGING,
        },
        answer={"items": [_MESSAGE], "total": 1, "next": None},
    ),
    ("GET", "/messages/{message_id}"): Detail(
        answer={**_MESSAGE, "events": [{"type": "sent", "at": "2026-11-25T13:49:32Z", "smtp_code": 250}]}
    ),
    ("GET", "/suppressions"): Detail(
        parameters={
            "address": "one address",
            "scope": "all or marketing",
            "lifted": "true: the ended ones too",
            **_PAGING,
        }
    ),
    ("POST", "/suppressions"): Detail(
        body=SuppressionRequest,
        example={"address": "someone@example.com", "scope": "marketing", "reason": "asked by telephone"},
    ),
    ("GET", "/dev/mailbox/messages"): Detail(
        parameters={"to": "one recipient", "wait_s": "seconds to wait for a first mail, 60 at most"}
    ),
}
