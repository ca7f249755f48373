"""GET /admin/deployments: what is served, what waits, holds, processes, history; and its stream of updates."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlencode

import anyio.to_thread
from litestar import Controller, Response, get
from litestar.params import FromPath
from litestar.response import ServerSentEvent

from service.deployments.changes import DeploymentComparison
from service.deployments.history import DeploymentFilter, DeploymentHistory
from service.deployments.status import TROUBLED, DeploymentStatus
from service.errors import InvalidRequest, NotFound, StoreBusy
from service.mail.neutral_html import emulated
from service.models import Deployment, DeploymentState, Scope
from service.templates.source.forge import Forge
from service.templates.source.remote_url import RemoteUrl
from service.web.auth import services_of
from service.web.dependencies import AnyRequest, Provided
from service.web.pages import mail_frame
from service.web.pages.diff import between
from service.web.pages.render import part, show
from service.web.pages.request_context import is_still_signed_in, page_context, signed_in
from service.web.pages.server_sent_events import Streams
from service.web.pages.template_page import Choice, fill

#: How often an open page is updated, in seconds.
UPDATE_EVERY_S = 2.0
PAGE = 20
#: Changed templates whose source is shown opened.
OPEN = 5
FILTERS = ("key", "state", "commit")


class DeploymentPages(Controller):
    """Deployments, for those who may deploy."""

    path = "/admin/deployments"
    guards = [signed_in(Scope.DEPLOY)]  # noqa: RUF012  # Litestar reads it from the class

    @get("/")
    async def overview(
        self,
        request: AnyRequest,
        deployment_status: Provided[DeploymentStatus],
        deployment_history: Provided[DeploymentHistory],
    ) -> Response[str]:
        """Page: what is live since when and by whom, what waits and why, holds, processes, and the history.

        Filters of the history: `key`, `state`, `commit`.
        """
        query = request.query_params
        given = {name: value for name in FILTERS if (value := (query.get(name) or "").strip())}
        cursor = query.get("cursor") or None

        def work() -> dict[str, Any]:
            report = deployment_status.report()
            items = deployment_history.items(report.live) if report.live else []
            found: dict[str, Any] = {"report": report, "keys": [item.key for item in items if item.revision]}
            try:
                wanted = DeploymentFilter(given.get("key"), None, given.get("state"), given.get("commit"))
                page = deployment_history.search(wanted, limit=PAGE, cursor=cursor)
                return found | {"page": page, "problems": []}
            except InvalidRequest as error:
                return found | {"page": None, "problems": [problem.message for problem in error.problems]}

        found = await anyio.to_thread.run_sync(work)
        return show(
            request,
            "deployments.html",
            status=422 if found["problems"] else 200,
            given=given,
            states=list(DeploymentState),
            link=lambda **more: f"/admin/deployments?{urlencode({**given, **more})}",
            is_first=cursor is None,
            done=query.get("done"),
            has_previews=services_of(request).deployments.preview_reader.is_on,
            **_shown(),
            **found,
        )

    @get("/live")
    async def live(self, request: AnyRequest, deployment_status: Provided[DeploymentStatus]) -> ServerSentEvent:
        """Stream what is live, its state and its processes as server-sent events, every two seconds."""
        streams: Streams = request.app.state.streams

        async def events() -> AsyncIterator[tuple[str, str]]:
            while not await streams.ends_within(UPDATE_EVERY_S) and await is_still_signed_in(request, Scope.DEPLOY):
                try:
                    report = await anyio.to_thread.run_sync(deployment_status.report)
                except StoreBusy:
                    continue
                html = part(request, "deployment_state.html", report=report, **_shown())
                yield "part", json.dumps({"id": "deployment-state", "html": html})

        return streams.answer(events())

    @get("/{deployment_id:str}")
    async def detail(
        self,
        request: AnyRequest,
        deployment_id: FromPath[str],
        deployment_status: Provided[DeploymentStatus],
        deployment_history: Provided[DeploymentHistory],
        deployment_comparison: Provided[DeploymentComparison],
    ) -> Response[str]:
        """Page: one deployment: what it changed, as source and pictures before and after, findings and figures.

        `against` compares it with another deployment or commit than the one before.
        """
        against = request.query_params.get("against") or None

        def work() -> dict[str, Any]:
            changes = deployment_comparison.changes(deployment_id, against=against)
            found = deployment_history.detail(changes.deployment.id)
            return {
                "changes": changes,
                "figures": found.figures,
                "report": deployment_status.report(),
                "differences": {one.key: _differences(one.files) for one in changes.templates},
                "shared": _differences(changes.shared),
            }

        found = await anyio.to_thread.run_sync(work)
        return show(
            request,
            "deployment.html",
            deployment=found["changes"].deployment,
            is_admin=_is_admin(request),
            opened=OPEN,
            done=request.query_params.get("done"),
            **_shown(),
            **found,
        )

    @get("/{deployment_id:str}/frame/{key:str}")
    async def mail(
        self,
        request: AnyRequest,
        deployment_id: FromPath[str],
        key: FromPath[str],
        deployment_history: Provided[DeploymentHistory],
    ) -> Response[str]:
        """Return what a template of a deployment makes of its example, for a frame."""
        services = services_of(request)

        def work() -> str:
            revision = deployment_history.revision(deployment_id, key)
            template = services.templates.template_describer.revision(key, revision)
            try:
                preview = fill(services, template, Choice(None, None, "light", {}), ()).preview
            except (InvalidRequest, NotFound):
                return ""
            return preview.rendered.html if preview else ""

        html = await anyio.to_thread.run_sync(work)
        return mail_frame.framed(emulated(html, "light") if html else part(request, "template_not_rendered.html"))


def _shown() -> Mapping[str, Any]:
    """What the markup of each of these pages uses."""
    return {"commit_link": commit_link, "troubled": TROUBLED}


def commit_link(deployment: Deployment) -> str | None:
    """The page of the deployment's commit at its forge, if that is known."""
    forge = Forge.of(RemoteUrl(deployment.source))
    return forge.commit_url(deployment.commit.id) if forge is not None and deployment.commit else None


def _differences(files: Any) -> Any:
    old = {one.path: one.before for one in files if one.is_shown and one.before is not None}
    new = {one.path: one.after for one in files if one.is_shown and one.after is not None}
    return between(old, new)


def _is_admin(request: AnyRequest) -> bool:
    caller = page_context(request).caller
    return caller is not None and caller.may(Scope.ADMIN)
