"""Static check of Jinja expressions: names, filters, tests, calls, and access to properties of the variables."""

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from jinja2 import Environment, nodes

from service.templates.findings import FindingCollector, did_you_mean
from service.templates.jinja.tokens import Token
from service.templates.positions import Place
from service.templates.runtime.site import SITE

#: Half of a character in UTF-16, which an escape in a text may name, and UTF-8 can't hold (Unicode 3.8, D71).
_SURROGATE = re.compile("[\ud800-\udfff]")
_LOOP_CALLS = ("cycle", "changed")


@dataclass(frozen=True, slots=True)
class Binding:
    """The meaning of a name in a scope: the variable that its value comes from, its schema, and its kind."""

    variable: str | None = None
    schema: Mapping[str, Any] | None = None
    is_callable: bool = False
    is_module: bool = False
    is_loop: bool = False
    is_site: bool = False


class SiteNames(Protocol):
    """The installation's values that a template may name, and the first place of each that it does."""

    is_used: bool
    first: dict[str, Place]

    @property
    def schemas(self) -> Mapping[str, Mapping[str, Any]]:
        """The values by name. Raises CompileAborted where they can't be read; reported."""


@dataclass
class VariableUses:
    """Variables that the tags of one language use: `names` of all languages together, and the variable of each token.

    `by_token` maps a token's index to the variable that its value comes from. `site` are the installation's values.
    """

    names: set[str]
    site: SiteNames
    by_token: dict[int, str] = field(default_factory=dict)


Scope = dict[str, Binding]


