"""Templates of archived revisions, loaded from the database and kept ready: the last ones that were asked for.

Loading one takes some milliseconds, and its first rendering compiles its Jinja; a send that names a revision must not
pay for that each time.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from service.store import revisions
from service.store.database import Database
from service.store.revisions import Revision
from service.store.sized_cache import SizedCache
from service.templates.runtime.sandbox import RenderLimits
from service.templates.runtime.site import NO_SITE, Site
from service.templates.template import Template

#: Memory of the templates that are kept.
MAX_KEPT_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Archived:
    """A template as it was deployed, at the commit that it was archived with, and its revision to send with."""

    template: Template
    revision: Revision


class ArchivedTemplates:
    """Loads archived templates; those used last stay in memory. `site` gives the installation's values. Thread-safe."""

    def __init__(self, database: Database, limits: RenderLimits, site: Callable[[], Site] = lambda: NO_SITE) -> None:
        self._database = database
        self._limits = limits
        self._site = site
        self._kept: SizedCache[str, Archived] = SizedCache(MAX_KEPT_BYTES, _size_bytes)

    def get(self, revision: str) -> Archived | None:
        """The template of a revision, by its full digest; None where it was never archived. Raises ArchiveCorrupt."""
        site = self._site()
        if found := self._kept.get(revision):
            if found.template.site == site:
                return found
            return self._kept.put(revision, replace(found, template=found.template.with_site(site)))
        stored = revisions.revision(self._database, revision)
        if stored is None:
            return None
        template = Template.from_archive(stored.archive, limits=self._limits).with_site(site)
        # Sending with it must not make it the current row of its key.
        loaded = Archived(template.at(stored.commit, dirty=stored.dirty), replace(stored, current=None))
        return self._kept.put(revision, loaded)


def _size_bytes(archived: Archived) -> int:
    return archived.template.size_bytes + len(archived.revision.archive) + len(archived.revision.dictionary or b"")
