"""Composite placeholders: a value that contains Jinja blocks becomes one placeholder, so that no library splits it."""

import re

from service.templates.findings import CompileAborted, FindingCollector
from service.templates.jinja.block_balance import check_balance
from service.templates.jinja.tokens import PLACEHOLDER, Tokens
from service.templates.positions import Place

_IMPORTANT = re.compile(r"(?<!\s)\s*!\s*important\s*$", re.I)
_ALONE = re.compile(r"\s*zqj\d{5}x\s*")


def composite(value: str, place: Place, tokens: Tokens, collector: FindingCollector, where: str) -> str:
    """An attribute's value; one with control tags becomes one placeholder."""
    found = tokens.within(value)
    if not any(token.kind == "control" for token in found):
        return value
    check_balance(found, where, collector)
    return tokens.new("composite", value, place).placeholder


def composite_css(declarations: str, place: Place, tokens: Tokens, collector: FindingCollector) -> str:
    """CSS declarations; each value with Jinja becomes one placeholder.

    Declarations with control tags become one placeholder together, in the form of a declaration: cssutils would drop
    anything else.
    """
    found = tokens.within(declarations)
    if not found:
        return declarations
    if any(token.kind == "control" for token in found):
        check_balance(found, "the style", collector)
        return tokens.new("composite", declarations, place).placeholder + ":0"
    return ";".join(_declaration(one, place, tokens, collector) for one in split_declarations(declarations))


def _declaration(text: str, place: Place, tokens: Tokens, collector: FindingCollector) -> str:
    if not PLACEHOLDER.search(text):
        return text
    name, _, value = text.partition(":")
    if found := tokens.first(name):
        collector.error(
            found.place, "jinja-in-css-name", "Jinja can't stand in place of a CSS property", "write property: {{ … }}"
        )
        raise CompileAborted
    important = _IMPORTANT.search(value)
    base = value[: important.start()] if important else value
    if not _ALONE.fullmatch(base):
        base = tokens.new("composite", base.strip(), place).placeholder
    return f"{name}:{base}{important[0] if important else ''}"


def split_declarations(text: str) -> list[str]:
    """Split CSS at semicolons, except inside brackets or quotes as in url(data:image/png;base64,…)."""
    parts: list[str] = []
    depth, start, quote = 0, 0, ""
    for index, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif character == ";" and depth <= 0:
            parts.append(text[start:index])
            start = index + 1
    parts.append(text[start:])
    return parts
