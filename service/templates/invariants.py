"""What must be true of each compiled template: no tag lost or doubled, no element moved. Held at each compilation."""

from collections.abc import Iterator, Sequence

from service.templates.findings import CompileAborted, FindingCollector
from service.templates.jinja.html_scanner import scan_html
from service.templates.jinja.restore import Restored
from service.templates.jinja.tokens import Token, Tokens
from service.templates.mjml.components import TEXT_CONTENT
from service.templates.mjml.parse import Element, Node
from service.templates.plain_text import texts_of
from service.templates.positions import Place


def check_control_tokens(
    nodes: Sequence[Node], restored: Restored, uncounted: set[int], tokens: Tokens, collector: FindingCollector
) -> None:
    """Each control tag comes out exactly once; nothing the author wrote is lost. `soft` tokens may vanish.

    Refused: it is not so; reported at the tag.
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
                f"{token} would come out {times} times: its component repeats what stands here",
                "move the block around the component",
            )
        elif times == 0:
            wrong = True
            collector.error(
                token.place,
                "not-printed",
                f"{token} would be lost: its component doesn't print what stands here",
                "move it into text, or into an attribute that is shown",
            )
    if wrong:
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
    """Control tags that stand in text or between components; those in a value travel with it, and may be repeated."""
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
    """Refused: lxml moved or repaired elements, so that a branch would not hold what the author put there."""
    if before == after:
        return
    index = next((i for i, (one, other) in enumerate(zip(before, after, strict=False)) if one != other), 0)
    around = " ".join(f"<{name}>" for name in before[max(index - 2, 0) : index + 2])
    collector.error(
        place,
        "html-restructured",
        f"the HTML would be rearranged near {around}",
        "a block element can't stand inside an inline one, such as <table> in <a> or <p> in <b>",
    )
    raise CompileAborted
