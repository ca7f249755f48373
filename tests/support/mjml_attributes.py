"""Every attribute of every MJML component once: small documents, and what an attribute changes in their HTML.

A component stands in its document once for each attribute, each time after a mark of its own, so that one compilation
tells what each attribute prints. What is printed is told as facts that no order or white space changes, such as
`td{padding:7px}` or `[if mso | IE] table@width=600`.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import unescape

from service.templates.jinja.html_scanner import scan_html
from service.templates.mjml.components import ATTRIBUTES

#: The number is the case's; 0 is the component without more attributes, and the facts before it are the document's.
_MARK = re.compile(r'<i\s+id="case-(\d+)"></i>')
_CONDITION = re.compile(r"<!--(\[if[^\]]*\])>(.*)<!\[endif\]-->", re.S)
_RANDOM_ID = re.compile(r"\b(?=[a-z]*[0-9])[0-9a-f]{8,16}\b")

_COLUMN = "<mj-section><mj-column>{}</mj-column></mj-section>"
_IMAGE = '<mj-carousel-image src="https://x.example/{}.png" />'
_TEXT = "<mj-text>Texte</mj-text>"
_ACCORDION = (
    "<mj-accordion><mj-accordion-element><mj-accordion-title{}>Titre</mj-accordion-title>"
    "<mj-accordion-text{}>Texte</mj-accordion-text></mj-accordion-element></mj-accordion>"
)
#: How a component stands in the body: its attributes take the place of `{}`. The others it needs are there, so that
#: each attribute has something to change.
BODIES: Mapping[str, str] = {
    "mj-section": f"<mj-section{{}}><mj-column>{_TEXT}</mj-column></mj-section>",
    "mj-wrapper": f"<mj-wrapper{{}}>{_COLUMN.format(_TEXT)}{_COLUMN.format(_TEXT)}</mj-wrapper>",
    "mj-hero": f"<mj-hero{{}}>{_TEXT}</mj-hero>",
    "mj-column": f"<mj-section><mj-column{{}}>{_TEXT}</mj-column></mj-section>",
    "mj-group": f"<mj-section><mj-group{{}}><mj-column>{_TEXT}</mj-column><mj-column>{_TEXT}</mj-column></mj-group>"
    "</mj-section>",
    "mj-text": _COLUMN.format("<mj-text{}>Texte</mj-text>"),
    "mj-button": _COLUMN.format("<mj-button{}>Ouvrir</mj-button>"),
    "mj-image": _COLUMN.format("<mj-image{} />"),
    "mj-divider": _COLUMN.format("<mj-divider{} />"),
    "mj-spacer": _COLUMN.format("<mj-spacer{} />"),
    "mj-table": _COLUMN.format("<mj-table{}><tr><td>a</td></tr></mj-table>"),
    "mj-social": _COLUMN.format(
        '<mj-social{}><mj-social-element name="github" href="https://x.example/g">un</mj-social-element>'
        '<mj-social-element src="https://x.example/i.png">deux</mj-social-element></mj-social>'
    ),
    "mj-social-element": _COLUMN.format(
        "<mj-social><mj-social-element{}>un</mj-social-element></mj-social>"
        '<mj-social mode="vertical"><mj-social-element{}>un</mj-social-element></mj-social>'
    ),
    "mj-navbar": _COLUMN.format(
        '<mj-navbar{}><mj-navbar-link href="/un">un</mj-navbar-link>'
        '<mj-navbar-link href="https://x.example/2">deux</mj-navbar-link></mj-navbar>'
    ),
    "mj-navbar-link": _COLUMN.format("<mj-navbar><mj-navbar-link{}>un</mj-navbar-link></mj-navbar>"),
    "mj-accordion": _COLUMN.format(_ACCORDION.replace("{}", "").replace("<mj-accordion>", "<mj-accordion{}>")),
    "mj-accordion-element": _COLUMN.format(
        _ACCORDION.replace("{}", "").replace("<mj-accordion-element>", "<mj-accordion-element{}>")
    ),
    "mj-accordion-title": _COLUMN.format(_ACCORDION.replace("<mj-accordion-text{}>", "<mj-accordion-text>")),
    "mj-accordion-text": _COLUMN.format(_ACCORDION.replace("<mj-accordion-title{}>", "<mj-accordion-title>")),
    "mj-carousel": _COLUMN.format(f"<mj-carousel{{}}>{_IMAGE.format(1)}{_IMAGE.format(2)}</mj-carousel>"),
    "mj-carousel-image": _COLUMN.format(f"<mj-carousel><mj-carousel-image{{}} />{_IMAGE.format(2)}</mj-carousel>"),
}
#: Parts of another component, which has the same head.
_PARTS = frozenset(
    {
        "mj-accordion-element",
        "mj-accordion-title",
        "mj-accordion-text",
        "mj-carousel-image",
        "mj-navbar-link",
        "mj-social-element",
    }
)
#: Attributes without which others print nothing.
_WITH: Mapping[str, Mapping[str, str]] = {
    "mj-section": {"background-url": "https://x.example/b.png"},
    "mj-wrapper": {"background-url": "https://x.example/b.png"},
    "mj-hero": {
        "background-url": "https://x.example/b.png",
        "background-width": "600px",
        "background-height": "300px",
        "height": "300px",
    },
    "mj-column": {"padding": "1px"},
    "mj-button": {"href": "https://x.example/"},
    "mj-image": {
        "src": "https://x.example/i.png",
        "href": "https://x.example/",
        "srcset": "https://x.example/j.png 2x",
    },
    "mj-social-element": {
        "src": "https://x.example/i.png",
        "href": "https://x.example/",
        "srcset": "https://x.example/j.png 2x",
    },
    "mj-navbar": {"hamburger": "hamburger"},
    "mj-navbar-link": {"href": "https://x.example/"},
    "mj-carousel-image": {"src": "https://x.example/1.png", "href": "https://x.example/"},
}
_VALUES = {
    "color": "#123456",
    "integer": "7",
    "boolean": "true",
    "unit(px)": "47px",
    "unit(px,auto)": "47px",
    "unit(px,%)": "47px",
    "unit(px,%,auto)": "47px",
    "unit(px,%,)": "1.7",
    "unit(px,%){1,4}": "3px 5px 7px 9px",
    "unitWithNegative(px,em)": "-1px",
}
#: Of texts, by the end of the attribute's name.
_TEXTS = {
    "radius": "7px",
    "border-style": "dotted",
    "border": "3px solid #123456",
    "border-top": "3px solid #123456",
    "border-right": "3px solid #123456",
    "border-bottom": "3px solid #123456",
    "border-left": "3px solid #123456",
    "url": "https://x.example/other",
    "href": "https://x.example/other",
    "src": "https://x.example/other.png",
    "-icon": "https://x.example/icon.png",
    "srcset": "https://x.example/other.png 3x",
    "sizes": "(max-width: 600px) 100vw, 600px",
    "position-x": "left",
    "position-y": "bottom",
    "position": "left bottom",
    "background-size": "cover",
    "family": "Georgia, serif",
    "font-style": "italic",
    "font-weight": "700",
    "decoration": "underline",
    "transform": "capitalize",
    "target": "_self",
    "rel": "nofollow",
    "hamburger": "hamburger",
    "usemap": "#plan",
    "ico-open": "+",
    "ico-close": "-",
}


#: name -> what stands in the head, and in the body where not one text.
_HEADS: Mapping[str, tuple[str, str]] = {
    "plain": ("", ""),
    "mj-breakpoint": ('<mj-breakpoint width="400px" />', ""),
    "mj-font": (
        '<mj-font name="Lato" href="https://x.example/lato.css" />'
        '<mj-attributes><mj-all font-family="Lato, Arial" /></mj-attributes>',
        "",
    ),
    "mj-font that no component uses": ('<mj-font name="Lato" href="https://x.example/lato.css" />', ""),
    "mj-title": ("<mj-title>Titre</mj-title>", ""),
    "mj-preview": ("<mj-preview>Aperçu</mj-preview>", ""),
    "mj-style": ("<mj-style>.a { color: red }</mj-style>", ""),
    "mj-style inline": (
        '<mj-style inline="inline">.a { color: red; padding: 1px }</mj-style>',
        _COLUMN.format('<mj-text><p class="a">a</p></mj-text>'),
    ),
    "mj-html-attributes": (
        '<mj-html-attributes><mj-selector path=".b td"><mj-html-attribute name="data-x">1</mj-html-attribute>'
        "</mj-selector></mj-html-attributes>",
        '<mj-section css-class="b"><mj-column><mj-text>a</mj-text></mj-column></mj-section>',
    ),
    "mj-raw": ('<mj-raw><meta name="a" content="b"></mj-raw>', ""),
    "mj-raw position=file-start": ("", '<mj-raw position="file-start"><!-- a --></mj-raw>' + _COLUMN.format(_TEXT)),
    "mj-attributes": (
        '<mj-attributes><mj-all font-size="11px" /><mj-text font-size="12px" color="#111111" /></mj-attributes>',
        "",
    ),
    "mj-class": (
        '<mj-attributes><mj-text font-size="12px" css-class="d" />'
        '<mj-class name="x" font-size="14px" color="#222222" /></mj-attributes>',
        _COLUMN.format('<mj-text mj-class="x">a</mj-text>'),
    ),
    "mj-class, several": (
        '<mj-attributes><mj-class name="x" font-size="14px" css-class="cx" />'
        '<mj-class name="y" font-size="15px" css-class="cy" /></mj-attributes>',
        _COLUMN.format('<mj-text mj-class="x y">a</mj-text><mj-text mj-class="y x" css-class="own">b</mj-text>'),
    ),
    "padding with a zero that has no unit": (
        "<mj-attributes><mj-image padding='0 7px' /></mj-attributes>",
        '<mj-section padding="20px 40px 0"><mj-column padding="0 10px"><mj-image src="https://x.example/i.png" />'
        '<mj-divider padding="10px" padding-left="0" /><mj-button width="200px" inner-padding="0 9px">x</mj-button>'
        "</mj-column></mj-section>",
    ),
    "gap between coloured sections": (
        "",
        '<mj-wrapper gap="20px"><mj-section background-color="#111111"><mj-column><mj-text>a</mj-text></mj-column>'
        '</mj-section><mj-section background-color="#222222" full-width="full-width"><mj-column><mj-text>b</mj-text>'
        "</mj-column></mj-section></mj-wrapper>",
    ),
    "full-width by default": (
        '<mj-attributes><mj-section full-width="full-width" /></mj-attributes>',
        f'<mj-section full-width="false"><mj-column>{_TEXT}</mj-column></mj-section>'
        f"<mj-section><mj-column>{_TEXT}</mj-column></mj-section>",
    ),
    "unprinted by default": (
        '<mj-attributes><mj-image border-top="1px solid red" css-class="d" /><mj-class name="x" title="t" />'
        '<mj-social border="2px solid red" /><mj-all title="all" /></mj-attributes>',
        _COLUMN.format(
            '<mj-image src="https://x.example/i.png" /><mj-button href="https://x.example/" mj-class="x">a</mj-button>'
            '<mj-button href="https://x.example/">b</mj-button>'
            '<mj-social><mj-social-element src="https://x.example/i.png">c</mj-social-element></mj-social>'
        ),
    ),
}


@dataclass(frozen=True)
class Case:
    """One attribute of a component with one value."""

    component: str
    attribute: str
    value: str

    def __str__(self) -> str:
        return f"{self.component} {self.attribute}={self.value}"


def cases(component: str) -> list[Case]:
    """The attributes of a component: each value of an enumeration, one value of every other type."""
    found = []
    for attribute, kind in ATTRIBUTES[component].items():
        if kind.startswith("enum("):
            values = [value for value in kind[5:-1].split(",") if value]
        elif kind == "string":
            values = [_text(attribute)]
        else:
            values = [_VALUES[kind]]
        found += [Case(component, attribute, value) for value in values]
    found.append(Case(component, "css-class", "boite"))
    return found


def _text(attribute: str) -> str:
    ends = [end for end in _TEXTS if attribute.endswith(end)]
    return _TEXTS[max(ends, key=len)] if ends else "valeur"


def document(component: str) -> str:
    """The MJML with a component for each case, and before them once as it is."""
    parts = []
    for number, case in enumerate([None, *cases(component)]):
        attributes = dict(_WITH.get(component, {}))
        if case is not None:
            attributes[case.attribute] = case.value
        written = "".join(f' {name}="{value}"' for name, value in attributes.items())
        parts.append(f'<mj-raw><i id="case-{number}"></i></mj-raw>{BODIES[component].replace("{}", written)}')
    return f'<mjml lang="fr"><mj-head></mj-head><mj-body>{"".join(parts)}</mj-body></mjml>'


def documents() -> dict[str, str]:
    """Every document to compile, by its name: a component, or what a part of the head does."""
    found = {component: document(component) for component in BODIES}
    for name, (head, body) in _HEADS.items():
        found[name] = (
            f'<mjml lang="fr"><mj-head>{head}</mj-head><mj-body>{body or _COLUMN.format(_TEXT)}</mj-body></mjml>'
        )
    found["mjml dir"] = f'<mjml lang="fr" dir="rtl"><mj-body>{_COLUMN.format(_TEXT)}</mj-body></mjml>'
    for case in cases("mj-body"):
        attribute = f'{case.attribute}="{case.value}"'
        found[str(case)] = f'<mjml lang="fr"><mj-body {attribute}>{_COLUMN.format(_TEXT)}</mj-body></mjml>'
    return found


def keys(name: str) -> list[str]:
    """The keys of what `printed` finds in the document of this name."""
    if name not in BODIES:
        return [name]
    return [name, *([] if name in _PARTS else [f"{name} head"]), *map(str, cases(name))]


def printed(name: str, html: str, plain: str) -> dict[str, list[str]]:
    """What the HTML of a document prints.

    Under `name` a component as it is, under each case what it changes (`+ fact`, `- fact`), under `name head` what the
    head has that it lacks in `plain`, the HTML of the document "plain". Of other documents only the difference.
    """
    parts = _MARK.split(html)
    if len(parts) == 1:
        return {name: _changes(Counter(facts(html)), Counter(facts(plain)) if name != "plain" else Counter())}
    found = {int(number): Counter(facts(part)) for number, part in zip(parts[1::2], parts[2::2], strict=True)}
    head, plain_head = (Counter(facts(text.partition("<body")[0])) for text in (html, plain))
    result = {name: _lines("", found[0])}
    if name not in _PARTS:
        result[f"{name} head"] = _changes(head, plain_head)
    for number, case in enumerate(cases(name), 1):
        result[str(case)] = _changes(found[number], found[0])
    return result


def _changes(after: Counter[str], before: Counter[str]) -> list[str]:
    return _lines("+ ", after - before) + _lines("- ", before - after)


def _lines(sign: str, counted: Counter[str]) -> list[str]:
    return [f"{sign}{fact}" + (f" ×{times}" if times > 1 else "") for fact, times in sorted(counted.items())]


def facts(html: str) -> Iterator[str]:
    """The facts of a part of a document, those in conditional comments with their condition.

    The last one is the order of pictures and texts.
    """
    shown: list[str] = []
    for part in scan_html(html):
        if part.kind == "comment" and (condition := _CONDITION.fullmatch(part.text)):
            yield from (f"{condition[1]} {fact}" for fact in facts(condition[2]))
        elif part.kind == "raw" and part.name == "style":
            yield from (f"style {rule}" for rule in _rules(part.text))
        elif part.kind == "open":
            yield part.name
            if part.name == "img":
                shown.append("img")
            for attribute in part.attributes:
                name, value = attribute.name, _plain(attribute.value or "")
                if name == "style":
                    yield from (f"{part.name}{{{one}}}" for one in _declarations(value))
                elif name == "class":
                    yield from (f"{part.name}.{one}" for one in value.split())
                else:
                    yield f"{part.name}@{name}" + ("" if name == "checked" else f"={value}")
        elif part.kind == "text" and (text := _plain(part.text)):
            yield f'"{text}"'
            shown.append(f'"{text}"')
    if len(shown) > 1:
        yield f"order: {' '.join(shown)}"


def _rules(css: str) -> Iterator[str]:
    for rule in re.finditer(r"([^{}]+)\{([^{}]*)\}", css):
        selector = re.sub(r" ?([,+>]) ?", r"\1", _plain(rule[1]))
        yield from (f"{selector}{{{one}}}" for one in _declarations(_plain(rule[2])))


def _declarations(style: str) -> Iterator[str]:
    for declaration in style.split(";"):
        name, _, value = declaration.partition(":")
        if name.strip():
            value = re.sub(r" ?! ?important", " !important", value.strip())
            yield f"{name.strip()}:{re.sub(r'(?<![0-9.])0px', '0', value)}"


def _plain(text: str) -> str:
    return _RANDOM_ID.sub("ID", " ".join(unescape(text).split()))
