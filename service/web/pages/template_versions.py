"""/admin/templates/{key}/versions: revisions with their figures, the latest commits, and the diff of two."""

from collections.abc import Mapping, Sequence
from typing import Any

import anyio.to_thread
from litestar import Controller, Response, get
from litestar.params import FromPath

from service.bootstrap import Services
from service.errors import InvalidRequest, NotFound
from service.mail.neutral_html import emulated
from service.monitoring.template_stats import PERIOD, TemplateStats
from service.templates.authoring.history import Commit, History
from service.templates.catalogue import Catalogue
from service.templates.descriptions import TemplateDescriber
from service.web.auth import services_of
from service.web.dependencies import AnyRequest, Provided
from service.web.pages import mail_frame
from service.web.pages.diff import Difference, between
from service.web.pages.render import part, show
from service.web.pages.request_context import signed_in
from service.web.pages.template_page import Choice, fill

VIEWS = ("source", "beside", "over")
#: Begins the name of a commit, which may have as many digits as a revision (SHA-256).
_COMMIT = "commit:"


class TemplateVersionsController(Controller):
    """The versions of a template, and their mails for frames."""

    path = "/admin/templates/{key:str}/versions"
    guards = [signed_in()]  # noqa: RUF012  # Litestar reads it from the class

    @get("/")
    async def versions(
        self,
        request: AnyRequest,
        key: FromPath[str],
        template_describer: Provided[TemplateDescriber],
        template_history: Provided[History],
        template_stats: Provided[TemplateStats],
        catalogue: Provided[Catalogue],
    ) -> Response[str]:
        """Page: every revision that was deployed or sent, the latest commits, and the difference of two.

        `before` and `after` are revisions, or commits written `commit:NAME`. Source and text line by line, the mails
        side by side or one over the other.
        """
        services, query = services_of(request), request.query_params
        view = query.get("view", VIEWS[0])

        def work() -> tuple[Sequence[Mapping[str, Any]], Sequence[Commit], str | None, str, Sequence[Difference]]:
            items, commits = (
                template_describer.versions(key),
                template_history.of(key),
            )
            current = next((one for one in items if one["current"]), items[0])
            after = query.get("after") or current["revision"]
            before = query.get("before") or _earlier(items, commits, current)
            if before is None:
                return items, commits, None, after, []
            old, new = (_texts(services, key, name) for name in (before, after))
            return items, commits, before, after, between(old, new)

        items, commits, before, after, differences = await anyio.to_thread.run_sync(work)
        counted = await anyio.to_thread.run_sync(template_stats.get)
        return show(
            request,
            "template_versions.html",
            key=key,
            items=items,
            commits=commits,
            before=before,
            after=after,
            differences=differences,
            figures=counted.by_revision if counted else {},
            days=PERIOD.days,
            view=view if view in VIEWS else VIEWS[0],
            is_here=key in catalogue.current.entries,
        )

    @get("/{revision:str}/frame")
    async def mail(self, request: AnyRequest, key: FromPath[str], revision: FromPath[str]) -> Response[str]:
        """Return what a revision makes of its example, for a frame."""
        services = services_of(request)
        html = await anyio.to_thread.run_sync(lambda: _rendered(services, key, revision)[0])
        return mail_frame.framed(emulated(html, "light") if html else part(request, "template_not_rendered.html"))


def _earlier(items: Sequence[Mapping[str, Any]], commits: Sequence[Commit], current: Mapping[str, Any]) -> str | None:
    """Return what to compare the current revision with by default: the revision sent last, else the previous commit."""
    sent = [one["revision"] for one in items if one["revision"] != current["revision"]]
    older = commits if current["dirty"] else commits[1:]
    return sent[0] if sent else _COMMIT + older[0].name if older else None


def _template(services: Services, key: str, name: str) -> Any:
    """Return the template of a revision, or of a commit where the name says so. Raises NotFound."""
    if name.startswith(_COMMIT):
        return services.templates.template_history.template(key, name.removeprefix(_COMMIT))
    return services.templates.template_describer.revision(key, name)


def _texts(services: Services, key: str, revision: str) -> Mapping[str, str]:
    """Return what is compared of a revision: its source, and the plain text of its example."""
    template = _template(services, key, revision)
    return {"template.mjml": template.source, "text": _rendered(services, key, revision)[1]}


def _rendered(services: Services, key: str, revision: str) -> tuple[str, str]:
    """Return HTML and text of the example; empty if the revision can't render it."""
    template = _template(services, key, revision)
    try:
        preview = fill(services, template, Choice(None, None, "light", {}), ()).preview
    except (InvalidRequest, NotFound):
        preview = None
    return (preview.rendered.html, preview.rendered.text) if preview else ("", "")
