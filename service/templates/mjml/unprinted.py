"""Attributes of MJML that mrml 6 does not print: set in its HTML, as npm mjml 5 prints them.

A component with such attributes is emitted with a class of its own, by which its HTML is found; the class is taken away
with it. tests/templates/mjml/test_npm_mjml.py compares every attribute of every component.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from service.templates.mjml.html_tree import Node, elements, is_element, parse_html, write_html

#: component -> attribute -> the tags one of which prints it first, and the attribute or the property (ends with a
#: colon) that it becomes.
_SIMPLE: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "mj-button": {"title": ("a p", "title")},
    "mj-image": {
        "sizes": ("img", "sizes"),
        "title": ("a", "title"),
        "border-bottom": ("img", "border-bottom:"),
        "border-left": ("img", "border-left:"),
        "border-right": ("img", "border-right:"),
        "border-top": ("img", "border-top:"),
    },
    "mj-table": {"role": ("table", "role")},
    "mj-social-element": {
        "border": ("img", "border:"),
        "sizes": ("img", "sizes"),
        "srcset": ("img", "srcset"),
    },
    "mj-accordion-title": {"font-weight": ("td", "font-weight:")},
    "mj-hero": {
        "border-radius": ("td", "border-radius:"),
        "inner-padding": (".mj-hero-content", "padding:"),
        "inner-padding-top": (".mj-hero-content", "padding-top:"),
        "inner-padding-left": (".mj-hero-content", "padding-left:"),
        "inner-padding-right": (".mj-hero-content", "padding-right:"),
        "inner-padding-bottom": (".mj-hero-content", "padding-bottom:"),
    },
}
#: What npm mjml prints and nothing here does: component, attribute -> the values, None for all; and the remedy.
_NOT_PRINTED: Mapping[tuple[str, str], tuple[str | None, str]] = {
    ("mj-section", "gutter"): (None, "give the columns a padding"),
    ("mj-wrapper", "gutter"): (None, "give the columns a padding"),
    ("mj-carousel", "thumbnails"): ("supported", 'write "visible" or "hidden"'),
}
_MSO_COLOUR = re.compile(r' bgcolor="[^"]*"')
_MSO_TABLE = re.compile(r'\A(.*<table [^<>]*style=")', re.S)


@dataclass
class Unprinted:
    """A component's attributes that mrml does not print, and the class that marks its HTML."""

    component: str
    marker: str
    values: dict[str, str] = field(default_factory=dict)


def without_effect(component: str, name: str, value: str) -> str | None:
    """What to write instead of an attribute that has no effect, or not all of it; None for all others."""
    values, remedy = _NOT_PRINTED.get((component, name), ("", ""))
    if values in (None, value):
        return remedy
    sides = value.split()
    across = sides[1::2] or sides if name == "padding" else sides if name in ("padding-left", "padding-right") else []
    if component == "mj-hero" and any(re.search(r"[1-9]", side) for side in across):
        return "what is inside stays as wide as without it: give pictures a width"
    return None


def names_of(component: str) -> tuple[str, ...]:
    """The names of the attributes of a component that are set here."""
    return (*_SIMPLE.get(component, ()), *_OTHERS.get(component, ()))


def set_unprinted(html: str, unprinted: list[Unprinted]) -> str:
    """Set the attributes in mrml's HTML, and take the markers away."""
    if not unprinted:
        return html
    root = parse_html(html)
    marked: dict[str, list[Node]] = {}
    for element in elements(root):
        for name in (element.get("class") or "").split():
            marked.setdefault(name, []).append(element)
    for one in unprinted:
        for element in marked.get(one.marker, ()):
            for name, value in one.values.items():
                if name in _SIMPLE.get(one.component, ()):
                    where, printed = _SIMPLE[one.component][name]
                    _set(element, where, printed, value)
                else:
                    _OTHERS[one.component][name](element, value)
    names = "|".join(one.marker for one in unprinted)
    markers = re.compile(rf' class="(?:{names})(?:-outlook)?"| (?:{names})(?:-outlook)?(?=")')
    return markers.sub("", write_html(root))


def _set(element: Node, where: str, name: str, value: str) -> None:
    for inner in elements(element):
        if inner.tag in where.split() or (where[0] == "." and where[1:] in (inner.get("class") or "").split()):
            if name.endswith(":"):
                add_style(inner, f"{name}{value}")
            else:
                inner.set(name, value)
            return


def add_style(element: Node, declaration: str) -> None:
    """Add a declaration behind the others, so that it holds."""
    before = (element.get("style") or "").rstrip("; ")
    element.set("style", f"{before};{declaration}" if before else declaration)


def _border_of_table(cell: Node, _value: str) -> None:
    """Undo that mrml separates the borders of the cells wherever the table has one; `cellspacing` alone does."""
    table = next(one for one in elements(cell) if one.tag == "table")
    kept = [one for one in (table.get("style") or "").split(";") if one.strip() != "border-collapse:separate"]
    table.set("style", ";".join(kept))


def _separate_cells(cell: Node, value: str) -> None:
    """The head's reset collapses the borders of all tables, and with them the space between cells."""
    if re.search(r"[1-9]", value):
        _set(cell, "table", "border-collapse:", "separate")


def _icon_position(row: Node, value: str) -> None:
    cells = [cell for cell in row if is_element(cell)]
    if value == "right" and len(cells) == 2:
        row.insert(0, cells[1])


def _fluid_height(hero: Node, value: str) -> None:
    """The height follows the width: cells on both sides hold it open by a padding in percent of the width."""
    cell = next(cell for cell in elements(hero) if cell.tag == "td")
    cell.attrib.pop("height", None)
    kept = [part for part in (cell.get("style") or "").split(";") if part and not part.strip().startswith("height:")]
    cell.set("style", ";".join(kept) + ";")
    for add in (cell.addprevious, cell.addnext):
        side = cell.makeelement("td", {"style": f"width:0.01%;padding-bottom:{value};mso-padding-bottom-alt:0;"})
        add(side)


def _gap(wrapper: Node, value: str) -> None:
    """Space before every section but the first; Outlook has it from the table around a section."""
    cell = next(cell for cell in elements(wrapper) if cell.tag == "td")
    sections = [child for child in cell if is_element(child)]
    for section in sections:
        div = next((one for one in elements(section) if one.tag == "div"), section)
        around = (one for one in (div.getprevious(), section.getprevious()) if one is not None and not is_element(one))
        comment = next((one for one in around if "<table " in (one.text or "")), None)
        if comment is not None:  # its colour would fill the gap
            comment.text = _MSO_COLOUR.sub("", comment.text)
        if section is sections[0]:
            continue
        add_style(div, f"margin-top:{value}")
        if comment is not None:
            comment.text = _MSO_TABLE.sub(rf"\g<1>padding-top:{value};", comment.text, count=1)


def _id_of_body(div: Node, value: str) -> None:
    body = div.getparent()
    if body is not None:
        body.set("id", value)


_OTHERS: Mapping[str, Mapping[str, Callable[[Node, str], None]]] = {
    "mj-body": {"id": _id_of_body},
    "mj-table": {"border": _border_of_table, "cellspacing": _separate_cells},
    "mj-social-element": {"icon-position": _icon_position},
    "mj-hero": {"mode": _fluid_height},
    "mj-wrapper": {"gap": _gap},
}
