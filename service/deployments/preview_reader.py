"""Previews as they are read: the list, one with the templates that it changes, and both sides of one of these."""

from collections.abc import Sequence
from dataclasses import dataclass

from service.errors import NotFound
from service.models import Change, Preview, PreviewItem
from service.store import previews
from service.store.database import Database
from service.templates.archived_templates import ArchivedTemplates
from service.templates.proposed_templates import ProposedTemplates
from service.templates.runtime.site import Site
from service.templates.template import Template


@dataclass(frozen=True, slots=True)
class PreviewDetail:
    """A preview with the templates that it changes, by key."""

    preview: Preview
    items: Sequence[PreviewItem]


@dataclass(frozen=True, slots=True)
class Sides:
    """A template of a preview before and after; None on a side that has none."""

    item: PreviewItem
    before: Template | None
    after: Template | None


@dataclass(frozen=True, slots=True)
class PreviewReader:
    """Reads previews; it changes nothing. `is_on`: there are previews here."""

    database: Database
    proposed: ProposedTemplates
    archive: ArchivedTemplates
    is_on: bool

    def list_all(self) -> list[Preview]:
        """All previews, the highest number first."""
        return sorted(previews.all_of(self.database), key=_order) if self.is_on else []

    def detail(self, name: str) -> PreviewDetail:
        """A preview with its templates. Raises NotFound."""
        preview = self.proposed.find(name)
        if preview is None:
            known = ", ".join(one.name for one in self.list_all())
            raise NotFound(f"There is no preview {name[:80]!r}. Known are: {known or 'none'}.")
        return PreviewDetail(preview, previews.items(self.database, preview.name))

    def sides(self, preview: Preview, key: str, *, is_anonymous: bool = False) -> Sides:
        """A template before and after. Raises NotFound for one that the preview does not change, ArchiveCorrupt.

        `is_anonymous`: the reader has a link alone, so that declared examples stand for the installation's values.
        """
        item = previews.item(self.database, preview.name, key)
        if item is None:
            raise NotFound(f"{preview.name} does not change the template {key[:120]!r}.")
        proposed = self.proposed.load(preview, item)
        after = proposed.template if proposed is not None else None
        archived = self.archive.get(item.revision_before) if item.revision_before is not None else None
        before = archived.template if archived is not None else None
        if is_anonymous:
            examples = Site(preview.site_examples)
            before, after = (one.with_site(examples) if one is not None else None for one in (before, after))
        return Sides(item, before, after)


def _order(preview: Preview) -> tuple[int, int, str]:
    number = preview.name.removeprefix("pr-")
    is_number = number.isdecimal() and number.isascii()
    return (0, -int(number[:18]), "") if is_number else (1, 0, number)


def is_shown(item: PreviewItem) -> bool:
    """Whether there is a mail to look at, on one side at least."""
    return item.revision is not None or (item.change is Change.GONE and item.revision_before is not None)
