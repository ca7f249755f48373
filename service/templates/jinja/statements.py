"""Static check of Jinja statements: scopes, undeclared names, and the variables that each tag uses."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes

from service.templates.findings import FindingCollector
from service.templates.jinja.expressions import Binding, ExpressionCheck, Scope, VariableUses
from service.templates.jinja.restore import BLOCK_BEGIN, BLOCK_END, EXPRESSION_BEGIN, EXPRESSION_END
from service.templates.jinja.tokens import Token

_IN_MACRO = ("caller", "varargs", "kwargs")


def check_jinja(
    tokens: Sequence[Token],
    schema: Mapping[str, Any],
    environment: Environment,
    collector: FindingCollector,
    uses: VariableUses,
    *,
    where: str = "",
) -> None:
    """Check all tags of one program in their order, without the text between them; mistakes are reported at the tags.

    `environment` has the filters, tests and globals of the rendering. `schema` is that of the variables.
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
            check = _CHECKS.get(type(node))
            if check is not None:
                check(self, node, scope)
            else:
                for child in node.iter_child_nodes():
                    self.expression(child, scope)

    def _if(self, node: nodes.If, scope: Scope) -> None:
        self.expression(node.test, scope)
        for branch in (node.body, node.elif_, node.else_):
            self.statements(branch, scope)

    def _assign(self, node: nodes.Assign, scope: Scope) -> None:
        self.expression(node.node, scope)
        self._bind(node.target, scope, self.binding(node.node, scope))

    def _assign_block(self, node: nodes.AssignBlock, scope: Scope) -> None:
        self._scope(node, scope)
        if node.filter:
            self.expression(node.filter, scope)
        self._bind(node.target, scope, Binding())

    def _with(self, node: nodes.With, scope: Scope) -> None:
        inner = dict(scope)
        for target, value in zip(node.targets, node.values, strict=True):
            self.expression(value, scope)
            self._bind(target, inner, self.binding(value, scope))
        self.statements(node.body, inner)

    def _filter_block(self, node: nodes.FilterBlock, scope: Scope) -> None:
        self.expression(node.filter, scope)
        self._scope(node, scope)

    def _import(self, node: nodes.Import, scope: Scope) -> None:
        scope[node.target] = Binding(is_module=True)

    def _from_import(self, node: nodes.FromImport, scope: Scope) -> None:
        for name in node.names:
            scope[name[1] if isinstance(name, tuple) else name] = Binding(is_callable=True)

    def _autoescape(self, node: nodes.ScopedEvalContextModifier, scope: Scope) -> None:
        self.error(node, "not-allowed", "{% autoescape %} is not allowed", "escaping follows from the place")
        self._scope(node, scope)

    def _scope(
        self, node: nodes.Scope | nodes.ScopedEvalContextModifier | nodes.AssignBlock | nodes.FilterBlock, scope: Scope
    ) -> None:
        self.statements(node.body, dict(scope))

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


#: The check of each kind of statement; of all others only the expressions are checked.
_CHECKS: Mapping[type[nodes.Node], Callable[[_StatementCheck, Any, Scope], None]] = {
    nodes.For: _StatementCheck._for,
    nodes.If: _StatementCheck._if,
    nodes.Assign: _StatementCheck._assign,
    nodes.AssignBlock: _StatementCheck._assign_block,
    nodes.Macro: _StatementCheck._macro,
    nodes.CallBlock: _StatementCheck._macro,
    nodes.With: _StatementCheck._with,
    nodes.FilterBlock: _StatementCheck._filter_block,
    nodes.Import: _StatementCheck._import,
    nodes.FromImport: _StatementCheck._from_import,
    nodes.ScopedEvalContextModifier: _StatementCheck._autoescape,
    nodes.Scope: _StatementCheck._scope,
}
