"""Names, filters and calls in a template's Jinja: what is undeclared, unknown or refused, and what each tag depends on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes

from service.templates.report import Report, did_you_mean
from service.templates.restore import BLOCK_BEGIN, BLOCK_END, EXPRESSION_BEGIN, EXPRESSION_END
from service.templates.tokens import Token

_IN_MACRO = ("caller", "varargs", "kwargs")
_LOOP_CALLS = ("cycle", "changed")
_REFUSED = {nodes.ScopedEvalContextModifier: "autoescape", nodes.ExprStmt: "do"}


@dataclass(frozen=True, slots=True)
class _Binding:
    """What a name stands for: the variable that it comes from, its schema, and whether it may be called."""

    variable: str | None = None
    schema: Mapping[str, Any] | None = None
    is_callable: bool = False
    is_module: bool = False
    is_loop: bool = False


@dataclass
class Uses:
    """`variables` are the declared ones that are used; `blame` has the variable that each token's value comes from."""

    variables: set[str] = field(default_factory=set)
    blame: dict[int, str] = field(default_factory=dict)


def check_jinja(
    tokens: Sequence[Token],
    schema: Mapping[str, Any],
    environment: Environment,
    report: Report,
    uses: Uses,
    *,
    where: str = "",
) -> None:
    """All tags of one program in their order, without the text between them; mistakes are reported at the tags.

    `environment` has the filters, tests and globals that will be there. `schema` is that of the variables.
    """
    lines: dict[int, Token] = {}
    out: list[str] = []
    line = 1
    for token in tokens:
        begin, end = (EXPRESSION_BEGIN, EXPRESSION_END) if token.kind == "expression" else (BLOCK_BEGIN, BLOCK_END)
        text = f"{begin}\n{token.body}{end}\n"
        for inside in range(line, line + text.count("\n") + 1):
            lines.setdefault(inside, token)
        lines[line + 1] = token
        line += text.count("\n")
        out.append(text)
    try:
        tree = environment.parse("".join(out))
    except TemplateSyntaxError as error:
        token = lines.get(error.lineno) or tokens[-1]
        report.error(
            token.place, "jinja-syntax", f"Jinja: {error.message}", "a block opens and closes in the same element"
        )
        return
    _Checker(lines, schema, environment, report, uses, where).statements(tree.body, {})


_Scope = dict[str, _Binding]


