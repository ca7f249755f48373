"""GET, POST /deployments and what hangs below it, and /holds: what is served, what was, and what must not be."""

from typing import NotRequired

from litestar import Controller, delete, get, post
from litestar.params import FromPath
from typing_extensions import TypedDict

from service.deployments.changes import DeploymentComparison
from service.deployments.control import DeploymentControl
from service.deployments.history import DeploymentFilter, DeploymentHistory
from service.deployments.requests import DeploymentRequests
from service.deployments.status import DeploymentStatus
from service.errors import InvalidRequest, Problem
from service.models import Caller, Deployment, Scope, Trigger
from service.models.deployment_requests import (
    ActivateRequest,
    DeployRequest,
    HoldRequest,
    RollbackRequest,
    SuspendRequest,
)
from service.web.api.deployment_json import (
    ConditionAnswer,
    DeploymentAnswer,
    DiffAnswer,
    FigureAnswer,
    HoldAnswer,
    ItemAnswer,
    ProcessAnswer,
    SnapshotsAnswer,
    SourceAnswer,
    as_conditions,
    as_deployment,
    as_diff,
    as_figures,
    as_hold,
    as_item,
    as_processes,
    as_source,
)
from service.web.api.query import DeploymentsQuery, DiffQuery, HoldQuery
from service.web.auth import require
from service.web.dependencies import Provided, json_body, typed_query


class DeploymentsAnswer(TypedDict):
    """A page of deployments; `next` is the cursor of the following one. With `total_capped` there are more."""

    items: list[DeploymentAnswer]
    total: int
    next: str | None
    total_capped: NotRequired[bool]


class DetailAnswer(DeploymentAnswer):
    """A deployment with its templates, and what became of their mails; templates that sent nothing are left out."""

    items: list[ItemAnswer]
    figures: list[FigureAnswer]


class CurrentAnswer(TypedDict):
    """What is served: `deployment` is the live one, `next` one that waits, `state` the most important condition.

    The fields of the live deployment stand beside it too; before the first they are null.
    """

    id: str | None
    commit: str | None
    state: str
    mode: str
    conditions: list[ConditionAnswer]
    trigger: str | None
    created_at: str | None
    live_at: str | None
    ref: str | None
    parent: str | None
    author: str | None
    committed_at: str | None
    first_line: str | None
    requested_by: str | None
    why: str | None
    reason: str | None
    ended_at: str | None
    templates: int
    changed: int
    broken: int
    snapshots: SnapshotsAnswer | None
    items: list[ItemAnswer]
    processes: list[ProcessAnswer]
    holds: list[HoldAnswer]
    source: SourceAnswer
    next: DeploymentAnswer | None
    dirty: list[str]


class RequestAnswer(TypedDict):
    """What a request led to: `request` is the number of a look at the repository, `deployment` what is served.

    A look is over once `source.answered_look` of `GET /deployments/current` has that number.
    """

    request: int | None
    state: str
    deployment: DeploymentAnswer | None


class StateAnswer(TypedDict):
    """The state after a change; `deployment` is the one that serves it, null where nothing else is served."""

    state: str
    deployment: DeploymentAnswer | None


class HoldsAnswer(TypedDict):
    """All holds, newest first."""

    items: list[HoldAnswer]
    total: int


