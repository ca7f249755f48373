"""Extras: the tools for templates need none, and every other command says which one it needs."""

import ast
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import click
import pytest

from service.cli import main
from service.cli.extras import LIBRARIES, extra_of
from tests.support.paths import ROOT, SERVICE
from tests.support.processes import COMMAND

#: The commands of `pip install rgz-email`.
TOOLS = ("init", "check", "new", "render", "snapshots", "diff", "comment")
SERVING = "serve"

#: Takes the libraries of the extras away from a Python, and from every Python that it starts.
SITE = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {sorted(one for libraries in LIBRARIES.values() for one in libraries)!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """The environment of a Python that has no extra."""
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare" / "sitecustomize.py").write_text(SITE)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    return {**kept, "PYTHONPATH": str(tmp_path / "bare")}


def rgz_email(*arguments: str, environment: dict[str, str], cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [str(COMMAND), *arguments]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False)


def module_of(command: str) -> str:
    found = main.get_command(click.Context(main), command)
    assert found is not None
    assert found.callback is not None
    return found.callback.__module__


def file_of(module: str) -> Path | None:
    path = ROOT / module.replace(".", "/")
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def imported_at_once(body: list[ast.stmt]) -> Iterator[str]:
    """What a module imports when it is loaded: not what its functions import when they are called."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        elif isinstance(node, ast.If | ast.Try | ast.With | ast.ClassDef):
            for part in ("body", "handlers", "orelse", "finalbody"):
                for inner in getattr(node, part, []):
                    yield from imported_at_once([inner] if isinstance(inner, ast.stmt) else inner.body)


@cache
def imports_of(file: Path) -> tuple[str, ...]:
    return tuple(imported_at_once(ast.parse(file.read_text("utf-8")).body))


def chains(module: str) -> dict[str, tuple[str, ...]]:
    """Everything that a module of ours imports, directly or not, with the modules that lead there."""
    found: dict[str, tuple[str, ...]] = {}
    waiting: list[tuple[str, ...]] = [(module,)]
    while waiting:
        chain = waiting.pop()
        parts = chain[-1].split(".")
        for name in (".".join(parts[:number]) for number in range(1, len(parts) + 1)):
            if name in found:
                continue
            found[name] = chain
            file = file_of(name) if parts[0] == SERVICE.name else None
            waiting += [(*chain, other) for other in (imports_of(file) if file else ())]
    return found


@pytest.mark.parametrize("command", TOOLS)
def test_tool_for_templates_imports_no_library_of_an_extra(command: str) -> None:
    found = chains(module_of(command))
    assert len(found) > 20
    libraries = {library for of in LIBRARIES.values() for library in of}
    assert {name: " -> ".join(found[name]) for name in libraries & set(found)} == {}


def test_import_of_a_library_is_found_when_other_modules_stand_between() -> None:
    assert chains(module_of(SERVING))["huey"][-2] != module_of(SERVING)


def test_extras_are_those_of_the_package() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert set(LIBRARIES) == set(extras) - {"test"}
    distributions = packages_distributions()
    for extra, libraries in LIBRARIES.items():
        declared = {re.split(r"[\[<>=]", line)[0].replace("_", "-") for line in extras[extra]}
        brought = {name.lower().replace("_", "-") for library in libraries for name in distributions[library]}
        assert brought - {"psycopg-pool"} == declared  # psycopg[pool]


def test_tools_for_templates_work_without_any_extra(bare: dict[str, str]) -> None:
    checked = rgz_email("check", "onboarding_golive", environment=bare)
    assert (checked.returncode, checked.stderr) == (0, ""), checked.stdout
    rendered = rgz_email("render", "onboarding_golive", "--text", environment=bare)
    assert (rendered.returncode, rendered.stderr) == (0, "")
    assert rendered.stdout


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["serve", "--port", "8000"], "serve"),
        (["messages", "--help"], "messages"),
        (["render", "onboarding_golive", "--open"], "render"),
    ],
)
def test_command_names_the_extra_that_it_needs_when_that_is_missing(
    arguments: list[str], command: str, bare: dict[str, str]
) -> None:
    done = rgz_email(*arguments, environment=bare)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"Error: `{command}` needs the extra `server`, which is not installed: pip install 'rgz-email[server]'\n"
    )


def test_help_lists_every_command_when_the_extras_are_missing(bare: dict[str, str]) -> None:
    done = rgz_email("--help", environment=bare)
    assert (done.returncode, done.stderr) == (0, "")
    listed = set(re.findall(r"^  (\w+)  ", done.stdout, re.MULTILINE))
    assert listed == set(main.list_commands(click.Context(main)))


def test_module_that_no_extra_brings_is_a_bug_and_no_missing_extra() -> None:
    assert extra_of(ModuleNotFoundError("No module named 'service.gone'", name="service.gone")) is None
    assert extra_of(ModuleNotFoundError("no name")) is None


def test_check_uses_our_package_where_a_folder_of_the_same_name_lies_in_the_working_directory(tmp_path: Path) -> None:
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "__init__.py").write_text("raise SystemExit('the wrong package')\n")
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    done = rgz_email("check", "--templates", str(ROOT / "email_templates"), environment=kept, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
