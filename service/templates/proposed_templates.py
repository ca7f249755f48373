"""Proposed templates: those of the previews of pull requests, loaded from the database; nothing is compiled.

A preview has what its pull request changes; every other template is as it is served.
"""

from dataclasses import dataclass, replace

from service.errors import InvalidRequest, Problem
from service.models import Preview, PreviewItem
from service.store import previews
from service.store.database import Database
from service.store.revisions import Revision
from service.store.sized_cache import SizedCache
from service.templates.catalogue import Catalogue
from service.templates.revisions import archived
from service.templates.runtime.sandbox import RenderLimits
from service.templates.runtime.site import Site
from service.templates.source.authors import Authorship
from service.templates.template import Template

#: Memory of the templates that are kept.
MAX_KEPT_BYTES = 16 * 1024 * 1024
#: So many previews are named where the wanted one does not exist.
_MAX_NAMED = 20


@dataclass(frozen=True, slots=True)
class Proposed:
    """A template of a preview, at the preview's commit, and its revision to send with."""

    preview: Preview
    item: PreviewItem
    template: Template
    revision: Revision


class ProposedTemplates:
    """Loads the templates of previews; those used last stay in memory. Thread-safe. `is_on`: there are previews."""

    def __init__(self, database: Database, catalogue: Catalogue, limits: RenderLimits, *, is_on: bool) -> None:
        self._database = database
        self._catalogue = catalogue
        self._limits = limits
        self._is_on = is_on
        self._kept: SizedCache[str, tuple[Template, Revision]] = SizedCache(MAX_KEPT_BYTES, _size_bytes)

    def find(self, name: str) -> Preview | None:
        """The preview of this name; None where there is none."""
        return previews.get(self._database, name) if self._is_on else None

    def names(self) -> list[str]:
        """The names of all previews."""
        return previews.names(self._database) if self._is_on else []

    def require(self, name: str) -> Preview:
        """The preview of this name. Raises InvalidRequest, which names those that there are."""
        found = self.find(name)
        if found is not None:
            return found
        known = self.names()
        more = f" and {len(known) - _MAX_NAMED} more" if len(known) > _MAX_NAMED else ""
        hint = f"known are: {', '.join(known[:_MAX_NAMED])}{more}" if known else "there is none at the moment"
        problem = Problem("/template_ref", "unknown_preview", hint)
        raise InvalidRequest(f"There is no preview {name!r}.", [problem])

    def choose(self, name: str, key: str) -> Proposed | None:
        """The template that a preview proposes for a key; None where it is as it is served.

        Raises InvalidRequest for an unknown preview, and for a template that it deletes or that does not compile.
        """
        preview = self.require(name)
        item = previews.item(self._database, name, key)
        if item is None:
            return None
        found = self.load(preview, item)
        if found is None:
            errors = [str(one) for one in item.findings if one.is_error]
            why = errors[0] if errors else f"{name} deletes it"
            problem = Problem("/template_ref", "not_in_preview", why)
            raise InvalidRequest(f"{name} has no template {key!r} to send with.", [problem])
        return found

    def load(self, preview: Preview, item: PreviewItem) -> Proposed | None:
        """The template of an item, with the preview's values; None where it has none, or another one by now.

        Raises ArchiveCorrupt.
        """
        if item.revision is None:
            return None
        kept = self._kept.get(item.revision)
        if kept is None:
            data = previews.archive(self._database, preview.name, item.key, item.revision)
            if data is None:
                return None
            template = Template.from_archive(data, limits=self._limits)
            made = archived(template.at(preview.commit.id, dirty=False), preview.prepared_at, Authorship())
            # Sending with it must not make it the current row of its key, nor one that a version leads to.
            kept = self._kept.put(item.revision, (template, replace(made, current=None, is_preview=True)))
        template, revision = kept
        shown = template.with_site(Site(preview.site_values)).at(preview.commit.id, dirty=False)
        return Proposed(preview, item, shown, replace(revision, commit=preview.commit.id))

    def served(self, key: str) -> Template | None:
        """The template that is served; None where there is none."""
        entry = self._catalogue.current.entries.get(key)
        return entry.template if entry is not None else None


def _size_bytes(kept: tuple[Template, Revision]) -> int:
    template, revision = kept
    return template.size_bytes + len(revision.archive) + len(revision.dictionary or b"")
