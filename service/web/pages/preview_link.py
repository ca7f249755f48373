"""/previews/{token}: a preview for who has a signed link: what changes, before and after, with example values only."""

from dataclasses import replace
from typing import Any

import anyio.to_thread
from litestar import Controller, Response, get
from litestar.params import FromPath

from service.deployments.preview_links import PreviewLinks
from service.deployments.preview_reader import PreviewReader
from service.web.auth import services_of
from service.web.dependencies import AnyRequest, Provided
from service.web.pages.preview_mails import html_of, item_of, mails_of, width_of
from service.web.pages.previews import framed
from service.web.pages.render import show
from service.web.pages.template_page import Choice


class PreviewLinkController(Controller):
    """What a link shows; it changes and sends nothing. The token in the path is what opens it."""

    path = "/previews/{token:str}"

    @get("/")
    async def shown(
        self,
        request: AnyRequest,
        token: FromPath[str],
        preview_reader: Provided[PreviewReader],
        preview_links: Provided[PreviewLinks],
    ) -> Response[str]:
        """Page: one pull request, for who has its link: what it changes, and mails before and after.

        Parameters: `key`, `example`, `locale`, `scheme`, `width`. All values are those of examples.
        """
        query, services = request.query_params, services_of(request)
        choice = replace(Choice.of(query), given={})

        def work() -> dict[str, Any]:
            detail = preview_reader.detail(preview_links.open(token).name)
            item = item_of(detail, query.get("key"))
            sides = preview_reader.sides(detail.preview, item.key, is_anonymous=True) if item is not None else None
            return {"detail": detail, "mails": mails_of(services, sides, choice) if sides is not None else None}

        found = await anyio.to_thread.run_sync(work, limiter=preview_links.renderings)
        page = show(
            request,
            "preview_link.html",
            here=f"/previews/{token}",
            choice=choice,
            width=width_of(query),
            **found,
        )
        page.headers["X-Robots-Tag"] = "noindex, nofollow"
        return page

    @get("/frame/{key:str}")
    async def mail(
        self,
        request: AnyRequest,
        token: FromPath[str],
        key: FromPath[str],
        preview_reader: Provided[PreviewReader],
        preview_links: Provided[PreviewLinks],
    ) -> Response[str]:
        """Return the mail of one `side`, before or after, for a frame."""
        query, services = request.query_params, services_of(request)
        choice = replace(Choice.of(query), given={})

        def work() -> str:
            sides = preview_reader.sides(preview_links.open(token), key, is_anonymous=True)
            return html_of(services, sides.before if query.get("side") == "before" else sides.after, choice)

        html = await anyio.to_thread.run_sync(work, limiter=preview_links.renderings)
        return framed(request, html, choice.scheme)
