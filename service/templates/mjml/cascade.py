"""The order of declarations where several rules and an element's own style meet in one `style` attribute.

premailer keeps a property at the place where it was first seen, so that `padding` of a later rule would stand before
`padding-left` of an earlier one and lose to it. Each rule's declarations are given names of their own before premailer
merges them, and one name each after it.
"""

import re
from collections.abc import Iterable

from service.templates.jinja.composites import split_declarations

_NUMBERED = re.compile(r"zqr\d+n\d+-(.*)", re.S)
_VENDOR = re.compile(r"-(?:webkit|moz|ms|o)-|mso-")
_ATTRIBUTE = re.compile(r"\[[^\[\]]*\]")
#: `:not()` counts as what it holds.
_PSEUDO_CLASS = re.compile(r"(?<!:):(?!:|not\b)[\w-]+")
_TAG = re.compile(r"(?:^|[\s>+~,]|:not\()(?=[A-Za-z])")
#: Properties that a shorthand of another name resets.
_FAMILIES = {"line": "font", "row": "gap", "column": "gap"}


def numbered(declarations: str, number: str) -> str:
    """The declarations of one rule, with names that no other rule has."""
    parts = (one.strip() for one in split_declarations(declarations))
    return ";".join(f"zqr{number}-{one}" for one in parts if one)


def is_numbered(style: str) -> bool:
    """True if a `style` attribute holds declarations with numbered names."""
    return "zqr" in style


def merged(declarations: Iterable[tuple[str, str]]) -> str:
    """The `style` of declarations in the order of the cascade, each property once, where it must stand to hold.

    A property stays where it was first given unless a shorthand or a longhand of it was given in between.
    """
    values: dict[str, str] = {}
    for written, value in declarations:
        found = _NUMBERED.fullmatch(written)
        name = found[1] if found else written
        if _is_important(values.get(name, "")) and not _is_important(value):
            continue
        names = list(values)
        if name in values and any(_is_related(name, one) for one in names[names.index(name) + 1 :]):
            del values[name]
        values[name] = value
    return "; ".join(f"{name}:{value}" for name, value in values.items())


def _is_important(value: str) -> bool:
    return value.endswith("!important")


def _is_related(name: str, other: str) -> bool:
    return "all" in (name, other) or _family(name) == _family(other)


def _family(name: str) -> str:
    first = _VENDOR.sub("", name).partition("-")[0]
    return _FAMILIES.get(first, first)


def specificity(selector: str) -> tuple[int, int, int]:
    """How many ids, how many classes, attributes and pseudo-classes, and how many tags a selector names.

    Selectors Level 3, 9; premailer counts no attributes and no pseudo-classes.
    """
    bare, attributes = _ATTRIBUTE.subn("", selector)
    classes = bare.count(".") + attributes + len(_PSEUDO_CLASS.findall(bare))
    return bare.count("#"), classes, len(_TAG.findall(bare))
