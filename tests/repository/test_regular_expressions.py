r"""Every regular expression of the service is linear, or meets only what is bounded: none of them can hold the process.

Whoever adds one that is not finds here a word of which a run is slow. Mostly `[^<>]*` for `[^>]*`, a look-behind before
a run of blanks (`(?<!\\s)\\s+$`), or `rstrip` and `partition` mend it.
"""

import ast
import importlib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from types import SimpleNamespace
from typing import Any, get_args

import pytest

from tests.support.paths import ROOT
from tests.support.regex_cost import Mode, cost_of

FUNCTIONS = frozenset({"compile", "match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"})
_SPELT = re.compile(rf"\.(?:{'|'.join(sorted(FUNCTIONS))})\b|\b_Rule\(")
#: Expressions that are made of values, with values as they are at most.
MADE_OF = {
    "rule.pattern": "''",  # each _Rule is looked at where it is made
    "rule.flags": "0",
    "pattern": "'|'.join(pattern for pattern, _ in _HINTS)",
}
#: The same for names in f-strings.
NAMES: dict[str, Any] = {
    "address": "person@x.example",
    "name": "style",
    "names": "one|other",
    "quote": "'",
    "word": "word",
    "number": r"-?[\d.,]+(?:px|%|em)|0(?:px|%|em)?|auto",
    "found": (None, None, None, "1,4"),
    "element": SimpleNamespace(tag="mj-text"),
}
_OWN = "only our own SQL"
_NEVER_ENDS = "a file is refused in which a comment, or a < behind the last >, never ends"
_ONE_AFTER_THE_OTHER = "each match begins where the one before ended, and the first that fails ends the search"
_NEVER_FAILS = "a string ends at its quote, its line or the end of the text, so that nothing is tried twice"
#: Expressions that are not linear wherever a search may begin, by file and name, and why they can't be slow.
BOUNDED = {
    ("service/store/database/statements.py", "_TOKEN"): _OWN,
    ("service/store/migrations.py", ""): _OWN,
    ("service/templates/jinja/html_scanner.py", "_TAG"): _ONE_AFTER_THE_OTHER,
    ("service/templates/jinja/inheritance.py", "_INCLUDE"): "strings, commas and brackets exclude each other; too many"
    " loops to be judged in a second",
    ("service/templates/jinja/inheritance.py", "names"): "what _INCLUDE has matched: each string in it is closed",
    ("service/templates/jinja/restore.py", "_ATTRIBUTE"): "tags as lxml writes them: each value is closed",
    ("service/templates/jinja/nesting.py", "_PARTS"): _NEVER_FAILS,
    ("service/templates/jinja/tokens.py", ""): "not tried again at a quote that has no other",
    ("service/templates/mjml/css.py", "_TOKEN"): _NEVER_FAILS,
    ("service/templates/mjml/css.py", "_URL"): _NEVER_FAILS,
    ("service/templates/mjml/parse.py", "_MARKUP"): _NEVER_ENDS,
    ("service/templates/mjml/parse.py", "tag"): _NEVER_ENDS,
    ("service/templates/mjml/parse.py", "_ATTRIBUTE"): _ONE_AFTER_THE_OTHER,
    ("service/templates/mjml/parse.py", "_TAG_END"): _ONE_AFTER_THE_OTHER,
}


@dataclass(frozen=True)
class Use:
    """An expression in the code; `name` is "" for one that is used where it stands, `modes` are how it is used."""

    file: str
    line: int
    name: str
    pattern: str | bytes
    flags: int
    modes: tuple[Mode, ...]


@cache
def nodes() -> dict[str, list[ast.AST]]:
    """All nodes of each file that may make or use an expression. Walked once: each process that collects tests does."""
    texts = {file: file.read_text(encoding="utf-8") for file in sorted((ROOT / "service").rglob("*.py"))}
    return {
        file.relative_to(ROOT).as_posix(): list(ast.walk(ast.parse(text)))
        for file, text in texts.items()
        if _SPELT.search(text)
    }


@cache
def methods() -> dict[tuple[str, str], frozenset[str]]:
    """The methods that are called on each name, by file; of an imported name by the file that defines it.

    `pattern.match(text, place)` counts as a search: its caller goes through the text.
    """
    found: dict[tuple[str, str], set[str]] = {}
    for file, walked in nodes().items():
        homes = {
            alias.asname or alias.name: f"{node.module.replace('.', '/')}.py"
            for node in walked
            if isinstance(node, ast.ImportFrom) and node.module
            for alias in node.names
        }
        for node in walked:
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.attr in FUNCTIONS:
                name = node.value.id
                found.setdefault((homes.get(name, file), name), set()).add(node.attr)
            if isinstance(node, ast.Call) and len(node.args) > 1 and isinstance(function := node.func, ast.Attribute):
                name = function.value.id if isinstance(function.value, ast.Name) else ""
                found.setdefault((homes.get(name, file), name), set()).add("search")
    return {name: frozenset(used) for name, used in found.items()}


