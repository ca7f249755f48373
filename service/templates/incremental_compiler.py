"""Compile a directory of templates again and again: only what changed, and what depends on it."""

from collections.abc import Mapping
from dataclasses import dataclass

from service.templates.cache import CompilationCache
from service.templates.compiler import Compilation, TemplateCompiler
from service.templates.site_values import ResolvedValues
from service.templates.source.files import Files


@dataclass(frozen=True)
class Compiled:
    """All templates of a directory. `fresh` were compiled now; `changed` are the paths that differ from before.

    `values` are the installation's, with which all of them are installed.
    """

    compilations: Mapping[str, Compilation]
    fresh: Mapping[str, Compilation]
    changed: frozenset[str]
    values: ResolvedValues


class IncrementalCompiler:
    """Keeps the files and compilations of the last time, and on disk those of earlier processes. Not thread-safe."""

    def __init__(self, compiler: TemplateCompiler, cache: CompilationCache | None) -> None:
        self.files = Files({})
        self._compiler = compiler
        self._cache = cache
        self._compilations: Mapping[str, Compilation] = {}

    def compile(self, files: Files) -> Compiled:
        """Compile all templates of these files; a broken one has findings and does not stop the others."""
        changed = files.changed_since(self.files)
        known = {key: self._unchanged(key, changed) or self._cached(key, files) for key in files.template_keys()}
        fresh = self._compiler.compile_all(files, [key for key, found in known.items() if found is None])
        values = self._compiler.values.resolve(files)
        compilations = {key: (found or fresh[key]).installed(values) for key, found in known.items()}
        self.files, self._compilations = files, compilations
        return Compiled(compilations, fresh, changed, values)

    @property
    def values_stamp(self) -> tuple[object, ...]:
        """A value that changes with the files of the installation's values that are in no template directory."""
        return self._compiler.values.stamp

    def keep(self, compiled: Compiled) -> None:
        """Write what was compiled now to the cache on disk."""
        if self._cache:
            for key, compilation in compiled.fresh.items():
                self._cache.put(key, self.files, compilation)

    def _unchanged(self, key: str, changed: frozenset[str]) -> Compilation | None:
        """The earlier compilation of a template; None if a changed path is in its folder or among its dependencies."""
        before = self._compilations.get(key)
        if before is None or not changed.isdisjoint(before.dependencies):
            return None
        return None if any(path.startswith(f"{key}/") for path in changed) else before

    def _cached(self, key: str, files: Files) -> Compilation | None:
        return self._cache.get(key, files) if self._cache else None