class _Checker:
    def __init__(
        self,
        lines: Mapping[int, Token],
        schema: Mapping[str, Any],
        environment: Environment,
        report: Report,
        uses: Uses,
        where: str,
    ) -> None:
        self._lines = lines
        self._variables: Mapping[str, Any] = schema.get("properties", {})
        self._environment = environment
        self._report = report
        self._uses = uses
        self._where = where

    # -- statements, each in its scope

    def statements(self, body: Iterable[nodes.Node], scope: _Scope) -> None:
        for node in body:
            self._statement(node, scope)

    def _statement(self, node: nodes.Node, scope: _Scope) -> None:
        if isinstance(node, nodes.For):
            self._for(node, scope)
        elif isinstance(node, nodes.If):
            self.expression(node.test, scope)
            for part in (node.body, node.elif_, node.else_):
                self.statements(part, scope)
        elif isinstance(node, nodes.Assign):
            self.expression(node.node, scope)
            self._bind(node.target, scope, self._binding(node.node, scope))
        elif isinstance(node, nodes.AssignBlock):
            self.statements(node.body, dict(scope))
            if node.filter:
                self.expression(node.filter, scope)
            self._bind(node.target, scope, _Binding())
        elif isinstance(node, (nodes.Macro, nodes.CallBlock)):
            self._macro(node, scope)
        elif isinstance(node, nodes.With):
            inner = dict(scope)
            for target, value in zip(node.targets, node.values, strict=True):
                self.expression(value, scope)
                self._bind(target, inner, self._binding(value, scope))
            self.statements(node.body, inner)
        elif isinstance(node, nodes.FilterBlock):
            self.expression(node.filter, scope)
            self.statements(node.body, dict(scope))
        elif isinstance(node, nodes.Import):
            scope[node.target] = _Binding(is_module=True)
        elif isinstance(node, nodes.FromImport):
            for name in node.names:
                scope[name[1] if isinstance(name, tuple) else name] = _Binding(is_callable=True)
        elif type(node) in _REFUSED:
            self._error(
                node, "not-allowed", f"{{% {_REFUSED[type(node)]} %}} is not allowed", "escaping follows from the place"
            )
        elif isinstance(node, nodes.Scope):
            self.statements(node.body, dict(scope))
        else:
            for child in node.iter_child_nodes():
                self.expression(child, scope)

    def _for(self, node: nodes.For, scope: _Scope) -> None:
        self.expression(node.iter, scope)
        source = self._binding(node.iter, scope)
        inner = dict(scope)
        items = source.schema.get("items") if source.schema else None
        self._bind(node.target, inner, _Binding(source.variable, items))
        inner["loop"] = _Binding(is_loop=True, is_callable=node.recursive)
        if node.test:
            self.expression(node.test, inner)
        self.statements(node.body, inner)
        self.statements(node.else_, dict(scope))

    def _macro(self, node: nodes.Macro | nodes.CallBlock, scope: _Scope) -> None:
        if isinstance(node, nodes.Macro):
            scope[node.name] = _Binding(is_callable=True)
        else:
            self.expression(node.call, scope)
        inner = dict(scope)
        for name in _IN_MACRO:
            inner[name] = _Binding(is_callable=True)
        for argument in node.args:
            inner[argument.name] = _Binding()
        for default in node.defaults:
            self.expression(default, scope)
        self.statements(node.body, inner)

    def _bind(self, target: nodes.Node, scope: _Scope, binding: _Binding) -> None:
        if isinstance(target, nodes.Name):
            scope[target.name] = binding
        elif isinstance(target, (nodes.Tuple, nodes.List)):
            for item in target.items:
                self._bind(item, scope, _Binding(binding.variable))
        elif isinstance(target, nodes.NSRef) and target.name not in scope:
            self._undeclared(target, target.name, scope)

    # -- expressions

    def expression(self, node: nodes.Node, scope: _Scope) -> None:
        if isinstance(node, nodes.Name):
            self._name(node, scope)
            return
        if isinstance(node, nodes.Call):
            self._call(node, scope)
            return
        if isinstance(node, nodes.Filter) and node.name not in self._environment.filters:
            known = [name for name in self._environment.filters if not name.startswith("_")]
            self._error(node, "unknown-filter", f'unknown filter "{node.name}"', did_you_mean(node.name, known))
        elif isinstance(node, nodes.Filter) and node.name.startswith("_"):
            self._error(node, "unknown-filter", f'unknown filter "{node.name}"', "it is not for authors")
        elif isinstance(node, nodes.Test) and node.name not in self._environment.tests:
            self._error(
                node, "unknown-test", f'unknown test "{node.name}"', did_you_mean(node.name, self._environment.tests)
            )
        elif isinstance(node, (nodes.Getattr, nodes.Getitem)):
            self._property(node, scope)
        for child in node.iter_child_nodes():
            self.expression(child, scope)

    def _name(self, node: nodes.Name, scope: _Scope) -> None:
        if binding := scope.get(node.name):
            self._blame(node, binding.variable)
        elif node.name in self._variables:
            self._uses.variables.add(node.name)
            self._blame(node, node.name)
        elif node.name not in self._environment.globals:
            self._undeclared(node, node.name, scope)

    def _undeclared(self, node: nodes.Node, name: str, scope: _Scope) -> None:
        hint = did_you_mean(name, [*self._variables, *scope])
        self._error(
            node,
            "undeclared-variable",
            f'variable "{name}" is not declared{self._where}',
            hint or "declare it in the front matter, under variables",
        )

    def _call(self, node: nodes.Call, scope: _Scope) -> None:
        called = node.node
        if isinstance(called, nodes.Name):
            binding = scope.get(called.name)
            if not (binding and binding.is_callable) and called.name not in self._environment.globals:
                self._error(
                    node,
                    "unknown-function",
                    f'there is no function "{called.name}"',
                    did_you_mean(
                        called.name, [*self._environment.globals, *(n for n, b in scope.items() if b.is_callable)]
                    )
                    or "macros are defined with {% macro %} or imported",
                )
        elif isinstance(called, nodes.Getattr) and isinstance(called.node, nodes.Name):
            binding = scope.get(called.node.name, _Binding())
            if not (binding.is_module or (binding.is_loop and called.attr in _LOOP_CALLS)):
                self._method(node, called.attr)
                self.expression(called.node, scope)
        elif isinstance(called, nodes.Getattr):
            self._method(node, called.attr)
            self.expression(called.node, scope)
        else:
            self._error(node, "method-call", "only macros can be called", "use a filter")
        for child in (*node.args, *(keyword.value for keyword in node.kwargs)):
            self.expression(child, scope)

    def _method(self, node: nodes.Node, name: str) -> None:
        hint = f"write |{name}" if name in self._environment.filters else "use a filter"
        self._error(node, "method-call", f".{name}() can't be called: a dot reaches into the data", hint)

    def _property(self, node: nodes.Getattr | nodes.Getitem, scope: _Scope) -> None:
        key = (
            node.attr
            if isinstance(node, nodes.Getattr)
            else node.arg.value
            if isinstance(node.arg, nodes.Const)
            else None
        )
        schema = self._binding(node.node, scope).schema
        if not isinstance(key, str) or not schema:
            return
        known = schema.get("properties")
        kind = schema.get("type")
        if known is not None and key not in known and not schema.get("additionalProperties"):
            self._error(
                node, "undeclared-property", f'"{key}" is not declared as a property here', did_you_mean(key, known)
            )
        elif known is None and kind in ("string", "integer", "number", "boolean", "array"):
            hint = f"write |{key}" if key in self._environment.filters else ""
            self._error(node, "undeclared-property", f'a value of type {kind} has no "{key}"', hint)

    def _binding(self, node: nodes.Node, scope: _Scope) -> _Binding:
        """What an expression comes from, as far as that can be said without running it."""
        if isinstance(node, nodes.Name):
            if node.name in scope:
                return scope[node.name]
            return _Binding(node.name, self._variables[node.name]) if node.name in self._variables else _Binding()
        if isinstance(node, (nodes.Getattr, nodes.Getitem)):
            base = self._binding(node.node, scope)
            key = node.attr if isinstance(node, nodes.Getattr) else getattr(node.arg, "value", None)
            schema = base.schema or {}
            below = schema.get("properties", {}).get(key) if isinstance(key, str) else schema.get("items")
            return _Binding(base.variable, below)
        if isinstance(node, nodes.Call):
            return _Binding()
        if isinstance(node, nodes.Filter) and node.node is not None:
            base = self._binding(node.node, scope)
            keeps = node.name in ("sort", "list", "reverse", "unique", "select", "reject", "selectattr", "rejectattr")
            return _Binding(base.variable, base.schema if keeps else None)
        found = next(iter(node.find_all(nodes.Name)), None)
        return _Binding(self._binding(found, scope).variable) if found is not None else _Binding()

    # -- places

    def _blame(self, node: nodes.Node, variable: str | None) -> None:
        token = self._lines.get(node.lineno)
        if token is not None and variable is not None:
            self._uses.blame.setdefault(token.index, variable)

    def _error(self, node: nodes.Node, code: str, message: str, hint: str = "") -> None:
        token = self._lines.get(node.lineno)
        if token is not None:
            self._report.error(token.place, code, message, hint)
