"""The statements of a template's Jinja, each in its scope: what is undeclared, and what each tag depends on."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes

from service.templates.findings import FindingCollector
from service.templates.jinja.expressions import Binding, ExpressionCheck, Scope, Uses
from service.templates.jinja.restore import BLOCK_BEGIN, BLOCK_END, EXPRESSION_BEGIN, EXPRESSION_END
from service.templates.jinja.tokens import Token

_IN_MACRO = ("caller", "varargs", "kwargs")


def check_jinja(
    tokens: Sequence[Token],
    schema: Mapping[str, Any],
    environment: Environment,
    collector: FindingCollector,
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
        for inside in range(line + 1, line + text.count("\n")):
            lines[inside] = token
        line += text.count("\n")
        out.append(text)
    try:
        tree = environment.parse("".join(out))
    except TemplateSyntaxError as error:
        token = lines.get(error.lineno) or tokens[-1]
        collector.error(
            token.place, "jinja-syntax", f"Jinja: {error.message}", "a block opens and closes in the same element"
        )
        return
    _StatementCheck(lines, schema, environment, collector, uses, where).statements(tree.body, {})


class _StatementCheck(ExpressionCheck):
    def statements(self, body: Iterable[nodes.Node], scope: Scope) -> None:
        for node in body:
            self._statement(node, scope)

    def _statement(self, node: nodes.Node, scope: Scope) -> None:
        if isinstance(node, nodes.For):
            self._for(node, scope)
        elif isinstance(node, nodes.If):
            self.expression(node.test, scope)
            for part in (node.body, node.elif_, node.else_):
                self.statements(part, scope)
        elif isinstance(node, nodes.Assign):
            self.expression(node.node, scope)
            self._bind(node.target, scope, self.binding(node.node, scope))
        elif isinstance(node, nodes.AssignBlock):
            self.statements(node.body, dict(scope))
            if node.filter:
                self.expression(node.filter, scope)
            self._bind(node.target, scope, Binding())
        elif isinstance(node, (nodes.Macro, nodes.CallBlock)):
            self._macro(node, scope)
        elif isinstance(node, nodes.With):
            inner = dict(scope)
            for target, value in zip(node.targets, node.values, strict=True):
                self.expression(value, scope)
                self._bind(target, inner, self.binding(value, scope))
            self.statements(node.body, inner)
        elif isinstance(node, nodes.FilterBlock):
            self.expression(node.filter, scope)
            self.statements(node.body, dict(scope))
        elif isinstance(node, nodes.Import):
            scope[node.target] = Binding(is_module=True)
        elif isinstance(node, nodes.FromImport):
            for name in node.names:
                scope[name[1] if isinstance(name, tuple) else name] = Binding(is_callable=True)
        elif isinstance(node, nodes.ScopedEvalContextModifier):
            self.error(node, "not-allowed", "{% autoescape %} is not allowed", "escaping follows from the place")
            self.statements(node.body, dict(scope))
        elif isinstance(node, nodes.Scope):
            self.statements(node.body, dict(scope))
        else:
            for child in node.iter_child_nodes():
                self.expression(child, scope)

    def _for(self, node: nodes.For, scope: Scope) -> None:
        self.expression(node.iter, scope)
        source = self.binding(node.iter, scope)
        inner = dict(scope)
        items = source.schema.get("items") if source.schema else None
        self._bind(node.target, inner, Binding(source.variable, items))
        inner["loop"] = Binding(is_loop=True, is_callable=node.recursive)
        if node.test:
            self.expression(node.test, inner)
        self.statements(node.body, inner)
        self.statements(node.else_, dict(scope))

    def _macro(self, node: nodes.Macro | nodes.CallBlock, scope: Scope) -> None:
        if isinstance(node, nodes.Macro):
            scope[node.name] = Binding(is_callable=True)
        else:
            self.expression(node.call, scope)
        inner = dict(scope)
        for name in _IN_MACRO:
            inner[name] = Binding(is_callable=True)
        for argument in node.args:
            inner[argument.name] = Binding()
        for default in node.defaults:
            self.expression(default, scope)
        self.statements(node.body, inner)

    def _bind(self, target: nodes.Node, scope: Scope, binding: Binding) -> None:
        if isinstance(target, nodes.Name):
            scope[target.name] = binding
        elif isinstance(target, (nodes.Tuple, nodes.List)):
            for item in target.items:
                self._bind(item, scope, Binding(binding.variable))
        elif isinstance(target, nodes.NSRef) and target.name not in scope:
            self.undeclared(target, target.name, scope)
