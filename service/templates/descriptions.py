"""Descriptions of templates and their versions as plain values, from the catalogue and the archive."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from service.errors import NotFound
from service.store import revisions
from service.store.database import Database
from service.store.revisions import Revision
from service.templates.archived_templates import Archived, ArchivedTemplates
from service.templates.catalogue import Catalogue, Entry, state_of
from service.templates.source.authors import AuthorSource
from service.templates.template import Template

#: The largest INTEGER that both databases have.
MAX_VERSION = 2**31 - 1


@dataclass(frozen=True, slots=True)
class TemplateView:
    """A template as plain values; `state` is the ETag of what they describe, without quotes."""

    state: str
    content: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TemplateDescriber:
    """Describes templates and their revisions as plain values, ready for JSON."""

    catalogue: Catalogue
    database: Database
    archive: ArchivedTemplates
    authors: AuthorSource

    def summaries(self) -> list[Mapping[str, Any]]:
        """All templates, sorted by key; a broken one has the values of its last good revision."""
        entries = self.catalogue.current.entries
        return [_summary(entries[key]) for key in sorted(entries)]

    def show(self, key: str) -> TemplateView:
        """One template with its variables as JSON Schema and its `files` as on disk. Raises NotFound."""
        snapshot = self.catalogue.current
        entry = snapshot.entries.get(key)
        if entry is None:
            raise NotFound(f"There is no template {key!r}.")
        content = _summary(entry) | {"findings": [asdict(finding) for finding in entry.findings]}
        content |= {"files": snapshot.folder(key)}
        if entry.template is not None:
            content |= _described(entry.template) | {"commit": entry.template.commit, "dirty": entry.template.dirty}
        return TemplateView(state_of(entry), content | self._authors(key, entry.template))

    def versions(self, key: str) -> Sequence[Mapping[str, Any]]:
        """Every revision that was deployed or sent, newest first; the current one is first where it is not archived.

        Raises NotFound for a key that has neither a template nor a revision.
        """
        current = self._current(key)
        kept = revisions.versions(self.database, key)
        if current is None and not kept:
            raise NotFound(f"There is no template {key!r}, and none was ever deployed.")
        items = [_kept(revision, current) for revision in kept]
        if current is not None and all(revision.revision != current.revision for revision in kept):
            items.insert(0, _unsent(current))
        return items

    def version(self, key: str, number: int) -> Mapping[str, Any]:
        """The latest revision of a version: the current one, or the last that was deployed. Raises NotFound."""
        current = self._current(key)
        if current is not None and current.manifest.version == number:
            kept = revisions.revision(self.database, current.revision)
            return (_kept(kept, current) if kept else _unsent(current)) | _described(current)
        found = revisions.latest_revision_of(self.database, key, number) if 0 < number <= MAX_VERSION else None
        if found is None:
            raise NotFound(f"The template {key!r} has no version {number}, or it was never deployed.")
        return _kept(found, current) | _described(self._archived(found.revision).template)

    def revision(self, key: str, name: str) -> Template:
        """The template of a revision: the current one, or one that was ever deployed. Raises NotFound."""
        current = self._current(key)
        if current is not None and current.revision == name:
            return current
        found = self.archive.get(name)
        if found is None or found.template.key != key:
            raise NotFound(f"The template {key!r} has no such revision, or it was never deployed.")
        return found.template

    def _archived(self, revision: str) -> Archived:
        found = self.archive.get(revision)
        if found is None:
            raise NotFound("That revision was deleted.")
        return found

    def _current(self, key: str) -> Template | None:
        entry = self.catalogue.current.entries.get(key)
        return entry.template if entry else None

    def _authors(self, key: str, template: Template | None) -> dict[str, str | None]:
        """The authors by git; outside of git, the callers that published the template."""
        known = self.authors.of(key, template.commit) if template else None
        if known is not None and known.updated_by is not None:
            return {"created_by": known.created_by, "updated_by": known.updated_by}
        revision, created_by, updated_by = revisions.current_authors(self.database, key) or (None, None, None)
        is_that = template is not None and template.revision == revision
        return {"created_by": created_by, "updated_by": updated_by if is_that else None}


def _summary(entry: Entry) -> dict[str, Any]:
    broken = any(finding.is_error for finding in entry.findings)
    common = {"key": entry.key, "broken": broken, "findings": len(entry.findings)}
    if entry.template is None:
        return common | {"subject": None, "category": None, "version": None, "active": False, "revision": None}
    return common | _headline(entry.template)


def _headline(template: Template) -> dict[str, Any]:
    manifest = template.manifest
    return {
        "subject": manifest.subject,
        "description": manifest.description,
        "category": manifest.category,
        "stream": manifest.stream,
        "version": manifest.version,
        "active": manifest.active,
        "revision": template.revision,
    }


def _described(template: Template) -> dict[str, Any]:
    """The fields that every revision has, current or archived."""
    manifest = template.manifest
    return {
        "key": template.key,
        **_headline(template),
        "locales": template.locales,
        "variables": manifest.schema,
        "required_variables": manifest.schema.get("required", []),
        "attachments": {
            "allowed": manifest.attachments.allowed,
            "types": manifest.attachments.types,
            "required": manifest.attachments.required,
        },
        "delivery": {
            "priority": manifest.delivery.priority,
            "attempts": manifest.delivery.attempts,
            "sla_seconds": manifest.delivery.sla_s,
            "expires_after_seconds": manifest.delivery.expires_after_s,
        },
        "from": manifest.from_header,
        "reply_to": manifest.reply_to,
        "copies": list(manifest.copies),
        "examples": template.examples,
        "source": template.source,
    }


def _kept(revision: Revision, current: Template | None) -> dict[str, Any]:
    return {
        "version": revision.version,
        "revision": revision.revision,
        "commit": revision.commit,
        "dirty": revision.dirty,
        "first_sent_at": revision.first_sent_at,
        "current": current is not None and current.revision == revision.revision,
    }


def _unsent(template: Template) -> dict[str, Any]:
    return {
        "version": template.manifest.version,
        "revision": template.revision,
        "commit": template.commit,
        "dirty": template.dirty,
        "first_sent_at": None,
        "current": True,
    }
