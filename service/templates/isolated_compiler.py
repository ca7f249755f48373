"""Compile templates in child processes: a template that crashes or holds the compiler is a finding of that template."""

import json
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from service.errors import ArchiveCorrupt, ChildFailed, Finding
from service.isolation.child_processes import ChildProcesses
from service.isolation.limits import TaskLimits
from service.templates.compiler import Compilation, compile_template
from service.templates.runtime.sandbox import RenderLimits
from service.templates.site_values import SiteValues
from service.templates.source.files import Files

#: The module that a fork server loads for this.
MODULE = __name__
#: A template of RGZ takes 0.05 s; this is for one that is a hundred times as large.
_LIMITS = TaskLimits(deadline_s=30.0, cpu_s=10)
#: A catalogue compiles so many at once, each in a child; a child waits for a free processor.
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class IsolatedCompiler:
    """Compiles each template in a child process of its own."""

    children: ChildProcesses
    limits: RenderLimits
    values: SiteValues = field(default_factory=SiteValues)

    def compile(self, files: Files, key: str) -> Compilation:
        """Compile the template in the folder `key`, for this installation.

        Raises TryLater if too much else is being compiled.
        """
        return self._compile(files, key, is_urgent=False).installed(self.values.resolve(files))

    def compile_all(self, files: Files, keys: Collection[str]) -> Mapping[str, Compilation]:
        """Compile these templates, several at once, for this installation; never refused."""
        values = self.values.resolve(files)

        def compiled(key: str) -> Compilation:
            return self._compile(files, key, is_urgent=True).installed(values)

        if len(keys) <= 1:
            return {key: compiled(key) for key in keys}
        with ThreadPoolExecutor(_AT_ONCE, "compile") as threads:
            return dict(zip(keys, threads.map(compiled, keys), strict=True))

    def _compile(self, files: Files, key: str, *, is_urgent: bool) -> Compilation:
        """Hand the child the template's folder and the shared ones; all files, if it asks for a file of another."""
        near = Files({path: file for path, file in files.by_path.items() if path.startswith(("_", f"{key}/"))})
        compilation = self._in_child(near, key, is_urgent=is_urgent)
        if any(path in files and path not in near for path in compilation.dependencies):
            compilation = self._in_child(files, key, is_urgent=is_urgent)
        return compilation

    def _in_child(self, files: Files, key: str, *, is_urgent: bool) -> Compilation:
        contents = {path: file.data for path, file in files.by_path.items()}
        try:
            answer = self.children.run(
                f"{MODULE}:compile_in_child", contents, key, self.limits, limits=_LIMITS, is_urgent=is_urgent
            )
            return Compilation.from_json(json.loads(answer), limits=self.limits)
        except (ChildFailed, ArchiveCorrupt, ValueError, KeyError, TypeError) as error:
            return _failed(files, key, error)


@contextmanager
def compiler_of_its_own(limits: RenderLimits, values: SiteValues | None = None) -> Iterator[IsolatedCompiler]:
    """A compiler whose child processes end with the block, for a command that has no services."""
    with closing(ChildProcesses([MODULE])) as children:
        children.start()
        yield IsolatedCompiler(children, limits, values or SiteValues())


def _failed(files: Files, key: str, error: Exception) -> Compilation:
    why = str(error) if isinstance(error, ChildFailed) else "its answer can't be read"
    finding = Finding(
        f"{key}/template.mjml",
        1,
        1,
        "error",
        "compiler-died",
        f"the compiler gave this template up: {why}",
        "make the template smaller and simpler, or take back its last change",
    )
    # Any of these files may be at fault: it is compiled again once one of them has changed.
    return Compilation(None, (finding,), {path: files.digest(path) for path in sorted(files.by_path)})


def compile_in_child(contents: Mapping[str, bytes], key: str, limits: RenderLimits) -> bytes:
    """Compile in this process, which is a child; returns the compilation as JSON."""
    compilation = compile_template(Files.of(contents), key, limits=limits)
    return json.dumps(compilation.as_json(), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def warm_up() -> None:
    """Compile a template that uses most parts of the compiler: what that loads and caches, every child has."""
    compile_in_child({"sample/template.mjml": _SAMPLE.encode()}, "sample", RenderLimits(100_000, 1_000))


_SAMPLE = """\
---
subject: "{{ name }}"
description: A sample.
category: sample
version: 1
variables:
  name: {type: string, description: A name., example: Zoé}
  rows: {type: array, items: {type: number}, description: Numbers., example: [1, 2]}
---
<mjml><mj-head><mj-style inline="inline">
.a { color: #fff; font: 700 14px Arial; margin: 0 auto; padding: 4px 8px; border: 1px solid #ccc; width: 100% }
.a > p, td:first-child { color: red !important }
</mj-style><mj-style>@media (max-width: 480px) { .a { color: blue } }</mj-style></mj-head><mj-body><mj-wrapper>
<mj-section><mj-column><mj-text css-class="a"><p style="color: red; margin: 0">{{ name }}</p></mj-text>
<mj-table>{% for row in rows %}<tr><td style="width: 50%">{{ row|number }}</td></tr>{% endfor %}</mj-table>
{% if name %}<mj-button css-class="a" href="https://example.com">{{ name }}</mj-button>{% endif %}
<mj-image src="https://example.com/a.png" alt="" /><mj-divider /></mj-column></mj-section></mj-wrapper></mj-body></mjml>
"""
