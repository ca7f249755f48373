"""GET /templates, /templates/{key}, POST /templates/{key}/test."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import anyio.to_thread
from litestar import Controller, Request, Response, get, post
from litestar.params import FromPath

from service.accept import Accepted
from service.models import Scope
from service.preview import Preview
from service.requests import SendRequest, TestRequest, parse
from service.web import send
from service.web.auth import caller_of, require, services_of


class TemplateController(Controller):
    """Shows templates and tries them."""

    path = "/templates"

    @get("/", guards=[require(Scope.READ)])
    async def list_templates(self, request: Request[Any, Any, Any]) -> dict[str, Any]:
        """Every template, by key; a broken one is there with what is known of its last good revision."""
        items = services_of(request).browser.summaries()
        return {"items": items, "total": len(items)}

    @get("/{key:str}", guards=[require(Scope.READ)])
    async def show_template(
        self, request: Request[Any, Any, Any], key: FromPath[str]
    ) -> Response[Mapping[str, Any] | None]:
        """One template with its variables as JSON Schema; the ETag is its revision."""
        shown = services_of(request).browser.show(key)
        etag = f'"{shown["revision"] or "broken"}"'
        headers = {"ETag": etag, "Cache-Control": "no-cache"}
        if etag in _tags(request.headers.get("if-none-match", "")):
            return Response(None, status_code=304, headers=headers)
        return Response(shown, headers=headers)

    @post("/{key:str}/test", guards=[require(Scope.ADMIN)], status_code=200)
    async def test_template(self, request: Request[Any, Any, Any], key: FromPath[str]) -> dict[str, Any]:
        """Renders; with `to` also sends, marked as a test."""
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


def _tags(header: str) -> Sequence[str]:
    return [tag.strip().removeprefix("W/") for tag in header.split(",")]