class DeploymentController(Controller):
    """What is deployed. Its scope sees no mail and no recipient."""

    path = "/deployments"
    guards = [require(Scope.DEPLOY)]  # noqa: RUF012  # Litestar reads it from the class

    @get("/", sync_to_thread=True, dependencies={"asked": typed_query(DeploymentsQuery)})
    def list_deployments(
        self, asked: Provided[DeploymentsQuery], deployment_history: Provided[DeploymentHistory]
    ) -> DeploymentsAnswer:
        """List deployments, newest first.

        `key` (those that changed this template), `since`, `state` (`live`, `ended`, `held`, `waiting`) and `commit`
        filter; `limit` and `cursor` page.
        """
        wanted = DeploymentFilter(asked.key, asked.since, asked.state, asked.commit)
        page = deployment_history.search(wanted, limit=asked.limit, cursor=asked.cursor)
        answer: DeploymentsAnswer = {
            "items": [as_deployment(item) for item in page.items],
            "total": page.total,
            "next": page.next,
        }
        if page.total_capped:
            answer["total_capped"] = True
        return answer

    @post("/", status_code=202, sync_to_thread=True, dependencies={"asked": json_body(DeployRequest, when_empty=b"{}")})
    def deploy(
        self,
        asked: Provided[DeployRequest],
        deployment_requests: Provided[DeploymentRequests],
        deployment_status: Provided[DeploymentStatus],
        caller: Provided[Caller],
    ) -> RequestAnswer:
        """Look at the repository now, or serve a `commit` or a `deployment`.

        202 with the number of the request to look, or with what is served. A commit that was not prepared yet is looked
        for, and prepared if the ref names it. 409 where templates come from a directory, and for a deployment that a
        check holds back.
        """
        found = deployment_requests.deploy(asked.commit or asked.deployment, Trigger.COMMAND, caller, why=asked.why)
        is_look = isinstance(found, int)
        return {
            "request": found if isinstance(found, int) else None,
            "state": deployment_status.report().state,
            "deployment": None if is_look else as_deployment(found),  # type: ignore[arg-type]
        }

    @get("/current", sync_to_thread=True)
    def show_current(
        self, deployment_status: Provided[DeploymentStatus], deployment_history: Provided[DeploymentHistory]
    ) -> CurrentAnswer:
        """Show what is served now, in which state, by which processes, and what waits.

        `state` is the most important of `conditions`. `commit` is null before the first deployment, and where files
        are in no commit.
        """
        report = deployment_status.report()
        live = report.live
        items = deployment_history.items(live) if live else []
        versions = deployment_history.versions(items)
        facts = as_deployment(live) if live else None
        return {
            "id": facts["id"] if facts else None,
            "commit": facts["commit"] if facts else None,
            "state": report.state,
            "mode": report.mode,
            "conditions": as_conditions(report),
            "trigger": facts["trigger"] if facts else None,
            "created_at": facts["created_at"] if facts else None,
            "live_at": facts["live_at"] if facts else None,
            "ended_at": None,
            "ref": facts["ref"] if facts else None,
            "parent": facts["parent"] if facts else None,
            "author": facts["author"] if facts else None,
            "committed_at": facts["committed_at"] if facts else None,
            "first_line": facts["first_line"] if facts else None,
            "requested_by": facts["requested_by"] if facts else None,
            "why": facts["why"] if facts else None,
            "reason": facts["reason"] if facts else None,
            "templates": facts["templates"] if facts else 0,
            "changed": facts["changed"] if facts else 0,
            "broken": facts["broken"] if facts else 0,
            "snapshots": facts["snapshots"] if facts else None,
            "items": [as_item(item, versions.get(item.revision or "")) for item in items],
            "processes": as_processes(report),
            "holds": [as_hold(hold) for hold in report.holds],
            "source": as_source(report.source),
            "next": as_deployment(report.next) if report.next else None,
            "dirty": list(report.dirty),
        }

    @get("/{deployment_id:str}", sync_to_thread=True)
    def show_deployment(
        self, deployment_id: FromPath[str], deployment_history: Provided[DeploymentHistory]
    ) -> DetailAnswer:
        """Show a deployment, by its id or commit, with its templates and their findings."""
        found = deployment_history.detail(deployment_id)
        versions = deployment_history.versions(found.items)
        return {
            **as_deployment(found.deployment),
            "items": [as_item(item, versions.get(item.revision or "")) for item in found.items],
            "figures": [as_figures(one) for one in found.figures],
        }

    @get("/{deployment_id:str}/diff", sync_to_thread=True, dependencies={"asked": typed_query(DiffQuery)})
    def show_diff(
        self,
        deployment_id: FromPath[str],
        asked: Provided[DiffQuery],
        deployment_comparison: Provided[DeploymentComparison],
    ) -> DiffAnswer:
        """Show what a deployment changed of the one before, or of `against`: revisions, findings and source.

        `diff` of a file is a unified diff. `whole` is false where something was too much to show.
        """
        return as_diff(deployment_comparison.changes(deployment_id, against=asked.against))

    @post(
        "/{deployment_id:str}/activate",
        status_code=202,
        sync_to_thread=True,
        dependencies={"asked": json_body(ActivateRequest)},
    )
    def activate(
        self,
        deployment_id: FromPath[str],
        asked: Provided[ActivateRequest],
        deployment_requests: Provided[DeploymentRequests],
        deployment_status: Provided[DeploymentStatus],
        caller: Provided[Caller],
    ) -> StateAnswer:
        """Serve a deployment that waits, or was served before; with `anyway` also one that a check holds back.

        409 with every reason where it is held back.
        """
        found = deployment_requests.activate(deployment_id, caller, why=asked.why, anyway=asked.anyway)
        return _state(deployment_status, found)

    @post("/rollback", status_code=202, sync_to_thread=True, dependencies={"asked": json_body(RollbackRequest)})
    def roll_back(
        self,
        asked: Provided[RollbackRequest],
        deployment_control: Provided[DeploymentControl],
        deployment_status: Provided[DeploymentStatus],
        caller: Provided[Caller],
    ) -> StateAnswer:
        """Serve earlier revisions again, of all templates or of `keys`, and hold those of now.

        `to` is a deployment, a commit, or with `keys` a version. Sync goes on: the next commit is served but for
        revisions that are held.
        """
        return _state(deployment_status, deployment_control.rollback(asked.keys, caller, to=asked.to, why=asked.why))

    @post("/suspend", status_code=202, sync_to_thread=True, dependencies={"asked": json_body(SuspendRequest)})
    def suspend(
        self,
        asked: Provided[SuspendRequest],
        deployment_control: Provided[DeploymentControl],
        deployment_status: Provided[DeploymentStatus],
        caller: Provided[Caller],
    ) -> StateAnswer:
        """Let newer commits wait, `until` a time or until sync is resumed; `why` stays on record."""
        deployment_control.suspend(caller, why=asked.why, until=asked.until)
        return _state(deployment_status, None)

    @post("/resume", status_code=202, sync_to_thread=True)
    def resume(
        self,
        deployment_control: Provided[DeploymentControl],
        deployment_status: Provided[DeploymentStatus],
        caller: Provided[Caller],
    ) -> StateAnswer:
        """Serve newer commits again, and look for them now."""
        deployment_control.resume(caller)
        return _state(deployment_status, None)


