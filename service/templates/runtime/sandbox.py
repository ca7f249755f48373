"""The sandbox in which compiled templates run: no access to Python objects, no side effects, bounded steps and output.

It is an immutable sandbox of Jinja whose code generator is ours in a few places: dotted access is item access
(`row.items` is the key "items", and fast), printing goes through our escapes, loops and calls count steps, and captured
output (macros, block sets) counts bytes.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any

from jinja2 import DictLoader, Template, Undefined, nodes, pass_context
from jinja2.environment import TemplateModule
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from service.templates.jinja.restore import (
    BLOCK_BEGIN,
    BLOCK_END,
    COMMENT_BEGIN,
    COMMENT_END,
    EXPRESSION_BEGIN,
    EXPRESSION_END,
)
from service.templates.runtime.builtins import allowed_filters, allowed_tests, metered
from service.templates.runtime.code_generator import Compiled, Generator
from service.templates.runtime.escapes import (
    ESCAPES,
    Unprintable,
    escape_text,
    has_marks,
    plain,
    printable,
    strip_tags,
)
from service.templates.runtime.filters import filters_for
from service.templates.runtime.meter import LONG_TEXT, Captured, LimitExceeded, LongText, Meter
from service.templates.runtime.site import NO_SITE, SITE, Site
from service.templates.runtime.undefined import MissingUndefined

_LARGEST_NUMBER_BITS = 2_048
#: Text that is captured, or long, is kept beside the output; it may have the size of so many parts.
_KEPT_PARTS = 8
#: Output after which the time is looked at again, bytes.
_LOOK_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class RenderLimits:
    """The limits of one rendering: bytes of each part, steps of all loops and calls, bytes of the variables as JSON.

    `clock` tells the seconds that `max_seconds` bounds: by default those of the processor in this thread, because a
    busy machine is no fault of the template's.
    """

    max_output_bytes: int
    max_steps: int
    max_variables_bytes: int = 1_000_000
    max_seconds: float = 2.0
    clock: Callable[[], float] = time.thread_time

    def meter(self) -> Meter:
        """A meter with these limits."""
        return Meter(self.max_steps, _KEPT_PARTS * self.max_output_bytes, self.max_seconds, self.clock)


_LOOP_NUMBERS = {"index", "index0", "revindex", "revindex0", "length", "depth", "depth0"}
_LOOP_ATTRIBUTES = _LOOP_NUMBERS | {"first", "last", "cycle", "changed", "previtem", "nextitem"}


class _Sandboxed(ImmutableSandboxedEnvironment):
    """A Jinja environment for HTML with escapes (`is_html`) or for plain text."""

    code_generator_class = Generator
    template_class = Compiled
    intercepted_binops = frozenset({"*", "**", "%", "+"})

    def __init__(
        self,
        limits: RenderLimits,
        meter: Meter,
        language: str,
        modules: Mapping[str, str],
        *,
        is_html: bool,
        site: Site,
    ) -> None:
        super().__init__(
            block_start_string=BLOCK_BEGIN,
            block_end_string=BLOCK_END,
            variable_start_string=EXPRESSION_BEGIN,
            variable_end_string=EXPRESSION_END,
            comment_start_string=COMMENT_BEGIN,
            comment_end_string=COMMENT_END,
            autoescape=is_html,
            undefined=MissingUndefined,
            keep_trailing_newline=True,
            loader=DictLoader(dict(modules)),
            auto_reload=False,
            cache_size=16,
            optimized=False,  # folding constants takes time by the cube of an expression's depth
        )
        self._limits = limits
        self._meter = meter
        self.weighed = meter.weighed
        self._escape = escape_text if is_html else plain
        of_language = filters_for(language)
        of_texts: dict[str, Any] = {name: of_language[name] for name in ("lines", "nl2br")} | ESCAPES
        if not is_html:
            of_texts |= {"safe": strip_tags, "e": plain, "escape": plain, "nl2br": printable}
        filters: dict[str, Any] = {
            **allowed_filters(limits.max_output_bytes, meter),
            **of_language,
            **{name: self._kept(filter_) for name, filter_ in of_texts.items()},
            "_steps": self._steps,
        }
        self.filters = filters
        self.tests = dict(allowed_tests(meter))
        self.globals = {"range": self._range, "namespace": Namespace, SITE: site.values}
        #: Jinja source -> template, cached because a program that was just checked is rendered next.
        self.compiled = lru_cache(maxsize=8)(self.from_string)

    def _kept(self, filter_: Callable[..., Any]) -> Callable[..., Any]:
        """A filter of ours that is charged for a long text and its result."""
        charged = metered(filter_, self._meter, self._limits.max_output_bytes)

        @wraps(filter_)
        def kept(value: Any) -> Any:
            if type(value) is str and len(value) < LONG_TEXT:
                return filter_(value)
            result = charged(value)
            if isinstance(result, str):
                self._meter.keep(len(result))
            return result

        return kept

    def output(self, value: Any) -> str:
        """A value as it is printed; a long one is charged for, before the others beside it are printed."""
        text = self._escape(value)
        if len(text) > LONG_TEXT:
            self._meter.keep(len(text))
            self._meter.spend_text(len(text))
        return text

    def captured(self, text: str) -> str:
        """A part of the output of a macro or a block, charged for."""
        self._meter.keep(len(text))
        return text

    def sliced(self, container: Any, cut: slice) -> Any:
        """A part of a list or text, charged for."""
        if isinstance(container, (list, tuple)):
            self._meter.spend(len(range(*cut.indices(len(container)))))
        elif isinstance(container, str):
            self._meter.spend_text(len(range(*cut.indices(len(container)))))
        part = container[cut]
        return LongText.of(part) if isinstance(part, str) else part

    def item(self, container: Any, key: Any) -> Any:
        """Dotted and bracketed access, on JSON-like data and on a few objects of Jinja's own."""
        if type(container) is dict:
            try:
                return container[key]
            except (KeyError, TypeError):
                return MissingUndefined(obj=container, name=key)
        return self._slow_item(container, key)

    def _slow_item(self, container: Any, key: Any) -> Any:
        if isinstance(container, Undefined):
            container._fail_with_undefined_error()
        if isinstance(container, (dict, list, tuple, str)):
            try:
                return container[key]
            except (LookupError, TypeError):
                return MissingUndefined(obj=container, name=key)
        if isinstance(container, LoopContext) and key in _LOOP_ATTRIBUTES:
            return getattr(container, key)
        if isinstance(container, Namespace):
            try:
                return getattr(container, "" if str(key).startswith("_") else str(key))
            except AttributeError:
                return MissingUndefined(obj=container, name=key)
        if isinstance(container, TemplateModule) and isinstance(key, str) and not key.startswith("_"):
            return container.__dict__.get(key, MissingUndefined(obj=container, name=key))
        if isinstance(container, tuple):
            return MissingUndefined(obj=container, name=key)
        return MissingUndefined(f'"{key}" of this value can\'t be accessed', name=str(key), exc=SecurityError)

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.item(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        """Access by the filters that take an attribute; charged, as they go over lists."""
        self._meter.spend(1)
        return self.item(obj, argument)

    def is_safe_callable(self, obj: Any) -> bool:
        if isinstance(obj, (Macro, LoopContext)) or obj is Namespace or obj == self._range:
            return True
        return isinstance(getattr(obj, "__self__", None), LoopContext) and obj.__name__ in ("cycle", "changed")

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N805
        """Call a macro, a recursive loop or an allowed function; counted, so that recursion ends."""
        __self._meter.charge(1)
        if isinstance(__obj, LoopContext) and args:
            args = (__self._steps(__context, args[0]), *args[1:])
        elif not isinstance(__obj, Macro):
            for value in (*args, *kwargs.values()):
                __self.weighed(value)  # `loop.changed` compares them, `namespace` copies them
        return super().call(__context, __obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if isinstance(left, Undefined):
            left._fail_with_undefined_error()
        if isinstance(right, Undefined):
            right._fail_with_undefined_error()
        if operator == "+":
            if isinstance(left, (str, list, tuple)) and isinstance(right, (str, list, tuple)):
                self._make(left, len(left) + len(right))
        elif operator == "*":
            for sequence, count in ((left, right), (right, left)):
                if isinstance(sequence, (str, list, tuple)) and isinstance(count, int):
                    self._make(sequence, len(sequence) * max(count, 0))
            self._check_number(_bits(left) + _bits(right))
        elif operator == "**":
            if not isinstance(right, (int, float)) or abs(right) > 64:
                raise Unprintable("** takes exponents up to 64")
            self._check_number(_bits(left) * max(int(abs(right)), 1))
        elif isinstance(left, str):
            raise Unprintable("% on a text is not allowed; use ~ to join, and |number or |round for numbers")
        result = super().call_binop(context, operator, left, right)
        return LongText.of(result) if isinstance(result, str) else result

    def bounded_text(self, text: str) -> str:
        self._make(text, len(text))
        return LongText.of(text)

    def concat(self, parts: Iterable[str]) -> str:
        """Join the captured output of a macro or a block."""
        captured = list(parts)
        self._check_size(sum(map(len, captured)))
        text = "".join(captured)
        return Captured(text) if not self.autoescape and has_marks(text) else LongText.of(text)

    def _generate(
        self, source: nodes.Template, name: str | None, filename: str | None, defer_init: bool = False
    ) -> str:
        for loop in source.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, "_steps", [], [], None, None, lineno=loop.lineno, environment=self)
        return super()._generate(source, name, filename, defer_init)

    @pass_context  # so that the code generator does not evaluate it beforehand
    def _steps(self, _context: Context, iterable: Any) -> Any:
        """Count the turns of a loop as steps."""
        if isinstance(iterable, Undefined):
            iterable._fail_with_undefined_error()
        return self._meter.turns(iterable)

    def _range(self, *arguments: int) -> range:
        found = range(*arguments)
        if len(found) > self._limits.max_steps:
            raise LimitExceeded(
                f"a range of {len(found)} is longer than the {self._limits.max_steps} steps of a rendering"
            )
        return found

    def _make(self, kind: Any, size: int) -> None:
        """Charge for a text or list of this size."""
        self._check_size(size)
        if isinstance(kind, str):
            self._meter.spend_text(size)
        else:
            self._meter.spend(size)

    def _check_size(self, size: int) -> None:
        if size > self._limits.max_output_bytes:
            raise LimitExceeded(
                f"a text or list of {size} is longer than the {self._limits.max_output_bytes} of a whole part"
            )

    def _check_number(self, bits: int) -> None:
        if bits > _LARGEST_NUMBER_BITS:
            raise Unprintable("the number would be too large")

    def render(self, compiled: Template, variables: dict[str, Any]) -> str:
        """Render a template. Raises LimitExceeded for too long an output, and whatever the template raises."""
        context = Context(self, {**self.globals, **variables}, compiled.name, {})
        produced = compiled.root_render_func(context)
        parts: list[str] = []
        size = 0
        most = self._limits.max_output_bytes
        mark = min(_LOOK_BYTES, most)
        for part in produced:
            size += len(part)
            if size > mark:
                if size > most:
                    frame = getattr(produced, "gi_frame", None)
                    line = compiled.get_corresponding_lineno(frame.f_lineno) if frame else None
                    raise LimitExceeded(f"the output is longer than {most} bytes", line)
                self._meter.look()
                mark = min(size + _LOOK_BYTES, most)
            parts.append(part)
        return "".join(parts)


def _bits(value: Any) -> int:
    return value.bit_length() if isinstance(value, int) else 0


class Sandbox:
    """The two environments of one template and language: HTML and plain text. Safe to use from many threads."""

    def __init__(
        self,
        limits: RenderLimits,
        language: str,
        *,
        html_modules: Mapping[str, str],
        text_modules: Mapping[str, str],
        site: Site,
    ) -> None:
        self._meter = limits.meter()
        self.html = _Sandboxed(limits, self._meter, language, html_modules, is_html=True, site=site)
        self.text = _Sandboxed(limits, self._meter, language, text_modules, is_html=False, site=site)

    def start(self) -> None:
        """Reset the meter, before each rendering."""
        self._meter.start()


@lru_cache(maxsize=32)
def sandbox_without_modules(limits: RenderLimits, language: str) -> Sandbox:
    """The sandbox that all templates without imports share: it holds nothing of a template, and hundreds are slow.

    The installation's values come with each rendering's variables; only imported files look for them here.
    """
    return Sandbox(limits, language, html_modules={}, text_modules={}, site=NO_SITE)


def author_environment() -> ImmutableSandboxedEnvironment:
    """Jinja with the delimiters that authors write; only used to parse."""
    return ImmutableSandboxedEnvironment(autoescape=True, keep_trailing_newline=True)