def module_of(file: str) -> Any:
    return importlib.import_module(file.removesuffix(".py").removesuffix("/__init__").replace("/", "."))


def uses() -> Iterator[Use]:
    for file, walked in nodes().items():
        names = {
            id(node.value): target.id
            for node in walked
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        # `re.compile(…).fullmatch` is used in that one mode.
        bound = {id(node.value): node.attr for node in walked if isinstance(node, ast.Attribute)}
        for node in walked:
            if isinstance(node, ast.Call) and (called := _called(node)):
                used = (
                    {bound[id(node)]}
                    if id(node) in bound
                    else methods().get((file, names.get(id(node), "")), frozenset())
                )
                yield _use(file, node, called, (names.get(id(node), ""), used))


def _called(node: ast.Call) -> str | None:
    function = node.func
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == "re":
        return function.attr if function.attr in FUNCTIONS else None
    return "rule" if isinstance(function, ast.Name) and function.id == "_Rule" else None


def _use(file: str, node: ast.Call, called: str, named: tuple[str, Collection[str]]) -> Use:
    name, used = named
    words = {word.arg: word.value for word in node.keywords}
    flags_at = {"compile": 1, "rule": 1, "sub": 4, "subn": 4, "split": 3}.get(called, 2)
    flags = words.get("flags") or (node.args[flags_at] if len(node.args) > flags_at else None)
    modes: set[Mode] = {_mode(one) for one in (used or {"search"} if called == "compile" else {called})}
    return Use(
        file,
        node.lineno,
        name,
        _value(file, node.args[0]),
        int(_value(file, flags)) if flags is not None else 0,
        tuple(mode for mode in get_args(Mode) if mode in modes),
    )


def _mode(method: str) -> Mode:
    return method if method in ("match", "fullmatch") else "search"  # type: ignore[return-value]


def _value(file: str, node: ast.expr) -> Any:
    text = ast.unparse(node)
    try:
        return eval(MADE_OF.get(text, text), {**NAMES, **vars(module_of(file))})
    except NameError as error:
        raise AssertionError(f"{file}: add to MADE_OF or NAMES what {text} is at most ({error})") from None


USES = list(uses())


@pytest.mark.parametrize("use", USES, ids=lambda use: f"{use.file}:{use.line}")
def test_regular_expression_is_linear_or_bounded(use: Use) -> None:
    if (use.file, use.name) in BOUNDED:
        return
    costs = [cost for mode in use.modes if (cost := cost_of(use.pattern, use.flags, mode))]
    assert not costs, f"{use.file}:{use.line}: {use.pattern!r} is {costs[0]}"


def test_bounded_expressions_are_those_in_the_code() -> None:
    assert BOUNDED.keys() <= {(use.file, use.name) for use in USES}


@pytest.mark.parametrize(
    ("pattern", "mode", "growth"),
    [
        (r"[ \t]+(?=\n)", "search", "quadratic"),
        (r"(?<![ \t])[ \t]+(?=\n)", "search", None),
        (r"<[^>]*>", "search", "quadratic"),
        (r"<[^<>]*>", "search", None),
        (r"\s*x", "search", "quadratic"),
        (r"\s*x", "match", None),
        (r"\s*x\s*", "fullmatch", None),
        (r"\s*\s*x", "match", "quadratic"),
        (r"\s*+\s*x", "match", None),
        (r"(a+)+b", "match", "exponential"),
        (r"(a|a)*b", "fullmatch", "exponential"),
        (r"(a+)+", "search", None),
        (r"(.*)x(.*)y", "match", "quadratic"),
        (r"a.{0,40}b", "search", None),
        (r"\bdeliver\w*.{0,9}fail", "search", None),
        (r"deliver\w*.{0,9}fail", "search", "quadratic"),
        (rb"[^\n]+:", "search", "quadratic"),
    ],
)
def test_cost_of_an_expression_is_judged_as_the_engine_runs_it(
    pattern: str | bytes, mode: Mode, growth: str | None
) -> None:
    cost = cost_of(pattern, 0, mode)
    assert (cost.growth if cost else None) == growth
