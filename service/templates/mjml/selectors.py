"""Check of inline CSS: its selectors are applied when a template is compiled, so no rendering may change a match."""

import re
from typing import NoReturn

from service.templates.findings import CompileAborted, FindingCollector
from service.templates.jinja.tokens import PLACEHOLDER, Token, Tokens
from service.templates.mjml.css import rules
from service.templates.mjml.emit import InlineStyle
from service.templates.mjml.html_tree import BadSelector, Node, elements, is_element, select
from service.templates.positions import Place
from service.templates.size_limits import MAX_MATCHES, MAX_SELECTOR

#: Pseudo-classes that depend on an element's neighbours; the others (:hover …) are left to the mail program.
_POSITION = re.compile(
    r":(?:first|last|only|nth)-[\w-]+(?:\([^()]*\))?|:(?:empty|root)|:(?:has|not)\((?:[^()]|\([^()]*\))*\)|(?<=\S)\s*[+~](?=\s*[\w.#*\[])"
)
_PSEUDO = re.compile(r"::?[\w-]+(?:\([^()]*\))?")


def check_selectors(root: Node, styles: list[InlineStyle], tokens: Tokens, collector: FindingCollector) -> None:
    """Report rules that depend on positions among looped or conditional elements, or on a class with an expression.

    So are too long selectors, and more than can be tried on all elements. Raises CompileAborted after a report.
    """
    wrong = False
    matches_left = MAX_MATCHES
    count = sum(1 for _ in elements(root))
    classes: set[str] = set()
    for style in styles:
        for rule in rules(style.source.text):
            if rule.prelude.lstrip().startswith("@"):
                continue
            for selector in rule.prelude.split(","):
                place = style.source.place(rule.start + rule.prelude.find(selector.strip()))
                matches_left -= count
                if len(selector.strip()) > MAX_SELECTOR or matches_left < 0:
                    _too_large(len(selector.strip()), place, collector)
                classes.update(re.findall(r"\.([\w-]+)", selector))
                if "[class" in selector:
                    classes.add("")
                wrong |= not _is_fixed(root, selector.strip(), place, tokens, collector)
    for element in elements(root):
        value = element.get("class")
        if value and PLACEHOLDER.search(value) and (token := _matched(value, classes, tokens)):
            wrong = True
            collector.error(
                token.place,
                "class-and-inline-css",
                f"{token} may give a class that inline CSS has a rule for; the rule would not be applied",
                'write the style into each branch, or use a plain <mj-style> without inline="inline"',
            )
    if wrong:
        raise CompileAborted


def _too_large(length: int, place: Place, collector: FindingCollector) -> NoReturn:
    if length > MAX_SELECTOR:
        message = f"a selector of more than {MAX_SELECTOR} characters"
    else:
        message = "so many selectors can't be applied to so many elements"
    collector.error(place, "too-large", message, 'use a plain <mj-style> without inline="inline"')
    raise CompileAborted


def _is_fixed(root: Node, selector: str, place: Place, tokens: Tokens, collector: FindingCollector) -> bool:
    for found in _POSITION.finditer(selector):
        before = _PSEUDO.sub("", _POSITION.sub("", selector[: found.start()])).strip() or "*"
        if before[-1] in "> ":
            before += "*"
        try:
            reached = select(root, before)
        except BadSelector:
            continue
        if any(_has_blocks(element.getparent(), tokens) for element in reached):
            collector.error(
                place,
                "position-selector",
                f'"{selector}" depends on neighbours that a block adds or leaves out',
                "give the elements a class, or write the style into the loop: {{ loop.cycle(…) }}",
            )
            return False
    return True


def _has_blocks(parent: Node | None, tokens: Tokens) -> bool:
    """True if Jinja blocks stand between the children, so that their number is not fixed."""
    for child in parent if parent is not None else ():
        found = None if is_element(child) else PLACEHOLDER.fullmatch(child.text or "")
        if found and tokens[int(found[1])].word in ("if", "for"):
            return True
    return False


def _matched(value: str, classes: set[str], tokens: Tokens) -> Token | None:
    """The first tag in a class attribute that could make it hold one of `classes`."""
    if not classes:
        return None
    expanded = tokens.expanded(value)
    first = expanded[0] if expanded else None
    if any(token.kind == "control" for token in expanded):
        text = "".join(token.body for token in tokens.within(value) if token.kind == "composite") or value
        fragments = [part for part in PLACEHOLDER.sub(" ", text).split() if part]
        alone = any(token.kind == "expression" for token in expanded)
        hit = alone or any(part in name or name in part for part in fragments for name in classes)
        return first if hit else None
    for word in value.split():
        if not PLACEHOLDER.search(word):
            continue
        parts = PLACEHOLDER.sub("\0", word).split("\0")
        if any(name == "" or _may_become(name, parts) for name in classes):
            return tokens.first(word)
    return None


def _may_become(name: str, parts: list[str]) -> bool:
    """True where the name is these parts, in this order, with anything between them."""
    first, *middle, last = parts
    place, end = len(first), len(name) - len(last)
    if not (name.startswith(first) and name.endswith(last) and place <= end):
        return False
    for part in middle:
        found = name.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True
