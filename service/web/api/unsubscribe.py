"""GET, POST /unsubscribe/{token}: the unsubscribe page, and one-click unsubscribe (RFC 8058).

The page is self-contained: no script, no image, no further request. The signed link alone identifies the recipient, and
the page does not show the address.
"""

import base64
import hashlib
from html import escape
from typing import Literal

from litestar import Controller, Response, get, post
from litestar.params import FromPath

from service.errors import NotFound
from service.recipients.unsubscribe import Unsubscriber
from service.web.dependencies import AnyRequest, Provided

Language = Literal["fr", "en"]
State = Literal["subscribed", "unsubscribed", "done", "unknown"]

_STYLE = """
:root{color-scheme:light dark}
body{margin:0;background:#ebeee9;color:#16231c;font:17px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{box-sizing:border-box;max-width:34rem;margin:12vh auto 0;padding:2.25rem;background:#fff;border-radius:14px}
h1{margin:0 0 .75rem;font-size:1.5rem;line-height:1.25}
p{margin:0 0 1rem}
p:last-child{margin:0}
small{color:#5a6a61}
button{min-height:3rem;padding:.7rem 1.4rem;border:0;border-radius:9px;background:#00613f;color:#fff;font:inherit;
font-weight:600;cursor:pointer}
button:hover{background:#004a30}
button:focus-visible{outline:3px solid #f2b632;outline-offset:3px}
@media(max-width:38rem){main{margin:0;min-height:100vh;border-radius:0;padding:1.5rem}}
@media(prefers-color-scheme:dark){body{background:#101613;color:#e7ede9}main{background:#1a231e}small{color:#9dada4}}
"""

_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Robots-Tag": "noindex, nofollow",
    "Vary": "Accept-Language",
}

#: Heading and text of each page.
_TEXTS: dict[Language, dict[State, tuple[str, str]]] = {
    "fr": {
        "subscribed": (
            "Ne plus recevoir nos messages commerciaux ?",
            "Un clic suffit. Vous recevrez toujours les messages sur vos services (factures, incidents, assistance).",
        ),
        "unsubscribed": (
            "Désinscription enregistrée",
            "Nous n’envoyons plus de messages commerciaux à cette adresse. Vous pouvez fermer cette page.",
        ),
        "done": (
            "C’est fait",
            "Nous n’enverrons plus de messages commerciaux à cette adresse. Vous pouvez fermer cette page.",
        ),
        "unknown": (
            "Ce lien est incomplet",
            "Ouvrez-le à nouveau depuis le message, ou copiez-le en entier.",
        ),
    },
    "en": {
        "subscribed": (
            "Stop our marketing messages?",
            "One click is enough. You will still get messages about your services (invoices, incidents, support).",
        ),
        "unsubscribed": (
            "You are unsubscribed",
            "We no longer send marketing messages to this address. You can close this page.",
        ),
        "done": (
            "Done",
            "We will no longer send marketing messages to this address. You can close this page.",
        ),
        "unknown": (
            "This link is incomplete",
            "Open it again from the message, or copy all of it.",
        ),
    },
}
_BUTTON: dict[Language, str] = {"fr": "Me désinscrire", "en": "Unsubscribe"}


class UnsubscribeController(Controller):
    """The unsubscribe page; open, as the signed token authorises."""

    path = "/unsubscribe"

    @get("/{token:str}", opt={"open": True}, sync_to_thread=True, media_type="text/html")
    def show(self, request: AnyRequest, token: FromPath[str], unsubscriber: Provided[Unsubscriber]) -> Response[str]:
        """Show the unsubscribe page behind the link in marketing mail (`List-Unsubscribe`), in French or English.

        It changes nothing, since mail scanners open links.
        """
        try:
            state: State = unsubscriber.state(token)
        except NotFound:
            state = "unknown"
        return _page(request, state)

    @post("/{token:str}", opt={"open": True}, status_code=200, sync_to_thread=True, media_type="text/html")
    def unsubscribe(
        self, request: AnyRequest, token: FromPath[str], unsubscriber: Provided[Unsubscriber]
    ) -> Response[str]:
        """Unsubscribe this recipient from marketing mail: the page's button, and one-click (RFC 8058).

        The body is `List-Unsubscribe=One-Click` as a form. The token alone decides, without cookie or redirect (RFC
        8058, 3.2). Repeating it changes nothing more.
        """
        try:
            unsubscriber.unsubscribe(token)
        except NotFound:
            return _page(request, "unknown")
        return _page(request, "done")


def _page(request: AnyRequest, state: State) -> Response[str]:
    language = language_of(request.headers.get("accept-language", ""))
    heading, text = (escape(part) for part in _TEXTS[language][state])
    form = (
        '<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">'
        f"<button>{escape(_BUTTON[language])}</button></form>"
        if state == "subscribed"
        else ""
    )
    html = (
        f'<!doctype html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{heading}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body><main><h1>{heading}</h1><p>{text}</p>{form}</main></body>\n</html>\n"
    )
    status = 404 if state == "unknown" else 200
    return Response(html, status_code=status, media_type="text/html; charset=utf-8", headers=_HEADERS)


def language_of(accept_language: str) -> Language:
    """Return the preferred one of our two languages (RFC 9110, 12.5.4); French if neither is asked for."""
    wishes: dict[str, float] = {}
    for part in accept_language[:500].split(","):
        name, _, parameter = part.strip().partition(";")
        weight = parameter.strip().removeprefix("q=") or "1"
        if name.partition("-")[0].lower() in ("fr", "en"):
            value = float(weight) if weight.replace(".", "", 1).isdecimal() and weight.isascii() else 0.0
            wishes[name.partition("-")[0].lower()] = max(wishes.get(name.partition("-")[0].lower(), 0.0), value)
    return "en" if wishes.get("en", 0.0) > wishes.get("fr", 0.0) else "fr"
