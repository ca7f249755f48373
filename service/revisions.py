"""Compiled template -> what the archive keeps of it.

Stands between the rooms and the verbs: it joins a template to the store.
"""

import threading
from datetime import datetime

from service.store.archive import CurrentTemplate, Revision
from service.templates.template import Template

MAX_AT_HAND = 1_000


class Revisions:
    """The archive form of the templates that this process sends with: making it takes milliseconds, once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[str, Revision] = {}

    def of(self, template: Template, now: datetime) -> Revision:
        """The revision of a template; the rendered example packs the bodies of its mails."""
        with self._lock:
            made = self._made.get(template.revision)
            if made is None:
                if len(self._made) >= MAX_AT_HAND:
                    self._made.clear()
                made = self._made[template.revision] = _archived(template, now)
            return made


def _archived(template: Template, now: datetime) -> Revision:
    manifest = template.manifest
    example = next(iter(template.examples.values()), None)
    programs = template.variants[template.locales[0]].programs
    return Revision(
        revision=template.revision,
        key=template.key,
        version=manifest.version,
        commit=template.commit,
        dirty=template.dirty,
        archive=template.archive(),
        dictionary=template.render(example).html.encode() if example is not None else None,
        created_at=now,
        current=CurrentTemplate(
            subject=manifest.subject,
            html_content=programs["html"].source,
            text_content=programs["text"].source,
            category=manifest.category,
            required_variables=manifest.schema.get("required", ()),
            attachments_allowed=manifest.attachments.allowed,
            is_active=manifest.active,
        ),
    )
