"""Typed query strings: each parameter at most once, none unknown, each value checked."""

from collections.abc import Iterable
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field

from service.errors import InvalidRequest, Problem
from service.models import ActionKind, DeploymentState, Status


class Query(BaseModel):
    """The parameters of a query: text, a number or a truth value each, and none required."""

    model_config = ConfigDict(frozen=True)


class PagedQuery(Query):
    """The parameters of every list."""

    limit: int = Field(50, description="1 to 1000; 50 where it is left out")
    cursor: str | None = Field(None, description="`next` of the page before")


class MessagesQuery(PagedQuery):
    """The parameters of `GET /messages`."""

    to: str | None = Field(None, description="a recipient")
    status: str | None = Field(None, description=f"one of {', '.join(Status)}")
    reason: str | None = Field(None, description="why it is suppressed: environment, bounce, complaint, …")
    template_key: str | None = Field(None, description="a template")
    source_endpoint: str | None = Field(None, description="which part of the caller asked")
    since: str | None = Field(None, description="ISO 8601, accepted then or later")
    until: str | None = Field(None, description="ISO 8601, accepted before")
    template_revision: str | None = Field(
        None, description="a revision, at least its first 12 digits, or what a mail's header `X-RGZ-Template` says"
    )
    deployment: str | None = Field(None, description="a deployment's id, or how it begins")
    commit: str | None = Field(None, description="a commit of the templates, or how it begins")
    text: str | None = Field(None, description="words that must all be there; `tech*` is the beginning of one")


class SuppressionsQuery(PagedQuery):
    """The parameters of `GET /suppressions`."""

    address: str | None = Field(None, description="one address")
    scope: str | None = Field(None, description="all or marketing")
    lifted: bool = Field(False, description="true: the ended ones too")


class ActionsQuery(PagedQuery):
    """The parameters of `GET /admin-actions`."""

    kind: str | None = Field(None, description=f"one of {', '.join(ActionKind)}")
    actor: str | None = Field(None, description="a key's name or id; admin is the admin token")
    person: str | None = Field(None, description="the address of a person whose data it was about")
    since: str | None = Field(None, description="ISO 8601, then or later")
    until: str | None = Field(None, description="ISO 8601, before")


class DeploymentsQuery(PagedQuery):
    """The parameters of `GET /deployments`."""

    key: str | None = Field(None, description="only those that changed this template")
    since: str | None = Field(None, description="ISO 8601, prepared then or later")
    state: str | None = Field(None, description=f"one of {', '.join(DeploymentState)}")
    commit: str | None = Field(None, description="a commit, by its name or the beginning")


class DiffQuery(Query):
    """The parameters of `GET /deployments/{deployment_id}/diff`."""

    against: str | None = Field(None, description="a deployment or commit; without it the one before")


class HoldQuery(Query):
    """The parameters of `DELETE /holds`."""

    key: str | None = Field(None, description="the template, required")
    revision: str | None = Field(None, description="only this revision, or its beginning")


class LiftQuery(Query):
    """The parameters of `DELETE /suppressions/{suppression_id}`."""

    reason: str | None = Field(None, description="why, a word or a sentence")


class EraseQuery(Query):
    """The parameters of `POST /recipients/{address}/erase`."""

    suppress: bool = Field(True, description="false: the address may be written to again")
    dry_run: bool = Field(False, description="true: only count what would be erased")


Q = TypeVar("Q", bound=Query)


def parse_query(items: Iterable[tuple[str, str]], kind: type[Q]) -> Q:
    """The query of these names and values. Raises InvalidRequest for what is unknown, repeated or of another type.

    Whether a value is too large or unknown is for the feature.
    """
    given = list(items)
    names = [name for name, _ in given]
    known = kind.model_fields
    wrong = [Problem("", "unknown_parameter", f"{name}: unknown here") for name in names if name not in known]
    wrong += [Problem("", "repeated", f"{name}: given twice") for name in sorted(set(names)) if names.count(name) > 1]
    if wrong:
        raise InvalidRequest("A parameter is wrong.", wrong)
    texts = dict(given)
    values: dict[str, Any] = {
        name: _value(texts[name], name, field.annotation) for name, field in known.items() if name in texts
    }
    return cast(Q, kind.model_construct(**values))


def _value(text: str, name: str, kind: Any) -> object:
    if kind is int:
        return _number(text, name)
    return _truth(text, name) if kind is bool else text


def _number(text: str, name: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise InvalidRequest("A parameter is wrong.", [Problem("", name, f"{name}: write a number from 1 to 1000")])
    return int(text)


def _truth(text: str, name: str) -> bool:
    if text not in ("true", "false"):
        raise InvalidRequest("A parameter is wrong.", [Problem("", name, f"{name}: write true or false")])
    return text == "true"
