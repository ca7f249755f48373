"""Templates of archived revisions, loaded from the database and kept ready: the last ones that were asked for.

Loading one takes some milliseconds, and its first rendering compiles its Jinja; a send that names a revision must not
pay for that each time.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass, replace

from service.store import revisions
from service.store.database import Database
from service.store.revisions import Revision
from service.templates.runtime.sandbox import RenderLimits
from service.templates.template import Template

MAX_KEPT = 32


@dataclass(frozen=True, slots=True)
class Archived:
    """A template as it was deployed, at the commit that it was archived with, and its revision to send with."""

    template: Template
    revision: Revision


class ArchivedTemplates:
    """Loads archived templates; the last MAX_KEPT stay in memory. Thread-safe."""

    def __init__(self, database: Database, limits: RenderLimits) -> None:
        self._database = database
        self._limits = limits
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Archived] = OrderedDict()

    def get(self, revision: str) -> Archived | None:
        """The template of a revision, by its full digest; None where it was never archived. Raises ArchiveCorrupt."""
        with self._lock:
            if found := self._kept.get(revision):
                self._kept.move_to_end(revision)
                return found
        stored = revisions.revision(self._database, revision)
        if stored is None:
            return None
        template = Template.from_archive(stored.archive, limits=self._limits)
        # Sending with it must not make it the current row of its key.
        loaded = Archived(template.at(stored.commit, dirty=stored.dirty), replace(stored, current=None))
        with self._lock:
            self._kept[revision] = loaded
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return loaded
