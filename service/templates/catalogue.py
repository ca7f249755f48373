"""The catalogue: all templates as one immutable snapshot, which is swapped atomically when files change."""

import threading
import time
from collections.abc import Callable, Collection, Container, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import structlog

from service.errors import Finding, TemplateInvalid
from service.templates.cache import CompilationCache
from service.templates.compiler import Compilation, TemplateCompiler
from service.templates.source.files import Checkout, Files, read_checkout, read_files
from service.templates.source.watch import watch_changes
from service.templates.template import Template

#: A file that is missing for less than this is taken as being replaced, seconds.
REMOVAL_GRACE_S = 2.0
#: Pause before a watch that broke begins anew, seconds.
_WATCH_PAUSE_S = 1.0

_log = structlog.get_logger("templates")


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


@dataclass(frozen=True)
class Snapshot:
    """All templates at one moment. A request uses one snapshot from its beginning to its end."""

    entries: Mapping[str, Entry]
    commit: str | None = None
    files: Files = field(default_factory=lambda: Files({}), repr=False)

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


@dataclass(frozen=True)
class _State:
    """Files and compilations behind a snapshot, so that the next one compiles only what changed."""

    files: Files = field(default_factory=lambda: Files({}))
    compilations: Mapping[str, Compilation] = field(default_factory=dict)
    last_good: Mapping[str, Template] = field(default_factory=dict)
    leaving: Mapping[str, float] = field(default_factory=dict)

    def unchanged(self, key: str, changed: frozenset[str]) -> Compilation | None:
        """The earlier compilation of a template; None if a changed path is in its folder or among its dependencies."""
        before = self.compilations.get(key)
        if before is None or not changed.isdisjoint(before.dependencies):
            return None
        return None if any(path.startswith(f"{key}/") for path in changed) else before


class Catalogue:
    """The templates below `root`. Reading `current` is one attribute access: readers never wait for a rebuild."""

    def __init__(
        self,
        root: Path,
        *,
        compiler: TemplateCompiler,
        cache_dir: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root = Path(root)
        self._clock = clock
        self._compiler = compiler
        self._cache = CompilationCache(cache_dir, compiler.limits, compiler.site) if cache_dir else None
        self._rebuild = threading.Lock()
        self._state = _State()
        self._snapshot = Snapshot(MappingProxyType({}))
        self._listeners: list[Listener] = []
        self._looked_at: float | None = None

    @property
    def emptiness(self) -> str | None:
        """Why no template at all can be sent; None where at least one can."""
        entries = self._snapshot.entries
        if any(entry.template is not None for entry in entries.values()):
            return None
        if entries:
            return f"none of the {len(entries)} templates in {self._root} compiles"
        return f"{self._root} holds no template" if self._root.is_dir() else f"there is no directory {self._root}"

    @property
    def current(self) -> Snapshot:
        """The snapshot that is served now."""
        return self._snapshot

    def load(self) -> Snapshot:
        """Build the first snapshot. A broken template becomes an entry with findings and does not stop the others."""
        return self.refresh()

    def refresh(self, *, with_grace: bool = False, only: Collection[str] | None = None) -> Snapshot:
        """Compile what changed on disk and what depends on it, then swap in the new snapshot.

        `only`: the top-level names below the root that may have changed; None: all.
        A broken template keeps serving its last good revision. One whose file is gone leaves the snapshot: at once, or
        with `patient` only after REMOVAL_GRACE_S, because editors, checkouts and mounts take files away for a moment.
        """
        with self._rebuild, ThreadPoolExecutor(1) as executor:
            before = self._state
            files = read_files(self._root, before.files, only=only)
            checkout_answer = executor.submit(read_checkout, self._root)  # git answers while we compile
            changed = files.changed_since(before.files)
            known = {key: before.unchanged(key, changed) or self._cached(key, files) for key in files.template_keys()}
            fresh = self._compiler.compile_all(files, [key for key, found in known.items() if found is None])
            compilations = {key: found or fresh[key] for key, found in known.items()}
            served = {key: found.template or before.last_good.get(key) for key, found in compilations.items()}
            good = {key: template for key, template in served.items() if template is not None}
            checkout = checkout_answer.result()
            good = {key: _at_checkout(template, compilations[key], checkout) for key, template in good.items()}
            entries = {
                key: Entry(key, good.get(key), compilation.findings) for key, compilation in compilations.items()
            }
            leaving = self._leaving(compilations) if with_grace else {}
            good |= {key: before.last_good[key] for key in leaving}
            entries |= {key: Entry(key, good[key], (_gone_finding(key),)) for key in leaving}
            self._state = _State(files, compilations, good, leaving)
            shown = self._snapshot
            self._snapshot = Snapshot(MappingProxyType(dict(sorted(entries.items()))), checkout.commit, files)
            if changed or before.leaving or shown.commit != checkout.commit:
                self._notify_listeners()
            # Most of these mails are sent many times a second: the next one should not wait for Jinja.
            for template in (good[key] for key in fresh if key in good and key in before.last_good):
                template.prepare()
            self._keep(fresh, files)
            return self._snapshot

    def _leaving(self, present: Container[str]) -> dict[str, float]:
        """Templates whose file is gone for less than REMOVAL_GRACE_S: key -> since when, monotonic seconds."""
        now = self._clock()
        since = {key: self._state.leaving.get(key, now) for key in self._state.last_good if key not in present}
        return {key: began for key, began in since.items() if now - began < REMOVAL_GRACE_S}

    def _cached(self, key: str, files: Files) -> Compilation | None:
        return self._cache.get(key, files) if self._cache else None

    def _keep(self, compilations: Mapping[str, Compilation], files: Files) -> None:
        """Write new compilations to the cache, after the snapshot is served."""
        if self._cache:
            for key, compilation in compilations.items():
                self._cache.put(key, files, compilation)

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

    def watch(self, stop: threading.Event) -> None:
        """Refresh after each change on disk until `stop` is set; blocks. An error is logged, and the watch begun anew.

        A watch that begins refreshes everything, so what an error interrupted is made up for.
        """
        while not stop.is_set():
            try:
                for changed in watch_changes(self._root, stop):
                    if changed is None or changed or self._state.leaving:
                        self.refresh(with_grace=True, only=changed)
                    self._looked_at = self._clock()
            except Exception as error:
                _log.error("watch_broke", exc_info=error)
                stop.wait(_WATCH_PAUSE_S)

    @property
    def watch_age_s(self) -> float | None:
        """Seconds since `watch` last looked at the disk, which it does twice a second; None if it has not yet."""
        return None if self._looked_at is None else self._clock() - self._looked_at


def _gone_finding(key: str) -> Finding:
    path = f"{key}/template.mjml"
    return Finding(
        path, 1, 1, "error", "template-gone", f"{path} was removed; its last revision is served for a moment"
    )


def _at_checkout(template: Template, compilation: Compilation, checkout: Checkout) -> Template:
    """The template with the checkout's commit; the same object if it has that already."""
    dirty = not checkout.dirty.isdisjoint(compilation.dependencies)
    if (template.commit, template.dirty) == (checkout.commit, dirty):
        return template
    return template.at(checkout.commit, dirty=dirty)
