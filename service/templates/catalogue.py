"""The catalogue: all templates as one immutable snapshot, which is swapped atomically when they change."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from service.errors import Finding, TemplateInvalid
from service.templates.runtime.site import NO_SITE, Site
from service.templates.source.files import Files
from service.templates.template import Template

Listener = Callable[[], None]


@dataclass(frozen=True)
class Entry:
    """One template of a snapshot: its last good compilation, and the findings of its present files.

    With an error among the findings it is degraded: `template`, if there is one, is older than the files.
    """

    key: str
    template: Template | None
    findings: tuple[Finding, ...] = ()

    @property
    def is_degraded(self) -> bool:
        """True if the files on disk have an error."""
        return any(finding.is_error for finding in self.findings)


def state_of(entry: Entry) -> str:
    """The ETag of a template: its revision, or for broken files a digest of the findings and the revision served."""
    if entry.template is not None and not entry.is_degraded:
        return entry.template.revision
    served = entry.template.revision if entry.template else ""
    described = "\n".join([served, *map(str, entry.findings)])
    return "broken-" + hashlib.sha256(described.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Snapshot:
    """All templates at one moment. A request uses one snapshot from its beginning to its end.

    `site` are the installation's values, which its templates have already.
    """

    entries: Mapping[str, Entry]
    commit: str | None = None
    files: Files = field(default_factory=lambda: Files({}), repr=False)
    deployment_id: str | None = None
    site: Site = NO_SITE

    def get(self, key: str) -> Template:
        """The template `key`. Raises KeyError for an unknown one, TemplateInvalid if none of its revisions compiled."""
        entry = self.entries[key]
        if entry.template is None:
            raise TemplateInvalid(entry.findings)
        return entry.template

    def folder(self, key: str) -> dict[str, str]:
        """The files of a template's folder as read, broken or not: path in the folder -> text.

        A file that is not UTF-8 is left out; it is among the findings.
        """
        texts = {}
        for path in self.files.folder(key):
            with suppress(UnicodeDecodeError):
                texts[path.removeprefix(f"{key}/")] = self.files.text(path)
        return texts

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries.values())


class Catalogue:
    """The templates that are served. Reading `current` is one attribute access: readers never wait for a rebuild.

    `place` names where they come from, for people.
    """

    def __init__(self, place: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.place = place
        self._clock = clock
        self._snapshot = Snapshot(MappingProxyType({}))
        self._listeners: list[Listener] = []
        self._looked_at: float | None = None

    @property
    def current(self) -> Snapshot:
        """The snapshot that is served now."""
        return self._snapshot

    @property
    def emptiness(self) -> str | None:
        """Why no template at all can be sent; None where at least one can."""
        entries = self._snapshot.entries
        if any(entry.template is not None for entry in entries.values()):
            return None
        if entries:
            return f"none of the {len(entries)} templates in {self.place} compiles"
        return f"no template of {self.place} is served"

    def refresh(self) -> Snapshot:
        """Look for changes, if this catalogue reads them itself, and return what is served then."""
        return self._snapshot

    def watch(self, stop: threading.Event) -> None:
        """Refresh after each change until `stop` is set; blocks."""
        stop.wait()

    def serve(self, snapshot: Snapshot) -> None:
        """Serve this snapshot from now on, and tell the listeners. Requests under way keep theirs."""
        self._snapshot = snapshot
        self._notify_listeners()

    def name_deployment(self, deployment_id: str, *, of: Snapshot) -> bool:
        """Say which deployment the snapshot `of` is; False if another one is served by now."""
        if self._snapshot is not of:
            return False
        self._snapshot = replace(of, deployment_id=deployment_id)
        return True

    @contextmanager
    def listening(self, listener: Listener) -> Iterator[None]:
        """Call `listener` after each new snapshot that differs in files or commit, while the block runs.

        It runs in the thread that made the snapshot, which waits for it: it must be quick and must not raise.
        """
        self._listeners = [*self._listeners, listener]
        try:
            yield
        finally:
            self._listeners = [other for other in self._listeners if other is not listener]

    def _notify_listeners(self) -> None:
        for listener in self._listeners:
            listener()

    def note_look(self) -> None:
        """Note that changes were looked for now."""
        self._looked_at = self._clock()

    @property
    def watch_age_s(self) -> float | None:
        """Seconds since changes were last looked for, which is done twice a second; None if that has not begun."""
        return None if self._looked_at is None else self._clock() - self._looked_at
