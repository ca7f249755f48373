"""Dependencies that Litestar injects into handlers: a part of the service, the caller, a typed body or query."""

from dataclasses import fields
from typing import Any, TypeAlias, TypeVar

from litestar import Request
from litestar.di import NamedDependency, Provide
from litestar.params import RawBody, SkipValidation

from service.bootstrap import PreviewServices
from service.delivery.dev_mailbox import DevMailbox
from service.models.requests import RequestBody, parse
from service.web.api.query import Query, parse_query
from service.web.auth import caller_of, services_of

AnyRequest: TypeAlias = Request[Any, Any, Any]

T = TypeVar("T")

#: A parameter that is provided under its own name. It is made by us, so Litestar need not validate it.
Provided: TypeAlias = NamedDependency[SkipValidation[T]]


class Part(Provide):
    """A provider that equals itself alone.

    Litestar compares each provider with all others, for each route: half of what the start of the application took.
    """

    __slots__ = ()
    __eq__ = object.__eq__
    __hash__ = object.__hash__


def parts(services: PreviewServices) -> dict[str, Provide]:
    """Return a provider for each part of the services, named like its field, and for the `caller`.

    The caller is who the route's guard found.
    """
    holders = (services, *services.features)
    provided = {one.name: _always(getattr(holder, one.name)) for holder in holders for one in fields(holder)}
    return provided | {"caller": Part(caller_of, sync_to_thread=False)}


def json_body(kind: type[RequestBody], *, when_empty: bytes = b"") -> Provide:
    """The body as a model, parsed in a thread; `when_empty` stands for a body of no bytes.

    It is JSON whatever its content type says: `curl -d` calls it a form. The provider raises MalformedRequest, and
    InvalidRequest with every mistake.
    """

    def parsed(body: RawBody) -> Any:
        return parse(body or when_empty, kind)

    return Part(parsed, sync_to_thread=True)


def typed_query(kind: type[Query]) -> Provide:
    """The query string as a model. The provider raises InvalidRequest."""

    def parsed(request: AnyRequest) -> Any:
        return parse_query(request.query_params.multi_items(), kind)

    return Part(parsed, sync_to_thread=False)


def required_mailbox(request: AnyRequest) -> DevMailbox:
    """The development mailbox. Raises NotFound where mail goes to a real server."""
    return services_of(request).require_mailbox()


def _always(value: object) -> Provide:
    def provide() -> Any:
        return value

    return Part(provide, sync_to_thread=False)
