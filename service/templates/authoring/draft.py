"""Drafts: unsaved files of a template are compiled for the editor, and the vocabulary for its completion.

Drafts go through the compiler of the catalogue, so the editor shows what would be served. Nothing is stored.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from service.errors import Finding
from service.store.sized_cache import SizedCache
from service.templates.catalogue import Catalogue
from service.templates.compiler import Compilation, TemplateCompiler
from service.templates.findings import FindingCollector
from service.templates.front_matter.manifest import FIELDS
from service.templates.front_matter.variables import variables_schema
from service.templates.front_matter.version_rule import front_matter
from service.templates.languages import DEFAULT_LANGUAGE
from service.templates.mjml.components import ATTRIBUTES, CHILDREN, COMMON_ATTRIBUTES, CONTENT, TEXT_CONTENT, expected
from service.templates.runtime.sandbox import sandbox_without_modules
from service.templates.source.files import Files
from service.templates.template import Template

#: Memory of the drafts that are kept: an editor asks twice for one, for the findings and for the mail.
_MAX_CACHED_BYTES = 16 * 1024 * 1024
#: What a compilation takes beside its template.
_COMPILATION_BYTES = 50_000


def _size_bytes(compilation: Compilation) -> int:
    return _COMPILATION_BYTES + (compilation.template.size_bytes if compilation.template else 0)


@dataclass(frozen=True, slots=True)
class TemplateDraft:
    """A compiled draft. `template` is None if an error is among the findings.

    `declared` is the JSON Schema of each variable by its name, also of a draft that does not compile.
    """

    template: Template | None
    findings: Sequence[Finding]
    declared: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class TemplateDrafts:
    """Compiles drafts together with the files on disk. Thread-safe."""

    catalogue: Catalogue
    compiler: TemplateCompiler
    _compilations: SizedCache[tuple[str, ...], Compilation] = field(
        default_factory=lambda: SizedCache(_MAX_CACHED_BYTES, _size_bytes), repr=False, compare=False
    )

    def of(self, key: str, texts: Mapping[str, str | None]) -> TemplateDraft:
        """Compile a template with these files (path in its folder -> text, None to remove it)."""
        saved = self.catalogue.current.files
        files = saved.with_changes({f"{key}/{name}": text for name, text in texts.items()})
        compilation = self._compiled(key, files)
        document = front_matter(files, f"{key}/template.mjml")
        schema = variables_schema(document, FindingCollector()) if document else {"properties": {}}
        return TemplateDraft(compilation.template, compilation.findings, schema["properties"])

    def _compiled(self, key: str, files: Files) -> Compilation:
        shared = [path for path in files.by_path if path.startswith(("_", f"{key}/"))]
        name = (key, *(f"{path} {files.digest(path)}" for path in sorted(shared)))
        cached = self._compilations.get(name)
        if cached is not None and all(files.digest(path) == digest for path, digest in cached.dependencies.items()):
            return cached
        return self._compilations.put(name, self.compiler.compile(files, key))

    @cached_property
    def vocabulary(self) -> Mapping[str, Any]:
        """The vocabulary of templates as plain values: components, filters, fields of the front matter."""
        filters = sandbox_without_modules(self.compiler.limits, DEFAULT_LANGUAGE).html.filters
        return {
            "components": {name: _component(name) for name in sorted(ATTRIBUTES)},
            "filters": [
                {"name": name, "about": _first_line(inspect.getdoc(filters[name]))}
                for name in sorted(filters)
                if not name.startswith("_")
            ],
            "fields": list(FIELDS),
        }


def _component(name: str) -> Mapping[str, Any]:
    common = dict.fromkeys(COMMON_ATTRIBUTES, "string") if name.startswith("mj-") else {}
    return {
        "attributes": {
            attribute: {"expected": expected(kind), "options": _options(kind)}
            for attribute, kind in sorted({**ATTRIBUTES[name], **common}.items())
        },
        "children": sorted(CHILDREN.get(name, ())),
        "takes_html": name in CONTENT and name not in TEXT_CONTENT,
    }


def _options(kind: str) -> Sequence[str]:
    if kind.startswith("enum"):
        return [option for option in kind[5:-1].split(",") if option]
    return ["true", "false"] if kind == "boolean" else []


def _first_line(text: str | None) -> str:
    return (text or "").strip().partition("\n")[0][:120]
