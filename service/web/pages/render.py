"""Markup + values -> an answer: the one place where pages are rendered, and where their headers are set."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from litestar import Request, Response
from markupsafe import Markup

from service.web.auth import preview_services_of
from service.web.pages.assets import Assets
from service.web.pages.navigation import sections
from service.web.pages.request_context import new_visitor, page_context, visitor_cookie

#: Everything from here, nothing inline, no frame around us; pictures also as data, for placeholders and charts.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " font-src 'self'; frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
#: Of a text or a whole mail; the file has the rest.
MAX_SHOWN_BYTES = 100_000
#: Not `no-referrer`: forms of such a page say `Origin: null`, and where browsers send no Fetch Metadata (plain HTTP to
#: another name than localhost) nothing would tell them from a stranger's.
_REFERRER_POLICY = "same-origin"
_MARKUP = Path(__file__).parent / "markup"


def environment(assets: Assets) -> jinja2.Environment:
    """The templates of the pages; everything is escaped, and a value that is not there is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_MARKUP),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals["asset"] = assets.url
    return made


def show(request: Request[Any, Any, Any], name: str, /, *, status: int = 200, **values: Any) -> Response[str]:
    """The page `markup/NAME` with these values, and with what each page has.

    Each page has `t` (a phrase by its key), `language`, `visit`, `sections` (the navigation), `path` (its own address
    with the query), and the macros of `parts.html` that it imports.
    """
    html = part(request, name, **values)
    workbench = preview_services_of(request)
    nonce = new_visitor(request)
    return Response(
        html,
        status_code=status,
        media_type="text/html",
        headers={
            "Content-Security-Policy": POLICY,
            "Referrer-Policy": _REFERRER_POLICY,
            "Vary": "Accept-Language, Cookie",
        },
        cookies=[visitor_cookie(workbench, nonce)] if nonce else [],
    )


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The beginning of something that may be long; `is_whole` where that is all of it."""

    text: str
    is_whole: bool


def shortened(data: bytes) -> Excerpt:
    """What a page shows of UTF-8 that may be megabytes."""
    return Excerpt(data[:MAX_SHOWN_BYTES].decode("utf-8", "replace"), len(data) <= MAX_SHOWN_BYTES)


def part(request: Request[Any, Any, Any], name: str, /, **values: Any) -> str:
    """What `markup/NAME` makes of these values: a page, or a part of one for a script to put in its place."""
    visit = page_context(request)
    markup: jinja2.Environment = request.app.state.markup
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return markup.get_template(name).render(
        t=visit.language.say,
        language=visit.language,
        visit=visit,
        sections=sections(preview_services_of(request), request.url.path),
        path=path,
        form_token=Markup('<input type="hidden" name="form_token" value="{}">').format(visit.form_token),
        **values,
    )