class HoldController(Controller):
    """Revisions that must not be served."""

    path = "/holds"
    guards = [require(Scope.DEPLOY)]  # noqa: RUF012  # Litestar reads it from the class

    @get("/", sync_to_thread=True)
    def list_holds(self, deployment_status: Provided[DeploymentStatus]) -> HoldsAnswer:
        """List the revisions that must not be served, with reason and end."""
        holds = deployment_status.report().holds
        return {"items": [as_hold(hold) for hold in holds], "total": len(holds)}

    @post("/", status_code=202, sync_to_thread=True, dependencies={"asked": json_body(HoldRequest)})
    def hold(
        self,
        asked: Provided[HoldRequest],
        deployment_control: Provided[DeploymentControl],
        deployment_status: Provided[DeploymentStatus],
        caller: Provided[Caller],
    ) -> StateAnswer:
        """Keep a revision of the template `key` from being served: that of now, or `revision`.

        If it is served, the one before is served instead. It ends at `until`, or when it is lifted; `why` stays on
        record.
        """
        found = deployment_control.hold(asked.key, caller, revision=asked.revision, why=asked.why, until=asked.until)
        return _state(deployment_status, found)

    @delete("/", status_code=202, sync_to_thread=True, dependencies={"asked": typed_query(HoldQuery)})
    def lift_hold(
        self,
        asked: Provided[HoldQuery],
        deployment_control: Provided[DeploymentControl],
        deployment_status: Provided[DeploymentStatus],
        caller: Provided[Caller],
    ) -> StateAnswer:
        """Lift the holds of the template `key`, or that of one `revision`; what they kept out is served at once."""
        if not asked.key:
            raise InvalidRequest("A parameter is missing.", [Problem("", "key", "key: the template")])
        return _state(deployment_status, deployment_control.unhold(asked.key, caller, revision=asked.revision))


def _state(status: DeploymentStatus, deployment: Deployment | None) -> StateAnswer:
    return {"state": status.report().state, "deployment": as_deployment(deployment) if deployment else None}
