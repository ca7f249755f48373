"""The component table of MJML: components, attributes and their types, and the attributes mrml computes layout with."""

import json
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

_COLOR = re.compile(r"#([0-9a-f]{3}|[0-9a-f]{4}|[0-9a-f]{6}|[0-9a-f]{8})|(rgb|hsl)a?\([^)]*\)", re.I)
#: CSS Color Module Level 4, 6.1, and the keywords that stand for a colour elsewhere.
COLOR_NAMES = frozenset(
    """
    aliceblue antiquewhite aqua aquamarine azure beige bisque black blanchedalmond blue blueviolet brown burlywood
    cadetblue chartreuse chocolate coral cornflowerblue cornsilk crimson cyan darkblue darkcyan darkgoldenrod
    darkgray darkgreen darkgrey darkkhaki darkmagenta darkolivegreen darkorange darkorchid darkred darksalmon
    darkseagreen darkslateblue darkslategray darkslategrey darkturquoise darkviolet deeppink deepskyblue dimgray
    dimgrey dodgerblue firebrick floralwhite forestgreen fuchsia gainsboro ghostwhite gold goldenrod gray green
    greenyellow grey honeydew hotpink indianred indigo ivory khaki lavender lavenderblush lawngreen lemonchiffon
    lightblue lightcoral lightcyan lightgoldenrodyellow lightgray lightgreen lightgrey lightpink lightsalmon
    lightseagreen lightskyblue lightslategray lightslategrey lightsteelblue lightyellow lime limegreen linen magenta
    maroon mediumaquamarine mediumblue mediumorchid mediumpurple mediumseagreen mediumslateblue mediumspringgreen
    mediumturquoise mediumvioletred midnightblue mintcream mistyrose moccasin navajowhite navy oldlace olive
    olivedrab orange orangered orchid palegoldenrod palegreen paleturquoise palevioletred papayawhip peachpuff peru
    pink plum powderblue purple rebeccapurple red rosybrown royalblue saddlebrown salmon sandybrown seagreen
    seashell sienna silver skyblue slateblue slategray slategrey snow springgreen steelblue tan teal thistle tomato
    turquoise violet wheat white whitesmoke yellow yellowgreen transparent currentcolor inherit initial unset none
    """.split()  # noqa: SIM905  # a column of 150 quoted words reads worse
)


def _load() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(files("service.templates.mjml").joinpath("components.json").read_text("utf-8"))
    return table


_TABLE = _load()
#: The version of npm mjml whose table this is.
MJML_VERSION: str = _TABLE["version"]
#: component -> attribute -> type, as the official validator has it.
ATTRIBUTES: Mapping[str, Mapping[str, str]] = {
    **{name: component["attrs"] for name, component in _TABLE["components"].items()},
    # The official table takes any text, and npm mjml takes any but these for the first.
    "mj-hero": {**_TABLE["components"]["mj-hero"]["attrs"], "mode": "enum(fixed-height,fluid-height)"},
    "mjml": {"lang": "string", "dir": "enum(ltr,rtl,auto)", "owa": "string", "version": "string"},
    "mj-selector": {"path": "string"},
    "mj-html-attribute": {"name": "string"},
    "mj-include": {"path": "string", "type": "enum(mjml,css,html)", "css-inline": "string"},
}
CHILDREN: Mapping[str, frozenset[str]] = {name: frozenset(below) for name, below in _TABLE["children"].items()}
#: Components whose content is HTML or text, not components.
CONTENT = frozenset(name for name, component in _TABLE["components"].items() if component["ending"])
CONTENT = (CONTENT - {"mj-carousel-image", "mj-breakpoint"}) | {"mj-html-attribute"}
#: Of these, the ones whose content is plain text or CSS.
TEXT_CONTENT = frozenset({"mj-title", "mj-preview", "mj-style", "mj-html-attribute"})
#: Attributes that every component of the body takes.
COMMON_ATTRIBUTES = ("css-class", "mj-class")

#: mrml refuses raw content inside these, but passes comments through.
COMMENT_PARENTS = frozenset({"mj-social", "mj-navbar", "mj-accordion"})
#: No control tag can stand inside these and reach the mail.
NO_CONTROL = frozenset(
    {"mjml", "mj-head", "mj-attributes", "mj-html-attributes", "mj-selector", "mj-carousel", "mj-accordion-element"}
)

