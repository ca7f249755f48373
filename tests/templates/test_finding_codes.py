"""The author's guide explains every code of a finding, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.paths import ROOT

HOUSE = ROOT / "service"
GUIDE = (ROOT / "email_templates" / "README.md").read_text(encoding="utf-8")

#: How findings are made: the name of what is called, and where the code stands among the arguments.
MAKERS = {"error": 1, "warning": 1, "report_it": 1, "_refuse": 1, "Finding": 4, "ValueProblem": 2, "ContractChange": 1}
#: Functions that hand on a code which they were given, or take it from `_code_and_message`.
FORWARDERS = {
    "error",
    "warning",
    "_refuse",
    "_render_example",
    "explain",
    "_report",
    "_value_finding",
    "_compare_contract",
}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call with the name of the function in which it stands."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Call):
                    yield function.name, node


def codes_of(file: Path) -> Iterator[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for function, call in calls(tree):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        place = MAKERS.get(name)
        if place is None or len(call.args) <= place:
            continue
        constants = [node.value for node in ast.walk(call.args[place]) if isinstance(node, ast.Constant)]
        assert constants or function in FORWARDERS, f"{file.name}:{call.lineno}: a code that this test can't read"
        yield from map(str, constants)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == "_code_and_message" and file.name == "program.py":
            for answer in ast.walk(node):
                if isinstance(answer, ast.Return) and isinstance(answer.value, ast.Tuple):
                    yield ast.literal_eval(answer.value.elts[0])


def codes() -> set[str]:
    return {code for file in (HOUSE / "templates").rglob("*.py") for code in codes_of(file)}


def test_finding_codes_are_read_from_the_code() -> None:
    found = codes()
    assert {"unused-variable", "unclosed-tag", "too-much", "version-not-raised", "breaking-variable"} <= found
    assert all(re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)+", code) for code in found)


def test_finding_codes_are_each_explained_with_their_remedy_in_the_guide() -> None:
    chapter = GUIDE.partition("\n## Every finding")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \| (.+) \| (.+) \|$", chapter, re.MULTILINE)
    told = [code for code, _, _ in rows]
    assert sorted(told) == sorted(codes())
    assert all(len(meaning) > 10 and len(remedy) > 5 for _, meaning, remedy in rows)
