"""A code generator for Jinja with fast access and printing, and the templates that run its code.

Dotted and bracketed access call `item`, printing calls `output` (both are functions of the environment, and globals of
the code), and the result of `~` is bounded. All output between two blocks is joined at once, first on a fast path: keys
that exist, texts without control characters, plain links and colours need none of our functions. If the fast path
raises, the slow path runs, which gives the value or a precise error.
"""

from collections.abc import Callable, Sequence
from types import CodeType
from typing import Any, cast

from jinja2 import Template, nodes
from jinja2.compiler import CodeGenerator, Frame, operators
from typing_extensions import override

from service.templates.runtime.escapes import ESCAPE_PLAIN, ESCAPES, PLAIN_CSS, PLAIN_URL

#: Output that is joined at once is not counted yet: few enough parts to stay small, enough that joining costs little.
_JOINED = 64
#: Nodes with side effects, such as counted steps, which must not run twice.
_ACTIONS = (nodes.Call, nodes.CallBlock, nodes.FilterBlock)
#: The fast path of nearly every value: the expression to print, and the condition around the value.
_IN_TEXT = ("escape_plain(shown)", "type(shown := ", ") is str and shown.isprintable()")
_IN_PLAIN_TEXT = ("shown", *_IN_TEXT[1:])
_FAST = {
    "_attribute": _IN_TEXT,
    "_url": ("escape_plain(shown)", "plain_url(shown := ", ")"),
    "_style_url": ("shown", "plain_url(shown := ", ")"),
    "_css": ("shown", "plain_css(shown := ", ")"),
}


class Generator(CodeGenerator):
    """The code generator of the sandbox. `_is_fast` is True while code of the fast path is written."""

    _is_fast = False

    @override
    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:
        self._item(node.node, nodes.Const(node.attr), frame)

    @override
    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:
        if not isinstance(node.arg, nodes.Slice):
            self._item(node.node, node.arg, frame)
            return
        self.write("environment.sliced(")
        self.visit(node.node, frame)
        for begin, part in zip((", slice(", ", ", ", "), (node.arg.start, node.arg.stop, node.arg.step), strict=True):
            self.write(begin)
            self.visit(part or nodes.Const(None), frame)
        self.write("))")

    def _item(self, container: nodes.Expr, key: nodes.Expr, frame: Frame) -> None:
        """Write item access; on the fast path as a dictionary key, which all other containers but `loop` refuse."""
        is_loop = isinstance(container, nodes.Name) and container.name == "loop"
        if self._is_fast and not is_loop and isinstance(key, nodes.Const) and isinstance(key.value, str):
            self.visit(container, frame)
            self.write(f"[{key.value!r}]")
            return
        self.write("item(")
        self.visit(container, frame)
        self.write(", ")
        self._weighed(key, frame)
        self.write(")")

    def _weighed(self, node: nodes.Expr, frame: Frame) -> None:
        """Write an expression whose whole value is walked over, by a comparison, a hash or `~`; it is charged for."""
        if isinstance(node, nodes.Const):
            self.visit(node, frame)
            return
        self.write("weighed(")
        self.visit(node, frame)
        self.write(")")

    @override
    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        join = "markup_join" if frame.eval_ctx.autoescape else "str_join"
        self.write(f"environment.bounded_text({join}((")
        for part in node.nodes:
            self._weighed(part, frame)
            self.write(", ")
        self.write(")))")

    @override
    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:
        self.write("{")
        for pair in node.items:
            self._weighed(pair.key, frame)
            self.write(": ")
            self.visit(pair.value, frame)
            self.write(", ")
        self.write("}")

    @override
    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:
        """Write a comparison; one with a constant takes no time worth counting."""
        if len(node.ops) == 1 and _is_quick(node.expr, node.ops[0]):
            super().visit_Compare(node, frame)
            return
        self.write("(")
        self._weighed(node.expr, frame)
        for operand in node.ops:
            self.write(f" {operators[operand.op]} ")
            self._weighed(operand.expr, frame)
        self.write(")")

    @override
    def visit_Output(self, node: nodes.Output, frame: Frame) -> None:
        if frame.require_output_check:
            super().visit_Output(node, frame)
            return
        for start in range(0, len(node.nodes), _JOINED):
            children = node.nodes[start : start + _JOINED]
            # The line that an error names if the output is too long.
            place = next((child for child in children if not isinstance(child, nodes.TemplateData)), node)
            if frame.buffer is not None:
                self._join(children, frame)
                self.writeline(f"{frame.buffer}.append(environment.captured(joined))", place)
                continue
            if any(map(_acts, children)):
                self._join(children, frame)
            else:
                self.writeline("try:", place)
                self.indent()
                self._is_fast = True
                self._join(children, frame)
                self._is_fast = False
                self.outdent()
                self.writeline("except Exception:")
                self.indent()
                self._join(children, frame)
                self.outdent()
            self.writeline("yield joined", place)

    def _join(self, children: Sequence[nodes.Expr], frame: Frame) -> None:
        finalize = self._make_finalize()
        self.writeline("joined = join((")
        self.indent()
        for child in children:
            try:
                self.writeline(repr(self._output_child_to_const(child, frame, finalize)))
            except Exception:  # not constant, or an error of the rendering; Jinja's own generator does the same
                self.newline(child)
                self._output_child_pre(child)
                self.visit(child, frame)
                self._output_child_post(child)
            self.write(",")
        self.outdent()
        self.writeline("))")

    @override
    def _output_child_to_const(self, node: nodes.Expr, frame: Frame, finalize: Any) -> str:
        if isinstance(node, nodes.Filter) or node.find(nodes.Filter) is not None:
            raise nodes.Impossible  # a filter is charged for, which a constant would not be
        return super()._output_child_to_const(node, frame, finalize)

    @override
    def visit_Filter(self, node: nodes.Filter, frame: Frame) -> None:
        if not (self._is_fast and node.name in _FAST):
            super().visit_Filter(node, frame)
            return
        shown, before, after = _FAST[node.name]
        self.write(f"({shown} if {before}")
        self.visit(cast(nodes.Expr, node.node), frame)
        self.write(f"{after} else {self.filters[node.name]}(shown))")

    def _output_child_pre(self, node: nodes.Expr, *_arguments: object) -> None:
        if not _is_escaped(node):
            shown, before, _ = _IN_TEXT if self.environment.autoescape else _IN_PLAIN_TEXT
            self.write(f"({shown} if {before}")

    def _output_child_post(self, node: nodes.Expr, *_arguments: object) -> None:
        if not _is_escaped(node):
            self.write(f"{_IN_TEXT[2]} else output(shown))")


