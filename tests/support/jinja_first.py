"""The other order, to compare with: Jinja renders the source first, and what mail programs see of the result."""

import re

from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from lxml import etree

JINJA_FIRST = ImmutableSandboxedEnvironment(autoescape=True, undefined=StrictUndefined)


def as_a_mail_program_sees(html: str) -> list[object]:
    """Elements, attributes and texts of `html`, without the white space between them or in styles."""
    html = re.sub(r"<!\[endif\]-->\s*<!--\[if mso \| IE\]>", "", html)
    seen: list[object] = []
    for node in etree.fromstring(html, etree.HTMLParser()).iter():
        if node.tag is etree.Comment:
            seen.append(("comment", _spaces(str(node.text or ""))))
        elif node.tag == "style" and "mj-full-width-mobile" in (node.text or ""):
            # mrml prints this block where any picture may be shown, Jinja first only where one is.
            continue
        else:
            attributes = sorted(
                (str(name), _style(str(value)) if name == "style" else _spaces(str(value)))
                for name, value in node.attrib.items()
            )
            seen.append((node.tag, attributes, _spaces(node.text).strip()))
        seen.append(_spaces(node.tail).strip())
    return [one for one in seen if one]


def _spaces(text: str | None) -> str:
    return re.sub(r"[ \t\n]+", " ", text or "")


def _style(value: str) -> str:
    return ";".join(part.strip().replace(": ", ":").replace(", ", ",") for part in value.split(";") if part.strip())
