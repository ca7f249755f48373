"""The invoice that is rendered, 12 rows and about 37 KB of HTML, and its markup for those who are compared with us.

Their markup is our compiled HTML with the tags in their language: the same bytes around the same values.
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
    """What the invoice is rendered with."""
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
    """The compiled template."""

    template: Template

    @classmethod
    def compiled(cls) -> "Invoice":
        compilation = compile_template(read_files(MAILS), KEY, limits=LIMITS)
        if compilation.template is None:
            raise Unmeasured("\n".join(map(str, compilation.findings)))
        return cls(compilation.template)

    @cached_property
    def html(self) -> str:
        """Rendered by us."""
        return self.template.render(values()).html

    @property
    def mjml(self) -> str:
        """The source, with Jinja in it and without the front matter."""
        return self.template.source.partition("\n---\n")[2]

    @property
    def jinja(self) -> str:
        """Our compiled HTML as stock Jinja has it: no escape is named, autoescape does the same everywhere."""

        def tag(found: re.Match[str]) -> str:
            body = _bare(found[2])
            return f"{{{{ {body} }}}}" if found[1] == EXPRESSION_BEGIN else f"{{% {body} %}}"

        return _TAG.sub(tag, self._compiled)

    @property
    def handlebars(self) -> str:
        """The same in Handlebars."""
        return _in_handlebars(_TAG, self._compiled)

    @property
    def mjml_in_handlebars(self) -> str:
        """The source in Handlebars, for the MJML of Node."""
        return _in_handlebars(re.compile(r"({[{%])\s*(.*?)\s*[}%]}"), self.mjml)

    @property
    def _compiled(self) -> str:
        return self.template.variants[self.template.locales[0]].programs["html"].source

    def same(self, html: str) -> bool:
        """Whether this HTML says what ours says; how a character is escaped may differ."""
        return unescape(html) == unescape(self.html)


def _bare(body: str) -> str:
    body = body.strip()
    escaped = _ESCAPED.fullmatch(body)
    return escaped[1] if escaped else body


def _in_handlebars(tags: re.Pattern[str], text: str) -> str:
    closes: list[str] = []

    def tag(found: re.Match[str]) -> str:
        body = _bare(found[2])
        if found[1] in (EXPRESSION_BEGIN, "{{"):
            return "{{" + body.removeprefix("line.") + "}}"
        word, _, rest = body.partition(" ")
        if word == "else":
            return "{{else}}"
        if word.startswith("end"):
            return closes.pop()
        name, of = ("each", rest.partition(" in ")[2]) if word == "for" else ("if", rest)
        closes.append("{{/" + name + "}}")
        return "{{#" + name + " " + of + "}}"

    return tags.sub(tag, text)
