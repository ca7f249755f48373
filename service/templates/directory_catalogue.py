"""The catalogue of a directory: compiles the templates whose files change, and swaps in the new snapshot."""

import threading
import time
from collections.abc import Callable, Collection, Container, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import structlog
from typing_extensions import override

from service.errors import Finding
from service.templates.cache import CompilationCache
from service.templates.catalogue import Catalogue, Entry, Snapshot
from service.templates.compiler import Compilation, TemplateCompiler
from service.templates.incremental_compiler import IncrementalCompiler
from service.templates.site_values import ResolvedValues
from service.templates.source.files import Checkout, read_checkout, read_files
from service.templates.template import Template

#: A file that is missing for less than this is taken as being replaced, seconds.
REMOVAL_GRACE_S = 2.0
#: Pause before a watch that broke begins anew, seconds.
_WATCH_PAUSE_S = 1.0

_log = structlog.get_logger("templates")


@dataclass(frozen=True)
class _State:
    """Templates behind a snapshot: the last good one of each key, and since when files are missing."""

    last_good: Mapping[str, Template] = field(default_factory=dict)
    leaving: Mapping[str, float] = field(default_factory=dict)
    values: ResolvedValues | None = None
    values_stamp: tuple[object, ...] = ()


class DirectoryCatalogue(Catalogue):
    """The templates below `root`, compiled as their files change.

    `commit` names the commit of a directory that is no checkout.
    """

    def __init__(
        self,
        root: Path,
        *,
        compiler: TemplateCompiler,
        cache_dir: Path | None = None,
        commit: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(str(root), clock=clock)
        self._root = Path(root)
        self._commit = commit
        cache = CompilationCache(cache_dir, compiler.limits) if cache_dir else None
        self._compiler = IncrementalCompiler(compiler, cache)
        self._rebuild = threading.Lock()
        self._state = _State()

    @property
    @override
    def emptiness(self) -> str | None:
        if self.current.entries:
            return super().emptiness
        return f"{self._root} holds no template" if self._root.is_dir() else f"there is no directory {self._root}"

    def load(self) -> Snapshot:
        """Build the first snapshot. A broken template becomes an entry with findings and does not stop the others."""
        return self.refresh()

    @override
    def refresh(self, *, with_grace: bool = False, only: Collection[str] | None = None) -> Snapshot:
        """Compile what changed on disk and what depends on it, then swap in the new snapshot.

        `only`: the top-level names below the root that may have changed; None: all.
        A broken template keeps serving its last good revision. One whose file is gone leaves the snapshot: at once, or
        `with_grace` only after REMOVAL_GRACE_S, because editors, checkouts and mounts take files away for a moment.
        """
        with self._rebuild, ThreadPoolExecutor(1) as executor:
            before, stamp = self._state, self._compiler.values_stamp
            files = read_files(self._root, self._compiler.files, only=only)
            checkout_answer = executor.submit(read_checkout, self._root, self._commit)  # git answers while we compile
            compiled = self._compiler.compile(files)
            compilations = compiled.compilations
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
            self._state = _State(good, leaving, compiled.values, stamp)
            shown = self.current
            # An uncommitted change is served, and belongs to the deployment of the commit that it changes.
            deployment_id = shown.deployment_id if shown.commit == checkout.commit else None
            in_order = MappingProxyType(dict(sorted(entries.items())))
            snapshot = Snapshot(in_order, checkout.commit, files, deployment_id, compiled.values.site)
            has_news = compiled.changed or before.leaving or compiled.values is not before.values
            if has_news or shown.commit != checkout.commit:
                self.serve(snapshot)
            else:
                self._snapshot = snapshot
            # Most of these mails are sent many times a second: the next one should not wait for Jinja.
            for template in (good[key] for key in compiled.fresh if key in good and key in before.last_good):
                template.prepare()
            self._compiler.keep(compiled)
            return self.current

    def _leaving(self, present: Container[str]) -> dict[str, float]:
        """Templates whose file is gone for less than REMOVAL_GRACE_S: key -> since when, monotonic seconds."""
        now = self._clock()
        since = {key: self._state.leaving.get(key, now) for key in self._state.last_good if key not in present}
        return {key: began for key, began in since.items() if now - began < REMOVAL_GRACE_S}

    @override
    def watch(self, stop: threading.Event) -> None:
        """Refresh after each change on disk until `stop` is set; blocks. An error is logged, and the watch begun anew.

        A watch that begins refreshes everything, so what an error interrupted is made up for.
        """
        from service.templates.source.watch import watch_changes  # its library is in the extra `server`

        while not stop.is_set():
            try:
                for changed in watch_changes(self._root, stop):
                    is_stale = self._compiler.values_stamp != self._state.values_stamp
                    if changed is None or changed or self._state.leaving or is_stale:
                        self.refresh(with_grace=True, only=changed)
                    self.note_look()
            except Exception as error:
                _log.error("watch_broke", exc_info=error)
                stop.wait(_WATCH_PAUSE_S)


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