def _acts(node: nodes.Node) -> bool:
    while isinstance(node, nodes.Getattr) or (isinstance(node, nodes.Filter) and _is_bare(node)):
        node = cast(nodes.Node, node.node)  # the usual chain, without a search through all its fields
    if isinstance(node, (nodes.Name, nodes.Const, nodes.TemplateData)):
        return False
    return isinstance(node, _ACTIONS) or any(node.find_all(_ACTIONS))


def _is_quick(left: nodes.Expr, operand: nodes.Operand) -> bool:
    """True for a comparison that ends at once, because one side is a constant, or `in` one of them."""
    if operand.op not in ("in", "notin"):
        return isinstance(left, nodes.Const) or isinstance(operand.expr, nodes.Const)
    right = operand.expr
    if isinstance(right, nodes.Const):
        return True
    return isinstance(right, (nodes.List, nodes.Tuple)) and all(isinstance(one, nodes.Const) for one in right.items)


def _is_bare(node: nodes.Filter) -> bool:
    return node.node is not None and not (node.args or node.kwargs or node.dyn_args or node.dyn_kwargs)


def _is_escaped(node: nodes.Expr) -> bool:
    """True if the last filter is one of `ESCAPES`, whose result is printed as it is."""
    return isinstance(node, nodes.Filter) and node.name in ESCAPES


class Compiled(Template):
    """A template whose code has our functions as globals of its module."""

    @override
    @classmethod
    def from_code(
        cls, environment: Any, code: CodeType, globals: Any, uptodate: Callable[[], bool] | None = None
    ) -> "Compiled":
        namespace = {
            "environment": environment,
            "__file__": code.co_filename,
            "item": environment.item,
            "output": environment.output,
            "weighed": environment.weighed,
            "escape_plain": ESCAPE_PLAIN,
            "plain_url": PLAIN_URL,
            "plain_css": PLAIN_CSS,
            "join": "".join,
        }
        exec(code, namespace)  # noqa: S102 - code that Jinja made of a template, with no name of ours in reach
        compiled: Any = cls._from_namespace(environment, namespace, globals)
        compiled._uptodate = uptodate
        return cast(Compiled, compiled)
