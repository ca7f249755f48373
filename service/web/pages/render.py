"""Render the pages and set their headers."""

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

#: Only our own resources, nothing inline, no framing; images may be data: URLs, for placeholders and charts.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " font-src 'self'; frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
#: Bytes of a text or mail that a page shows; the download has the rest.
MAX_SHOWN_BYTES = 100_000
#: Not `no-referrer`: a form on such a page sends `Origin: null`, and without Fetch Metadata (plain HTTP to a host other
#: than localhost) it could not be told from a form of another site.
_REFERRER_POLICY = "same-origin"
_MARKUP = Path(__file__).parent / "markup"


def environment(assets: Assets) -> jinja2.Environment:
    """Return the Jinja environment of the pages: it escapes everything, and a missing value is an error."""
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
    """Return the page `markup/NAME`, rendered with these values and those that every page has.

    Each page has `t` (a phrase by its key), `language`, `context`, `sections` (the navigation), `path` (its own address
    with the query), and the macros of `parts.html` that it imports.
    """
    html = part(request, name, **values)
    preview_services = preview_services_of(request)
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
        cookies=[visitor_cookie(preview_services, nonce)] if nonce else [],
    )


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The beginning of a text that may be long; `is_whole` if that is all of it."""

    text: str
    is_whole: bool


def shortened(data: bytes) -> Excerpt:
    """Return the first MAX_SHOWN_BYTES of a UTF-8 text."""
    return Excerpt(data[:MAX_SHOWN_BYTES].decode("utf-8", "replace"), len(data) <= MAX_SHOWN_BYTES)


def part(request: Request[Any, Any, Any], name: str, /, **values: Any) -> str:
    """Render `markup/NAME` with these values: a page, or a part that a script inserts."""
    context = page_context(request)
    caller = context.caller or (context.session.caller if context.session else None)
    markup: jinja2.Environment = request.app.state.markup
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return markup.get_template(name).render(
        t=context.language.say,
        language=context.language,
        context=context,
        sections=sections(request.app.state.sections, request.url.path, caller),
        path=path,
        form_token=Markup('<input type="hidden" name="form_token" value="{}">').format(context.form_token),
        **values,
    )
