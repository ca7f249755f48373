"""POST /admin/templates/{key}/test: send a test message of a template."""

from typing import Any
from urllib.parse import parse_qsl

import anyio.to_thread
from litestar import Controller, Response, post
from litestar.params import FromPath
from litestar.response import Redirect

from service.errors import InvalidRequest
from service.models.requests import SendRequest, parse, to_json
from service.sending.acceptor import Acceptor
from service.web.auth import caller_of, services_of
from service.web.dependencies import AnyRequest, Provided
from service.web.pages.request_context import form_of, signed_in
from service.web.pages.template_page import Choice, preview_template


class TemplateTestController(Controller):
    """Send test messages."""

    path = "/admin/templates/{key:str}"
    guards = [signed_in()]  # noqa: RUF012  # Litestar reads it from the class

    @post("/test")
    async def send(self, request: AnyRequest, key: FromPath[str], acceptor: Provided[Acceptor]) -> Response[Any]:
        """Form: send the template to an address with the variables shown, marked as a test."""
        form, services, caller = await form_of(request), services_of(request), caller_of(request)
        to = str(form.get("to", "")).strip()
        choice = Choice.of(dict(parse_qsl(str(form.get("choice", "")), keep_blank_values=True)))

        def work() -> None:
            filled = preview_template(services, key, choice)
            if filled.preview is None:
                raise InvalidRequest("The template can't be rendered with these variables.", filled.problems)
            asked = {"to": to, "template_key": key, "locale": choice.locale, "variables": filled.preview.variables}
            acceptor.send(parse(to_json(asked), SendRequest), caller, is_test=True)

        await anyio.to_thread.run_sync(work)
        return Redirect(f"/admin/templates/{key}?{choice.query(sent=to)}", status_code=303)
