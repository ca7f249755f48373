"""The history of deployments: the list, one with its templates, and what one changed of another."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from service.errors import InvalidRequest, NotFound, Problem
from service.models import Deployment, DeploymentItem, DeploymentState
from service.store import deployment_stats, deployments, revisions
from service.store.database import Database
from service.store.deployments import DeploymentQuery
from service.store.pages import Page
from service.store.template_stats import RevisionFigures

__all__ = ["DeploymentDetail", "DeploymentFilter", "DeploymentHistory", "RevisionFigures"]

MAX_PAGE = 1_000
#: A commit by its full name (SHA-1 or SHA-256) or its beginning.
_COMMIT = re.compile(r"[0-9a-f]{4,64}")
_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
#: A template's folder, as long as a path may be.
_KEY = re.compile(r"[^\x00-\x1f/]{1,255}")


@dataclass(frozen=True, slots=True)
class DeploymentFilter:
    """What a list asks for, as texts of a request; None leaves a filter out. `since` is ISO 8601 with an offset."""

    key: str | None = None
    since: str | None = None
    state: str | None = None
    commit: str | None = None


ALL_DEPLOYMENTS = DeploymentFilter()


@dataclass(frozen=True, slots=True)
class DeploymentDetail:
    """A deployment with its templates, by key, and what became of their mails."""

    deployment: Deployment
    items: Sequence[DeploymentItem]
    figures: Sequence[RevisionFigures]


@dataclass(frozen=True, slots=True)
class DeploymentHistory:
    """Reads deployments; it changes nothing."""

    database: Database

    def search(
        self, wanted: DeploymentFilter = ALL_DEPLOYMENTS, *, limit: int = 50, cursor: str | None = None
    ) -> Page[Deployment]:
        """A page of deployments, newest first. Raises InvalidRequest with every wrong parameter."""
        problems: list[Problem] = []
        query = _query(wanted, problems)
        if not 1 <= limit <= MAX_PAGE:
            problems.append(Problem("", "limit", f"limit: write a number from 1 to {MAX_PAGE}"))
        if not problems:
            try:
                return deployments.list_page(self.database, query, limit=limit, cursor=cursor)
            except ValueError:
                problems.append(Problem("", "cursor", "cursor: take it from `next` of the page before"))
        raise InvalidRequest("A parameter of this list is wrong.", problems)

    def find(self, name: str) -> Deployment:
        """The deployment with this id, or the newest of a commit (its name or the beginning). Raises NotFound."""
        found = None
        if _ID.fullmatch(name):
            found = deployments.get(self.database, name)
        elif is_commit(name):
            found = deployments.newest_of(self.database, name)
        if found is None:
            raise NotFound("There is no such deployment.")
        return found

    def detail(self, name: str) -> DeploymentDetail:
        """A deployment with its templates. Raises NotFound."""
        found = self.find(name)
        figures = deployment_stats.by_template(self.database, found.id)
        return DeploymentDetail(found, deployments.items(self.database, found.id), figures)

    def items(self, deployment: Deployment) -> Sequence[DeploymentItem]:
        """The templates of a deployment, by key."""
        return deployments.items(self.database, deployment.id)

    def revision(self, name: str, key: str) -> str:
        """The revision of a template that a deployment serves. Raises NotFound."""
        item = next((item for item in self.items(self.find(name)) if item.key == key), None)
        if item is None or item.revision is None:
            raise NotFound(f"This deployment serves no template {key!r}.")
        return item.revision

    def versions(self, items: Sequence[DeploymentItem]) -> Mapping[str, int]:
        """The version of each revision that these templates serve."""
        return revisions.versions_of(self.database, {item.revision for item in items if item.revision is not None})

    def before(self, deployment: Deployment) -> Deployment | None:
        """The deployment that this one replaced, or would: the live one. None before the first."""
        if deployment.live_at is not None:
            return deployments.served_before(self.database, deployment)
        return deployments.live(self.database)


def is_commit(text: str) -> bool:
    """Whether this may be the name of a commit or its beginning, and not the id of a deployment."""
    return _COMMIT.fullmatch(text) is not None


def by_key(items: Sequence[DeploymentItem]) -> Mapping[str, DeploymentItem]:
    """The templates of a deployment by their key."""
    return {item.key: item for item in items}


def _query(wanted: DeploymentFilter, problems: list[Problem]) -> DeploymentQuery:
    if wanted.key is not None and not _KEY.fullmatch(wanted.key):
        problems.append(Problem("", "key", "key: the key of a template"))
    if wanted.commit is not None and not is_commit(wanted.commit):
        problems.append(Problem("", "commit", "commit: its name in lower case, or at least 4 digits of its beginning"))
    return DeploymentQuery(
        key=wanted.key,
        since=_moment(wanted.since, problems) if wanted.since is not None else None,
        state=_state(wanted.state, problems) if wanted.state is not None else None,
        commit=wanted.commit,
    )


def _state(text: str, problems: list[Problem]) -> DeploymentState | None:
    try:
        return DeploymentState(text)
    except ValueError:
        problems.append(Problem("", "state", f"state: one of {', '.join(DeploymentState)}"))
        return None


def _moment(text: str, problems: list[Problem]) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):  # no time, or one beyond the calendar in UTC
        pass
    problems.append(Problem("", "since", "since: an ISO 8601 time with its offset, such as 2026-02-21T00:00:00Z"))
    return None
