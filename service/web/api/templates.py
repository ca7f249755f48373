"""/templates: listing, showing, trying, publishing, and the versions that were sent."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import anyio.to_thread
from litestar import Controller, Request, Response, delete, get, post, put
from litestar.params import FromPath

from service.models import Scope
from service.models.requests import PublishRequest, SendRequest, TestRequest, parse
from service.sending.acceptor import Accepted
from service.templates.authoring.publisher import Condition
from service.templates.descriptions import TemplateView
from service.templates.preview import Preview
from service.web.api import send
from service.web.api.messages import as_time
from service.web.auth import caller_of, require, services_of


class TemplateController(Controller):
    """Shows templates, tries them and publishes them."""

    path = "/templates"

    @get("/", guards=[require(Scope.READ)])
    async def list_templates(self, request: Request[Any, Any, Any]) -> dict[str, Any]:
        """List all templates by key.

        A template that doesn't compile is listed with its findings and its last good revision.
        """
        items = services_of(request).template_describer.summaries()
        return {"items": items, "total": len(items)}

    @get("/{key:str}", guards=[require(Scope.READ)])
    async def show_template(
        self, request: Request[Any, Any, Any], key: FromPath[str]
    ) -> Response[Mapping[str, Any] | None]:
        """Show one template: variables as JSON Schema, examples, source, findings and authors.

        The ETag is its revision; `If-None-Match` is answered with 304.
        """
        shown = await anyio.to_thread.run_sync(services_of(request).template_describer.show, key)
        if _etag(shown) in _tags(request.headers.get("if-none-match", "")):
            return Response(None, status_code=304, headers=_headers(shown))
        return Response(shown.content, headers=_headers(shown))

    @put("/{key:str}", guards=[require(Scope.ADMIN)])
    async def publish_template(
        self, request: Request[Any, Any, Any], key: FromPath[str]
    ) -> Response[Mapping[str, Any]]:
        """Publish a template: check it, write it, commit it, serve it.

        `source`; where wanted `text`, `locales`, `locale_texts`, `examples` and `message`. `If-Match` with the ETag
        changes a template, `If-None-Match: *` creates one (201); one of them is required. Nothing is written before the
        check passes. Where the directory is in git, the change is a commit.
        """
        services, caller = services_of(request), caller_of(request)
        body = await request.body()

        def work() -> tuple[bool, TemplateView]:
            asked = parse(body, PublishRequest)
            is_new = services.publisher.put(key, asked, caller, _condition(request))
            return is_new, services.template_describer.show(key)

        is_new, shown = await anyio.to_thread.run_sync(work)
        if is_new:
            location = {"Location": f"/api/v1/email/templates/{key}"}
            return Response(shown.content, status_code=201, headers=_headers(shown) | location)
        return Response(shown.content, status_code=200, headers=_headers(shown))

    @delete("/{key:str}", guards=[require(Scope.ADMIN)], status_code=200)
    async def delete_template(self, request: Request[Any, Any, Any], key: FromPath[str]) -> dict[str, Any]:
        """Delete a template, with `If-Match`.

        The deletion is a commit where the directory is in git. Sent messages and their versions stay readable.
        """
        services, caller = services_of(request), caller_of(request)
        commit = await anyio.to_thread.run_sync(lambda: services.publisher.delete(key, caller, _condition(request)))
        return {"key": key, "commit": commit}

    @get("/{key:str}/versions", guards=[require(Scope.READ)])
    async def list_versions(self, request: Request[Any, Any, Any], key: FromPath[str]) -> dict[str, Any]:
        """List every revision that ever sent, newest first, and the current one."""
        items = await anyio.to_thread.run_sync(services_of(request).template_describer.versions, key)
        return {"items": [_with_times(item) for item in items], "total": len(items)}

    @get("/{key:str}/versions/{number:int}", guards=[require(Scope.READ)])
    async def show_version(
        self, request: Request[Any, Any, Any], key: FromPath[str], number: FromPath[int]
    ) -> dict[str, Any]:
        """Show the latest revision of a version: source, variables, when it first sent."""
        return _with_times(await anyio.to_thread.run_sync(services_of(request).template_describer.version, key, number))

    @post("/{key:str}/test", guards=[require(Scope.ADMIN)], status_code=200)
    async def test_template(self, request: Request[Any, Any, Any], key: FromPath[str]) -> dict[str, Any]:
        """Render a template without storing anything; with `to` also send it, marked as a test.

        `{}` renders the example. The answer holds `subject`, `html`, `text`, `size_bytes` and `findings`.
        """
        services, caller = services_of(request), caller_of(request)
        body = await request.body()

        def work() -> tuple[Preview, Accepted | None]:
            asked = parse(body or b"{}", TestRequest)
            preview = services.previewer.render(
                key, variables=asked.variables, example=asked.example, locale=asked.locale
            )
            if asked.to is None:
                return preview, None
            trial = SendRequest(
                to=asked.to,
                template_key=key,
                locale=asked.locale,
                variables=dict(preview.variables),
                attachments=asked.attachments,
            )
            return preview, services.acceptor.send(trial, caller, is_test=True)

        preview, accepted = await anyio.to_thread.run_sync(work)
        answer: dict[str, Any] = {
            "subject": preview.rendered.subject,
            "html": preview.rendered.html,
            "text": preview.rendered.text,
            "locale": preview.rendered.locale,
            "size_bytes": preview.size_bytes,
            "findings": [asdict(finding) for finding in preview.findings],
        }
        if accepted is not None:
            sent = send.as_json(accepted)["messages"]
            answer |= {"message": sent[0], "messages": sent}
        return answer


def _condition(request: Request[Any, Any, Any]) -> Condition:
    headers = request.headers
    return Condition.of(*(", ".join(headers.getall(name, [])) for name in ("if-match", "if-none-match")))


def _etag(shown: TemplateView) -> str:
    return f'"{shown.state}"'


def _headers(shown: TemplateView) -> dict[str, str]:
    return {"ETag": _etag(shown), "Cache-Control": "no-cache"}


def _with_times(item: Mapping[str, Any]) -> dict[str, Any]:
    return {**item, "first_sent_at": as_time(item["first_sent_at"])}


def _tags(header: str) -> Sequence[str]:
    return [tag.strip().removeprefix("W/") for tag in header.split(",")]
