"""Placeholders in the text of HTML as comments, for parsers that would move text."""

from service.templates.jinja.html_scanner import scan_html
from service.templates.jinja.tokens import PLACEHOLDER


def comments_in_text(html: str) -> str:
    """Turn placeholders in text into comments, which lxml does not move, and mark styles that premailer must keep."""
    out: list[str] = []
    for part in scan_html(html):
        if part.kind == "text":
            out.append(PLACEHOLDER.sub(r"<!--\g<0>-->", part.text))
        elif part.kind == "open" and part.name == "style":
            out.append('<style data-premailer="ignore"' + part.text[6:])
        else:
            out.append(part.text)
    return "".join(out)
