"""GET /previews, /previews/{name}, POST /previews/{name}/link: open pull requests, compiled beside what is served."""

from litestar import Controller, get, post
from litestar.params import FromPath
from typing_extensions import TypedDict

from service.deployments.preview_links import PreviewLinks
from service.deployments.preview_reader import PreviewReader
from service.models import Caller, ContractLine, Preview, PreviewItem, Scope
from service.web.api.deployment_json import SideAnswer, as_finding
from service.web.api.messages import as_time
from service.web.api.templates import FindingAnswer
from service.web.auth import require
from service.web.dependencies import Provided


class PreviewSummary(TypedDict):
    """An open pull request at one commit.

    `changed` counts templates that it changes of the deployment `against`, `findings` those of files and new ones of
    templates; `reason` says why all or a part of it is
    missing, one sentence a line.
    """

    name: str
    ref: str
    commit: str
    author: str | None
    first_line: str | None
    committed_at: str | None
    seen_at: str
    prepared_at: str
    against: str | None
    reason: str | None
    changed: int
    findings: int


class PreviewsAnswer(TypedDict):
    """All previews, the highest number first."""

    items: list[PreviewSummary]
    total: int


class ContractAnswer(TypedDict):
    """What changes for callers of a template; `place` is file:line:column."""

    code: str
    breaking: bool
    place: str
    message: str


class PreviewItemAnswer(TypedDict):
    """A template that a pull request changes; `why` names changed files, and values of the installation that it uses.

    `after` is null where it is gone or does not compile. `new_findings` are those that the served template has not.
    """

    key: str
    change: str
    why: list[str]
    before: SideAnswer | None
    after: SideAnswer | None
    contract: list[ContractAnswer]
    findings: list[FindingAnswer]
    new_findings: list[FindingAnswer]


class PreviewAnswer(PreviewSummary):
    """A preview with the templates that it changes, and findings of files that were left out."""

    templates: list[PreviewItemAnswer]
    file_findings: list[FindingAnswer]


class LinkAnswer(TypedDict):
    """A link that shows one preview, without a key, until `ends_at` or until the pull request is over."""

    url: str
    ends_at: str


class PreviewController(Controller):
    """Previews of pull requests (EMAIL_TEMPLATES_PREVIEWS)."""

    path = "/previews"

    @get("/", guards=[require(Scope.READ)], sync_to_thread=True)
    def list_previews(self, preview_reader: Provided[PreviewReader]) -> PreviewsAnswer:
        """List the open pull requests that are compiled, the highest number first."""
        found = preview_reader.list_all()
        return {"items": [_summary(one) for one in found], "total": len(found)}

    @get("/{name:str}", guards=[require(Scope.READ)], sync_to_thread=True)
    def show_preview(self, name: FromPath[str], preview_reader: Provided[PreviewReader]) -> PreviewAnswer:
        """Show what a pull request changes: templates with why, what changes for callers, and findings."""
        found = preview_reader.detail(name)
        return {
            **_summary(found.preview),
            "templates": [_item(one) for one in found.items],
            "file_findings": [as_finding(one) for one in found.preview.findings],
        }

    @post("/{name:str}/link", guards=[require(Scope.DEPLOY)], status_code=201, sync_to_thread=True)
    def make_link(
        self,
        name: FromPath[str],
        preview_reader: Provided[PreviewReader],
        preview_links: Provided[PreviewLinks],
        caller: Provided[Caller],
    ) -> LinkAnswer:
        """Make a signed link that shows a preview for seven days without a key, with example values only.

        It ends sooner where the pull request is over.
        """
        made = preview_links.make(preview_reader.detail(name).preview, caller)
        return {"url": made.url, "ends_at": as_time(made.ends_at)}


def _summary(one: Preview) -> PreviewSummary:
    return {
        "name": one.name,
        "ref": one.ref,
        "commit": one.commit.id,
        "author": one.commit.author,
        "first_line": one.commit.first_line,
        "committed_at": as_time(one.commit.committed_at),
        "seen_at": as_time(one.seen_at),
        "prepared_at": as_time(one.prepared_at),
        "against": one.deployment_id,
        "reason": one.reason,
        "changed": one.changed_count,
        "findings": one.findings_count,
    }


def _item(one: PreviewItem) -> PreviewItemAnswer:
    return {
        "key": one.key,
        "change": one.change.value,
        "why": list(one.why),
        "before": _side(one.revision_before, one.version_before),
        "after": _side(one.revision, one.version),
        "contract": [_contract(line) for line in one.contract],
        "findings": [as_finding(finding) for finding in one.findings],
        "new_findings": [as_finding(finding) for finding in one.new_findings],
    }


def _side(revision: str | None, version: int | None) -> SideAnswer | None:
    return {"revision": revision, "version": version} if revision is not None else None


def _contract(line: ContractLine) -> ContractAnswer:
    return {"code": line.code, "breaking": line.is_breaking, "place": line.place, "message": line.message}
