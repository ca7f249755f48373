"""The compiler in child processes: the same result as in this process, and a finding where the child fails."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from service.errors import ChildFailed
from service.isolation.child_processes import ChildProcesses
from service.templates import isolated_compiler
from service.templates.isolated_compiler import IsolatedCompiler
from service.templates.source.files import Files, read_files
from tests.support.paths import TEMPLATES
from tests.support.template_kit import COMPILER, LIMITS, document, front_matter, text


class FailingChildren(ChildProcesses):
    """Child processes that crash at the templates of these keys."""

    def __init__(self, *keys: str) -> None:
        super().__init__([isolated_compiler.MODULE])
        self.keys = keys

    def run(self, function: str, *arguments: Any, **options: Any) -> bytes:
        if arguments[1] in self.keys:
            raise ChildFailed("it crashed (SIGSEGV)")
        return super().run(function, *arguments, **options)


@pytest.fixture(scope="module")
def compiler() -> Iterator[IsolatedCompiler]:
    with closing(ChildProcesses([isolated_compiler.MODULE])) as children:
        yield IsolatedCompiler(children, LIMITS)


def test_isolated_compiler_gives_what_the_compiler_gives(compiler: IsolatedCompiler) -> None:
    files = read_files(Path(TEMPLATES))
    isolated = compiler.compile_all(files, files.template_keys())
    for key, compilation in isolated.items():
        direct = COMPILER.compile(files, key)
        assert compilation.template is not None
        assert direct.template is not None
        assert compilation.template.archive() == direct.template.archive()
        assert (compilation.findings, compilation.dependencies) == (direct.findings, direct.dependencies)


def test_isolated_compiler_reads_files_of_other_folders(compiler: IsolatedCompiler) -> None:
    body = document('<mj-include path="../b/part.mjml" />')
    part = "<mj-section><mj-column><mj-text>Partie</mj-text></mj-column></mj-section>"
    files = Files.of({"a/template.mjml": front_matter("  {}\n") + body, "b/part.mjml": part, "c/template.mjml": "else"})
    compilation = compiler.compile(files, "a")
    assert compilation.dependencies["b/part.mjml"] == files.digest("b/part.mjml")
    assert compilation.findings == COMPILER.compile(files, "a").findings
    assert compilation.template is not None


def test_isolated_compiler_reports_every_finding_at_its_place(compiler: IsolatedCompiler) -> None:
    files = Files.of({"a/template.mjml": front_matter() + text("{{ unknown }} {{ alsounknown }}")})
    assert compiler.compile(files, "a").findings == COMPILER.compile(files, "a").findings != ()


def test_isolated_compiler_reports_a_dead_child_as_a_finding_of_its_template() -> None:
    good = front_matter() + text("{{ name }}")
    files = Files.of({"a/template.mjml": good, "b/template.mjml": good, "_shared/x.css": "p {}", "a/x.txt": "x"})
    with closing(FailingChildren("a")) as children:
        compilations = IsolatedCompiler(children, LIMITS).compile_all(files, ["a", "b"])
    [finding] = compilations["a"].findings
    assert (finding.file, finding.code, finding.severity) == ("a/template.mjml", "compiler-died", "error")
    assert "it crashed (SIGSEGV)" in finding.message
    # A change of any file that the compiler may have read is a reason to try again.
    assert set(compilations["a"].dependencies) == {"a/template.mjml", "a/x.txt", "_shared/x.css"}
    assert compilations["b"].template is not None
