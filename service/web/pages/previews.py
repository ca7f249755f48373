"""/admin/previews: open pull requests, and one with its mails before and after, a live form, a test and a link."""

from typing import Any, Literal
from urllib.parse import parse_qsl

import anyio.to_thread
from litestar import Controller, Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect

from service.deployments.preview_links import PreviewLink, PreviewLinks
from service.deployments.preview_reader import PreviewReader
from service.errors import InvalidRequest
from service.mail.neutral_html import emulated
from service.models import Scope
from service.models.requests import SendRequest, parse, to_json
from service.sending.acceptor import Acceptor
from service.templates.source.forge import Forge
from service.templates.source.remote_url import RemoteUrl
from service.web.auth import caller_of, services_of
from service.web.dependencies import AnyRequest, Provided
from service.web.pages import mail_frame
from service.web.pages.preview_mails import html_of, item_of, mails_of, width_of
from service.web.pages.render import part, show
from service.web.pages.request_context import form_of, page_context, signed_in
from service.web.pages.template_page import Choice

_HOME = "/admin/previews"


class PreviewPages(Controller):
    """Previews of pull requests, for those who may deploy."""

    path = _HOME
    guards = [signed_in(Scope.DEPLOY)]  # noqa: RUF012  # Litestar reads it from the class

    @get("/")
    async def overview(self, request: AnyRequest, preview_reader: Provided[PreviewReader]) -> Response[str]:
        """Page: the open pull requests: commit, author, how many mails each changes, findings, age."""
        found = await anyio.to_thread.run_sync(preview_reader.list_all)
        return show(
            request,
            "previews.html",
            items=found,
            is_on=preview_reader.is_on,
            now=services_of(request).clock(),
            link_of=lambda one: _pull_request(request, one.name),
        )

    @get("/{name:str}")
    async def detail(
        self, request: AnyRequest, name: FromPath[str], preview_reader: Provided[PreviewReader]
    ) -> Response[str]:
        """Page: one pull request: what it changes and why, and a mail before and after with values to change.

        Parameters: `key`, `example`, `locale`, `scheme`, `width`, and `v.NAME` for a variable.
        """
        return await _page(request, name, preview_reader, link=None)

    @post("/{name:str}/link")
    async def make_link(
        self,
        request: AnyRequest,
        name: FromPath[str],
        preview_reader: Provided[PreviewReader],
        preview_links: Provided[PreviewLinks],
    ) -> Response[str]:
        """Form: make a signed link that shows the preview for seven days without a key."""
        await form_of(request)
        caller = caller_of(request)

        def work() -> PreviewLink:
            return preview_links.make(preview_reader.detail(name).preview, caller)

        return await _page(request, name, preview_reader, link=await anyio.to_thread.run_sync(work))

    @get("/{name:str}/frame/{key:str}")
    async def mail(
        self, request: AnyRequest, name: FromPath[str], key: FromPath[str], preview_reader: Provided[PreviewReader]
    ) -> Response[str]:
        """Return the mail of one `side`, before or after, for a frame."""
        query, services = request.query_params, services_of(request)
        choice = Choice.of(query)

        def work() -> str:
            sides = preview_reader.sides(preview_reader.detail(name).preview, key)
            return html_of(services, sides.before if query.get("side") == "before" else sides.after, choice)

        html = await anyio.to_thread.run_sync(work)
        return framed(request, html, choice.scheme)


class PreviewTestPages(Controller):
    """Test messages of previews, for admins."""

    path = _HOME
    guards = [signed_in()]  # noqa: RUF012  # Litestar reads it from the class

    @post("/{name:str}/test")
    async def send(
        self,
        request: AnyRequest,
        name: FromPath[str],
        preview_reader: Provided[PreviewReader],
        acceptor: Provided[Acceptor],
    ) -> Redirect:
        """Form: send the template `key` of the preview to an address with the variables shown, marked as a test."""
        form, services, caller = await form_of(request), services_of(request), caller_of(request)
        to, key = str(form.get("to", "")).strip(), str(form.get("key", ""))
        query = dict(parse_qsl(str(form.get("choice", "")), keep_blank_values=True))
        choice = Choice.of(query)

        def work() -> None:
            after = mails_of(services, preview_reader.sides(preview_reader.detail(name).preview, key), choice).after
            if after.rendering is None:
                raise InvalidRequest("The template can't be rendered with these variables.", after.problems)
            asked = {
                "to": to,
                "template_key": key,
                "template_ref": name,
                "locale": choice.locale,
                "variables": after.rendering.variables,
            }
            acceptor.send(parse(to_json(asked), SendRequest), caller, is_test=True)

        await anyio.to_thread.run_sync(work)
        shown = choice.query(key=key, width=width_of(query), sent=to)
        return Redirect(f"{_HOME}/{name}?{shown}", status_code=303)


async def _page(
    request: AnyRequest, name: str, preview_reader: PreviewReader, *, link: PreviewLink | None
) -> Response[str]:
    query, services = request.query_params, services_of(request)
    choice, width = Choice.of(query), width_of(query)

    def work() -> dict[str, Any]:
        detail = preview_reader.detail(name)
        item = item_of(detail, query.get("key"))
        sides = preview_reader.sides(detail.preview, item.key) if item is not None else None
        return {"detail": detail, "mails": mails_of(services, sides, choice) if sides is not None else None}

    found = await anyio.to_thread.run_sync(work)
    caller = page_context(request).caller
    own = caller.name if caller is not None and "@" in caller.name else ""
    return show(
        request,
        "preview.html",
        here=f"{_HOME}/{name}",
        choice=choice,
        width=width,
        link=link,
        forge_link=_pull_request(request, name),
        may_send=caller is not None and caller.may(Scope.ADMIN),
        sent=query.get("sent"),
        own_address=own,
        **found,
    )


def framed(request: AnyRequest, html: str, scheme: str) -> Response[str]:
    """The response for a frame with a mail, which fetches nothing; with a sentence where there is none."""
    return mail_frame.framed(emulated(html, scheme) if html else part(request, "template_not_rendered.html"))


def _pull_request(request: AnyRequest, name: str) -> str | None:
    """The page of a pull request at its forge, if that is known."""
    settings, number = services_of(request).settings, name.removeprefix("pr-")
    url, status = settings.email_templates_git_url, settings.email_templates_git_status
    kind: Literal["github", "gitlab", "gitea"] | None = status if status != "off" else None
    forge = Forge.of(RemoteUrl(url.get_secret_value()), kind) if url is not None else None
    return forge.request_url(number) if forge is not None and number.isdecimal() else None