class ExpressionCheck:
    """Reports mistakes in expressions at the word; `lines` maps the lines of the parsed text to tags."""

    def __init__(
        self,
        lines: Mapping[int, Token],
        schema: Mapping[str, Any],
        environment: Environment,
        collector: FindingCollector,
        uses: VariableUses,
        where: str,
    ) -> None:
        self._lines = lines
        self._first_lines: dict[int, int] = {}
        for line, token in lines.items():
            self._first_lines.setdefault(token.index, line)
        self._variables: Mapping[str, Any] = schema.get("properties", {})
        self._environment = environment
        self._collector = collector
        self._uses = uses
        self._where = where

    def expression(self, node: nodes.Node, scope: Scope) -> None:
        """Check an expression and all its parts."""
        if isinstance(node, nodes.Name):
            self._name(node, scope)
            return
        if isinstance(node, nodes.Call):
            self._call(node, scope)
            return
        if isinstance(node, nodes.Filter):
            self._filter(node)
        elif isinstance(node, nodes.Test) and node.name not in self._environment.tests:
            hint = did_you_mean(node.name, self._environment.tests)
            self.error(node, "unknown-test", f'unknown test "{node.name}"', hint, word=node.name)
        elif isinstance(node, (nodes.Getattr, nodes.Getitem)):
            self._property(node, scope)
        elif isinstance(node, nodes.Const) and isinstance(node.value, str) and _SURROGATE.search(node.value):
            hint = "write the character itself, or both halves of it"
            self.error(node, "half-character", "half of a character can't be sent: \\ud800 to \\udfff", hint)
        for child in node.iter_child_nodes():
            self.expression(child, scope)

    def _filter(self, node: nodes.Filter) -> None:
        filter_ = self._environment.filters.get(node.name)
        if filter_ is None or node.name.startswith("_"):
            known = [name for name in self._environment.filters if not name.startswith("_")]
            hint = did_you_mean(node.name, known)
            self.error(node, "unknown-filter", f'unknown filter "{node.name}"', hint, word=node.name)
            return
        is_ours = filter_.__module__.startswith("service.")
        if not is_ours or node.dyn_args is not None or node.dyn_kwargs is not None:
            return
        passed = 1 + hasattr(filter_, "jinja_pass_arg")
        try:
            named = {str(keyword.key): None for keyword in node.kwargs}
            inspect.signature(filter_).bind(*[None] * (passed + len(node.args)), **named)
        except TypeError as error:
            self.error(
                node, "filter-arguments", f"|{node.name}: {error}", _usage(filter_, node.name, passed), word=node.name
            )

    def _name(self, node: nodes.Name, scope: Scope) -> None:
        if binding := scope.get(node.name):
            self._blame(node, binding.variable)
        elif node.name in self._variables:
            self._uses.names.add(node.name)
            self._blame(node, node.name)
        elif node.name == SITE:
            self._uses.site.is_used = True
        elif node.name not in self._environment.globals:
            self.undeclared(node, node.name, scope)

    def undeclared(self, node: nodes.Node, name: str, scope: Scope) -> None:
        """Report a name that is neither declared nor bound, with the nearest known one."""
        hint = did_you_mean(name, [*self._variables, *scope])
        self.error(
            node,
            "undeclared-variable",
            f'variable "{name}" is not declared{self._where}',
            hint or "declare it in the front matter, under variables",
            word=name,
        )

    def _call(self, node: nodes.Call, scope: Scope) -> None:
        called = node.node
        if isinstance(called, nodes.Name):
            binding = scope.get(called.name)
            if not (binding and binding.is_callable) and called.name not in self._environment.globals:
                self.error(
                    node,
                    "unknown-function",
                    f'there is no function "{called.name}"',
                    did_you_mean(
                        called.name, [*self._environment.globals, *(n for n, b in scope.items() if b.is_callable)]
                    )
                    or "macros are defined with {% macro %} or imported",
                    word=called.name,
                )
        elif isinstance(called, nodes.Getattr) and isinstance(called.node, nodes.Name):
            binding = scope.get(called.node.name, Binding())
            if not (binding.is_module or (binding.is_loop and called.attr in _LOOP_CALLS)):
                self._method(node, called.attr)
                self.expression(called.node, scope)
        elif isinstance(called, nodes.Getattr):
            self._method(node, called.attr)
            self.expression(called.node, scope)
        else:
            self.error(node, "method-call", "only macros can be called", "use a filter")
        for child in (*node.args, *(keyword.value for keyword in node.kwargs)):
            self.expression(child, scope)

    def _method(self, node: nodes.Node, name: str) -> None:
        hint = f"write |{name}" if name in self._environment.filters else "use a filter"
        self.error(node, "method-call", f".{name}() can't be called: a dot reads a property", hint, word=name)

    def _property(self, node: nodes.Getattr | nodes.Getitem, scope: Scope) -> None:
        key = node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, "value", None)
        binding = self.binding(node.node, scope)
        schema = binding.schema
        if not isinstance(key, str) or not schema:
            return
        if binding.is_site:
            self._site_value(node, key, schema["properties"])
            return
        known = schema.get("properties")
        kind = schema.get("type")
        if known is not None and key not in known and not schema.get("additionalProperties"):
            hint = did_you_mean(key, known)
            self.error(node, "undeclared-property", f'"{key}" is not declared as a property here', hint, word=key)
        elif known is None and kind in ("string", "integer", "number", "boolean", "array"):
            hint = f"write |{key}" if key in self._environment.filters else ""
            self.error(node, "undeclared-property", f'a value of type {kind} has no "{key}"', hint, word=key)

    def _site_value(self, node: nodes.Node, key: str, known: Mapping[str, Any]) -> None:
        """Note where a value of the installation is first used; one that is not declared is an error."""
        token = self._lines.get(node.lineno)
        if key not in known:
            hint = did_you_mean(key, known) or "declare it in _shared/values.yaml"
            self.error(node, "undeclared-value", f'there is no value "{SITE}.{key}"', hint, word=key)
        elif token is not None:
            place = token.place_of(key, max(node.lineno - self._first_lines[token.index], 0))
            self._uses.site.first.setdefault(key, place)

    def binding(self, node: nodes.Node, scope: Scope) -> Binding:
        """The variable and schema that an expression's value comes from, as far as known without running it."""
        if isinstance(node, nodes.Name):
            if node.name in scope:
                return scope[node.name]
            if node.name in self._variables:
                return Binding(node.name, self._variables[node.name])
            if node.name == SITE:
                return Binding(schema={"type": "object", "properties": self._uses.site.schemas}, is_site=True)
            return Binding()
        if isinstance(node, (nodes.Getattr, nodes.Getitem)):
            base = self.binding(node.node, scope)
            key = node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, "value", None)
            schema = base.schema or {}
            if base.is_site:
                return Binding(schema={"type": "string"})
            below = schema.get("properties", {}).get(key) if isinstance(key, str) else schema.get("items")
            return Binding(base.variable, below)
        if isinstance(node, nodes.Call):
            return Binding()
        if isinstance(node, nodes.Filter) and node.node is not None:
            base = self.binding(node.node, scope)
            keeps = node.name in ("sort", "list", "reverse", "unique", "select", "reject", "selectattr", "rejectattr")
            return Binding(base.variable, base.schema if keeps else None)
        found = next(iter(node.find_all(nodes.Name)), None)
        return Binding(self.binding(found, scope).variable) if found is not None else Binding()

    def _blame(self, node: nodes.Node, variable: str | None) -> None:
        token = self._lines.get(node.lineno)
        if token is not None and variable is not None:
            self._uses.by_token.setdefault(token.index, variable)

    def error(self, node: nodes.Node, code: str, message: str, hint: str = "", *, word: str = "") -> None:
        """Report an error at `word` in the tag, or at the tag if the word is not in it."""
        token = self._lines.get(node.lineno)
        if token is not None:
            line = node.lineno - self._first_lines[token.index]
            self._collector.error(token.place_of(word, max(line, 0)), code, message, hint)


def _usage(filter_: Any, name: str, passed: int) -> str:
    """A hint with the filter's signature: write |plural(one, many)."""
    parameters = list(inspect.signature(filter_).parameters.values())[passed:]
    return f"write |{name}" + (f"({', '.join(parameter.name for parameter in parameters)})" if parameters else "")
