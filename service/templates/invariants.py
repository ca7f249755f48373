"""Invariants that every compilation checks: no Jinja tag is lost, doubled or made up, no HTML element is moved."""

from collections.abc import Iterator, Sequence

from service.templates.findings import CompileAborted, FindingCollector
from service.templates.jinja.html_scanner import scan_html
from service.templates.jinja.restore import EXPRESSION_BEGIN, EXPRESSION_END, Restored
from service.templates.jinja.tokens import Token, Tokens
from service.templates.mjml.components import TEXT_CONTENT
from service.templates.mjml.parse import Element, Node
from service.templates.plain_text import texts_of
from service.templates.positions import Place
from service.templates.size_limits import MAX_COMPONENTS, MAX_ELEMENTS


def check_control_tokens(
    nodes: Sequence[Node], restored: Restored, uncounted: set[int], tokens: Tokens, collector: FindingCollector
) -> None:
    """Report each control tag that does not come out exactly once, and each expression that is lost.

    Tokens in `uncounted` may vanish or be repeated. Raises CompileAborted after a report.
    """
    wrong = False
    structural = {token.index for token in _structural(nodes, tokens)}
    for token in _all(nodes, tokens):
        if token.index in uncounted:
            continue
        times = restored.used.get(token.index, 0)
        if times > 1 and token.index in structural:
            wrong = True
            collector.error(
                token.place,
                "printed-twice",
                f"{token} would be printed {times} times: its component repeats this part",
                "move the block around the component",
            )
        elif times == 0:
            wrong = True
            collector.error(
                token.place,
                "not-printed",
                f"{token} would be lost: its component does not print this part",
                "move it into text, or into an attribute that is shown",
            )
    if wrong:
        raise CompileAborted


def check_delimiters(restored: Restored, place: Place, collector: FindingCollector) -> None:
    """Check that the delimiters in the restored source are those of its tags, each of which has passed the checks.

    lxml and cssutils turn references and escapes into characters, control characters among them. Raises CompileAborted
    after a report.
    """
    begins, ends = (restored.source.count(sign) for sign in (EXPRESSION_BEGIN[0], EXPRESSION_END[-1]))
    if not begins == ends == restored.count:
        collector.error(
            place,
            "control-character",
            "references or escapes in the template become control characters",
            "delete them: look for &# and, in CSS, for backslashes",
        )
        raise CompileAborted


def check_elements(mjml: str, place: Place, collector: FindingCollector) -> None:
    """Check the number of components and elements before mrml sees them. Raises CompileAborted after a report."""
    if mjml.count("<mj-") > MAX_COMPONENTS or mjml.count("<") - mjml.count("</") > MAX_ELEMENTS:
        message = f"the template has more than {MAX_COMPONENTS} components, or {MAX_ELEMENTS} elements"
        collector.error(place, "too-large", message, "split it, or repeat one with {% for %}")
        raise CompileAborted


def _all(nodes: Sequence[Node], tokens: Tokens) -> list[Token]:
    found: list[Token] = []
    for node in nodes:
        if isinstance(node, Element) and node.tag == "mj-style" and node.literal("inline") == "inline":
            continue
        if isinstance(node, Element) and node.tag in ("mj-attributes", "mj-html-attributes"):
            continue
        if isinstance(node, Element) and not node.content:
            for attribute in node.attributes:
                found += tokens.expanded(attribute.value.text)
            found += _all(node.children, tokens)
        else:
            for text in texts_of([node]):
                found += tokens.expanded(text.text)
    return found


def _structural(nodes: Sequence[Node], tokens: Tokens) -> Iterator[Token]:
    """Control tags in text or between components; those in an attribute's value may be repeated with it."""
    for node in nodes:
        if not isinstance(node, Element):
            yield from (token for token in tokens.within(node.text) if token.kind == "control")
        elif node.content is None:
            yield from _structural(node.children, tokens)
        elif node.tag not in TEXT_CONTENT:
            for part in scan_html(node.content.text):
                if part.kind == "text":
                    yield from (token for token in tokens.within(part.text) if token.kind == "control")


def check_tag_sequence(before: Sequence[str], after: Sequence[str], place: Place, collector: FindingCollector) -> None:
    """Report that lxml moved or repaired elements, so that a branch would hold other elements than the author's.

    Raises CompileAborted after a report.
    """
    if before == after:
        return
    index = next((i for i, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), 0)
    around = " ".join(f"<{name}>" for name in before[max(index - 2, 0) : index + 2])
    collector.error(
        place,
        "html-restructured",
        f"the HTML parser would rearrange the elements near {around}",
        "a block element can't stand inside an inline one, such as <table> in <a> or <p> in <b>",
    )
    raise CompileAborted
