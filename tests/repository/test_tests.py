"""The rules of the tests themselves: names, imports, and no private names."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import ROOT

TESTS = ROOT / "tests"
FILES = sorted(TESTS.rglob("*.py"))
TEST_FILES = [file for file in FILES if file.name.startswith("test_")]

#: A name begins with its subject, so that `pytest -k lease` finds what is known of leases: none of these is one.
NO_SUBJECT = re.compile(
    "test_("
    "an?|the|this|that|these|those|there|another|others?|such|"
    "all|any|both|each|every(body|thing)?|few|many|more|most|much|several|no|nobody|none|nothing|only|some(body|thing)?|"
    "one|two|its?|he|her|his|my|our|their|they|we|your?|"
    "if|in|of|on|what(ever)?|when|where|which|who(ever|se)?|why|without"
    ")_"
)
#: Documented by the standard library: the fields of a NamedTuple.
PUBLIC = {"_fields", "_asdict", "_replace", "_make"}


def name_of(file: Path) -> str:
    return file.relative_to(TESTS).as_posix()


def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def names_in(tree: ast.Module) -> list[str]:
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return [function.name for function in functions if function.name.startswith("test_")]


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in PUBLIC


def private_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """What a file reads, sets or imports of others although its name says that it is their own business."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            if not (isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")):
                yield node.lineno, node.attr
        elif isinstance(node, ast.ImportFrom):
            names = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            yield from ((node.lineno, name) for name in names if is_private(name))
        elif isinstance(node, ast.Call) and _is_setattr(node.func):
            yield from ((node.lineno, name) for name in _texts(node.args[:2]) if is_private(name.rpartition(".")[2]))


def _is_setattr(function: ast.expr) -> bool:
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name in ("setattr", "getattr", "delattr")


def _texts(arguments: list[ast.expr]) -> list[str]:
    return [one.value for one in arguments if isinstance(one, ast.Constant) and isinstance(one.value, str)]


def test_names_of_tests_begin_with_their_subject() -> None:
    wrong = []
    for file in TEST_FILES:
        for name in names_in(tree_of(file)):
            is_one = re.fullmatch(r"test_[a-z0-9]+(_[a-z0-9]+)+", name) and len(name) <= 100
            if not is_one or NO_SUBJECT.match(name):
                wrong.append(f"{name_of(file)}: {name}")
    assert wrong == []


def test_names_of_tests_are_unique_in_their_file() -> None:
    """Of two functions of one name the first never runs."""
    names = {name_of(file): Counter(names_in(tree_of(file))) for file in TEST_FILES}
    assert [f"{file}: {name}" for file, counts in names.items() for name, n in counts.items() if n > 1] == []


def test_modules_of_tests_import_helpers_from_support_alone() -> None:
    wrong = []
    for file in FILES:
        for node in ast.walk(tree_of(file)):
            modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            modules += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            ours = [module for module in modules if module.partition(".")[0] == "tests"]
            wrong += [f"{name_of(file)} imports {one}" for one in ours if not f"{one}.".startswith("tests.support.")]
    assert wrong == []


def test_private_names_are_left_alone() -> None:
    wrong = [f"{name_of(file)}:{line} {name}" for file in FILES for line, name in private_names(tree_of(file))]
    assert wrong == []


@pytest.mark.parametrize(
    "source",
    [
        "from service.store import _x",
        "from service._store import x",
        "service.thing._limit = 3",
        "print(thing.part._limit)",
        'monkeypatch.setattr("service.store._LIMIT", 3)',
        'monkeypatch.setattr(store, "_LIMIT", 3)',
        'getattr(thing, "_limit")',
    ],
)
def test_private_names_are_noticed(source: str) -> None:
    assert len(list(private_names(ast.parse(source)))) == 1
