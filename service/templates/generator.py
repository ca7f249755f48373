"""Jinja's code generator, changed in three places, and the templates that run its code.

Dotted and bracketed access call `item`, printing calls `output` (both are the environment's own, and globals of the
code), and what `~` joins is bounded.
"""

from collections.abc import Callable
from types import CodeType
from typing import Any, cast

from jinja2 import Template, nodes
from jinja2.compiler import CodeGenerator, Frame


class Generator(CodeGenerator):
    """As the module says."""

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:  # noqa: N802 - Jinja's name
        self.write("item(")
        self.visit(node.node, frame)
        self.write(f", {node.attr!r})")

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:  # noqa: N802
        if isinstance(node.arg, nodes.Slice):
            super().visit_Getitem(node, frame)
            return
        self.write("item(")
        self.visit(node.node, frame)
        self.write(", ")
        self.visit(node.arg, frame)
        self.write(")")

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802
        self.write("environment.bounded_text(")
        super().visit_Concat(node, frame)
        self.write(")")

    def _output_child_pre(self, *_arguments: object) -> None:
        self.write("output(")

    def _output_child_post(self, *_arguments: object) -> None:
        self.write(")")


class Compiled(Template):
    """A template whose code finds our functions as globals of its module."""

    @classmethod
    def from_code(
        cls, environment: Any, code: CodeType, globals: Any, uptodate: Callable[[], bool] | None = None
    ) -> "Compiled":
        namespace = {
            "environment": environment,
            "__file__": code.co_filename,
            "item": environment.item,
            "output": environment.output,
        }
        exec(code, namespace)  # noqa: S102 - code that Jinja made of a template, with no name of ours in reach
        compiled: Any = cls._from_namespace(environment, namespace, globals)
        compiled._uptodate = uptodate
        return cast(Compiled, compiled)
