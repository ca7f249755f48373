"""Archived revisions of templates.

Stands between the rooms and the verbs: it joins a template to the store.
"""

from datetime import datetime

from service.errors import RenderError
from service.store.revisions import CurrentTemplate, Revision
from service.store.sized_cache import SizedCache
from service.templates.source.authors import Authorship, AuthorSource
from service.templates.template import Template

#: Archives and dictionaries of the revisions that are kept, of which 52 KB is usual.
MAX_CACHED_BYTES = 64 * 1024 * 1024


class Revisions:
    """Makes the archive form of the templates that this process sends with, once each: it takes milliseconds."""

    def __init__(self, authors: AuthorSource | None = None) -> None:
        self._authors = authors
        self._cached: SizedCache[str, Revision] = SizedCache(MAX_CACHED_BYTES, _size_bytes)

    def of(self, template: Template, now: datetime) -> Revision:
        """The revision of a template; its dictionary, the rendered example, compresses the bodies of its mails."""
        made = self._cached.get(template.revision)
        if made is not None:
            return made
        return self._cached.put(template.revision, self.build(template, now))

    def has(self, template: Template) -> bool:
        """True if `of` would return the cached revision, so that it costs nothing."""
        return template.revision in self._cached

    def build(self, template: Template, now: datetime) -> Revision:
        """The revision of a template, made anew and not cached."""
        authors = self._authors.of(template.key, template.commit) if self._authors else Authorship()
        return archived(template, now, authors)


def _size_bytes(revision: Revision) -> int:
    return len(revision.archive) + len(revision.dictionary or b"")


def archived(template: Template, now: datetime, authors: Authorship) -> Revision:
    """The archive form of a template, with the row that it has while it is served."""
    manifest = template.manifest
    return Revision(
        revision=template.revision,
        key=template.key,
        version=manifest.version,
        commit=template.commit,
        dirty=template.dirty,
        archive=template.archive(),
        dictionary=_example_html(template),
        created_at=now,
        current=current_of(template, authors),
    )


def _example_html(template: Template) -> bytes | None:
    """The HTML of the first example; None where there is none, or a value of the installation is missing for it."""
    example = next(iter(template.examples.values()), None)
    try:
        return template.render(example).html.encode() if example is not None else None
    except RenderError:
        return None


def current_of(template: Template, authors: Authorship) -> CurrentTemplate:
    """The row of a template that is served."""
    manifest = template.manifest
    programs = template.variants[template.locales[0]].programs
    return CurrentTemplate(
        subject=manifest.subject,
        html_content=programs["html"].source,
        text_content=programs["text"].source,
        category=manifest.category,
        required_variables=manifest.schema.get("required", ()),
        attachments_allowed=manifest.attachments.allowed,
        is_active=manifest.active,
        author=authors.updated_by,
        creator=authors.created_by,
    )
