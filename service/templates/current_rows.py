"""Keeps a row in `email_templates` for each template that is served, whether it has sent or not."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from service.store import revisions
from service.store.database import Database
from service.store.revisions import Revision
from service.templates.catalogue import Catalogue
from service.templates.revisions import current_of
from service.templates.source.authors import AuthorSource


@dataclass(frozen=True, slots=True)
class CurrentRows:
    """Writes the rows of what the catalogue serves; `authors` reads who wrote it from git."""

    database: Database
    catalogue: Catalogue
    authors: AuthorSource
    clock: Callable[[], datetime]

    def save(self, stopping: threading.Event) -> None:
        """Write the rows that differ from what is served, until `stopping` is set. Raises StoreBusy.

        A row stays when its template's file is gone; deleting a template through the service deletes its row.
        """
        known = revisions.current_revisions(self.database)
        now = self.clock()
        rows = []
        for entry in self.catalogue.current:
            template = entry.template
            if stopping.is_set():
                return
            if template is not None and known.get(template.key) != template.revision:
                version, commit = template.manifest.version, template.commit
                named = Revision(template.revision, template.key, version, commit, template.dirty, b"", None, now)
                rows.append((named, current_of(template, self.authors.of(template.key, commit))))
        if rows:
            self.database.write(lambda tx: revisions.save_served(tx, rows))
