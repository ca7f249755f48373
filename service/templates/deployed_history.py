"""History and authors of templates that come from a repository: the deployments that changed them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.errors import NotFound
from service.store import deployments, revisions
from service.store.database import Database
from service.templates.authoring.history import MAX_COMMITS, Commit
from service.templates.runtime.sandbox import RenderLimits
from service.templates.runtime.site import NO_SITE, Site
from service.templates.source.authors import Authorship
from service.templates.template import Template

#: Changes that are looked through for the first author, and for the revision of a commit.
_LOOKED_THROUGH = 1_000


@dataclass(frozen=True, slots=True)
class DeployedHistory:
    """The history of templates as `TemplateHistory` tells it of a checkout, from the deployments that were served.

    `site` gives the installation's values, which are today's.
    """

    database: Database
    limits: RenderLimits
    site: Callable[[], Site] = lambda: NO_SITE

    def of(self, key: str) -> Sequence[Commit]:
        """The latest commits that changed a template, newest first. Raises StoreBusy."""
        return [
            Commit(
                change.commit.id,
                change.commit.committed_at or change.live_at,
                change.commit.author or "",
                change.commit.first_line or "",
            )
            for change in deployments.changes_of(self.database, key, limit=MAX_COMMITS)
        ]

    def template(self, key: str, name: str) -> Template:
        """The template as a commit's deployment served it. Raises NotFound, StoreBusy."""
        for change in deployments.changes_of(self.database, key, limit=_LOOKED_THROUGH):
            if change.commit.id == name and (stored := revisions.revision(self.database, change.revision)):
                template = Template.from_archive(stored.archive, limits=self.limits).with_site(self.site())
                return template.at(name, dirty=False)
        raise NotFound(f"No deployment of this commit changed {key!r}.")


@dataclass(frozen=True, slots=True)
class DeployedAuthors:
    """The authors of templates as `Authors` tells them of a checkout, from the deployments that were served."""

    database: Database

    def of(self, key: str, commit: str | None) -> Authorship:
        """The authors of the first and the last change of a template that was served. Raises StoreBusy."""
        if commit is None:
            return Authorship()
        changes = deployments.changes_of(self.database, key, limit=_LOOKED_THROUGH)
        return Authorship(changes[-1].commit.author, changes[0].commit.author) if changes else Authorship()
