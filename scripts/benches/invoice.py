"""The invoice that the benches render, 12 rows and about 37 KB of HTML, and its markup for each peer.

A peer's markup is our compiled HTML with the tags in its language: the same bytes around the same values.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from html import unescape
from pathlib import Path
from typing import Any

from benches.report import Unmeasured
from service.templates.compiler import compile_template
from service.templates.jinja.restore import BLOCK_BEGIN, BLOCK_END, EXPRESSION_BEGIN, EXPRESSION_END
from service.templates.runtime.sandbox import RenderLimits
from service.templates.source.files import read_files
from service.templates.template import Template

MAILS = Path(__file__).resolve().parent / "mails"
KEY = "invoice_12_rows"
LIMITS = RenderLimits(max_output_bytes=2_000_000, max_steps=100_000)
ROWS = 12
_TAG = re.compile(
    f"({re.escape(EXPRESSION_BEGIN)}|{re.escape(BLOCK_BEGIN)})(.*?)(?:{re.escape(EXPRESSION_END)}|{re.escape(BLOCK_END)})",
    re.S,
)
_ESCAPED = re.compile(r"\((.*)\)\|_\w+", re.S)


def values() -> dict[str, Any]:
    """The variables that the invoice is rendered with."""
    return {
        "company": "Tech Connect & Fils SA",
        "number": "INV-2026-0001",
        "month": "février",
        "year": 2026,
        "due": "15 mars 2026",
        "total": "1 450 000 FCFA",
        "paid": False,
        "link_portal": "https://portal.example/invoices/latest",
        "lines": [_line(number) for number in range(1, ROWS + 1)],
    }


def _line(number: int) -> dict[str, Any]:
    return {
        "code": f"FTTH-{100 + number}",
        "label": f"Accès fibre {number}00 Mbit/s <symétrique>",
        "period": "1er au 28 février",
        "quantity": number,
        "price": f"{number * 5} 000",
        "amount": f"{number * number * 5} 000",
        "state": "facturé" if number % 3 else "avoir",
        "color": "#00613f" if number % 3 else "#b3141d",
        "link": f"https://portal.example/lines/{number}",
    }


@dataclass(frozen=True)
class Invoice:
    """The compiled template, and its markup in other languages."""

    template: Template

    @classmethod
    def compiled(cls) -> "Invoice":
        """Compile the template. Raises Unmeasured with its findings where it does not compile."""
        compilation = compile_template(read_files(MAILS), KEY, limits=LIMITS)
        if compilation.template is None:
            raise Unmeasured("\n".join(map(str, compilation.findings)))
        return cls(compilation.template)

    @cached_property
    def html(self) -> str:
        """The HTML part as the service renders it."""
        return self.template.render(values()).html

    @property
    def mjml(self) -> str:
        """The MJML source with its Jinja tags, without the front matter."""
        return self.template.source.partition("\n---\n")[2]

    @property
    def jinja(self) -> str:
        """Our compiled HTML for stock Jinja: without our escape filters, because autoescape is on."""

        def tag(found: re.Match[str]) -> str:
            body = _bare(found[2])
            return f"{{{{ {body} }}}}" if found[1] == EXPRESSION_BEGIN else f"{{% {body} %}}"

        return _TAG.sub(tag, self._compiled)

    @property
    def handlebars(self) -> str:
        """Our compiled HTML for Handlebars."""
        return _in_handlebars(_TAG, self._compiled)

    @property
    def mjml_in_handlebars(self) -> str:
        """The MJML source with Handlebars tags, for npm mjml."""
        return _in_handlebars(re.compile(r"({[{%])\s*(.*?)\s*[}%]}"), self.mjml)

    @property
    def _compiled(self) -> str:
        return self.template.variants[self.template.locales[0]].programs["html"].source

    def is_same(self, html: str) -> bool:
        """True for the HTML that we render, however its characters are escaped."""
        return unescape(html) == unescape(self.html)


def _bare(body: str) -> str:
    body = body.strip()
    escaped = _ESCAPED.fullmatch(body)
    return escaped[1] if escaped else body


def _in_handlebars(tags: re.Pattern[str], text: str) -> str:
    closing_tags: list[str] = []

    def tag(found: re.Match[str]) -> str:
        body = _bare(found[2])
        if found[1] in (EXPRESSION_BEGIN, "{{"):
            return "{{" + body.removeprefix("line.") + "}}"
        word, _, rest = body.partition(" ")
        if word == "else":
            return "{{else}}"
        if word.startswith("end"):
            return closing_tags.pop()
        name, argument = ("each", rest.partition(" in ")[2]) if word == "for" else ("if", rest)
        closing_tags.append("{{/" + name + "}}")
        return "{{#" + name + " " + argument + "}}"

    return tags.sub(tag, text)