#: Attributes that mrml computes with: an expression there could not have its value at compile time.
_COMPUTED: Mapping[str, frozenset[str]] = {
    "mj-body": frozenset({"width"}),
    "mj-breakpoint": frozenset({"width"}),
    "mj-section": frozenset({"full-width"}),
    "mj-wrapper": frozenset({"full-width", "gap"}),
    "mj-column": frozenset({"width"}),
    "mj-group": frozenset({"width"}),
    "mj-hero": frozenset({"mode", "height", "background-height", "background-width"}),
    "mj-image": frozenset({"width", "height", "fluid-on-mobile"}),
    "mj-button": frozenset({"width"}),
    "mj-divider": frozenset({"width"}),
    "mj-spacer": frozenset({"height"}),
    "mj-text": frozenset({"height"}),
    "mj-table": frozenset({"width"}),
    "mj-raw": frozenset({"position"}),
    "mj-style": frozenset({"inline"}),
    "mj-font": frozenset({"name", "href"}),
    "mj-navbar": frozenset({"hamburger"}),
    "mj-social": frozenset({"mode", "icon-size", "icon-height"}),
    "mj-social-element": frozenset({"name", "icon-size", "icon-height"}),
    "mj-accordion": frozenset({"icon-position"}),
    "mj-accordion-element": frozenset({"icon-position"}),
    "mj-carousel": frozenset({"tb-width", "icon-width", "thumbnails"}),
}
_COMPUTED_NAME = re.compile(r"(inner-)?(padding|border)(-left|-right|-top|-bottom)?|direction")
_WITH_BOX = frozenset(
    {"mj-column", "mj-group", "mj-section", "mj-wrapper", "mj-image", "mj-hero", "mj-divider", "mj-button"}
)
_LITERAL_WIDTH = re.compile(r"\d+(\.\d+)?px ")


def drives_layout(component: str, attribute: str, value: str) -> bool:
    """True if mrml computes layout with this attribute; a border with a literal width may vary in colour."""
    if attribute in _COMPUTED.get(component, ()):
        return True
    if not _COMPUTED_NAME.fullmatch(attribute):
        return False
    if "border" in attribute and _LITERAL_WIDTH.match(value):
        return False
    return component in _WITH_BOX or component in ("mj-all", "mj-class")


@cache
def type_check(kind: str) -> Callable[[str], bool]:
    """The predicate for a type of the component table, such as `color`, `unit(px,%){1,4}` or `enum(a,b)`."""
    if kind.startswith("enum"):
        options = frozenset(kind[5:-1].split(","))
        return lambda value: value in options
    if kind == "color":
        return lambda value: _COLOR.fullmatch(value.strip()) is not None or value.strip().lower() in COLOR_NAMES
    if kind == "integer":
        return lambda value: value.isdigit()
    if kind == "boolean":
        return lambda value: value in ("true", "false")
    if found := re.fullmatch(r"unit(WithNegative)?\(([^)]*)\)(?:\{([\d,]+)\})?", kind):
        units = found[2].split(",")
        suffix = "|".join(re.escape(unit) for unit in units if unit != "auto")
        number = rf"{'-?' if found[1] else ''}[\d.,]+(?:{suffix})|0(?:{suffix})?" + ("|auto" if "auto" in units else "")
        pattern = re.compile(rf"(?:(?:{number})(?: +|$)){{{found[3] or '1'}}}")
        return lambda value: pattern.fullmatch(value.strip()) is not None
    return lambda _value: True


def expected(kind: str) -> str:
    """A type of the component table in words, such as "a number with px or %"."""
    if kind.startswith("enum"):
        return "one of " + ", ".join(option or '""' for option in kind[5:-1].split(","))
    if found := re.fullmatch(r"unit(?:WithNegative)?\(([^)]*)\)(?:\{([\d,]+)\})?", kind):
        units = " or ".join(unit or "no unit" for unit in found[1].split(","))
        count = f"{found[2].replace(',', ' to ')} numbers" if found[2] else "a number"
        return f"{count} with {units}"
    return {"color": "a colour", "integer": "a whole number", "boolean": "true or false"}.get(kind, "text")
