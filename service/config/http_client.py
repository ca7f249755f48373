"""HTTP openers for requests that carry a token: they follow no redirect, and use no proxy for this machine."""

import ssl
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from typing_extensions import override

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def may_carry_token(url: str) -> bool:
    """Whether a token may be sent to this URL: over https, or over http to this machine. Raises ValueError."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)


def opener_for(request: urllib.request.Request, context: Callable[[], ssl.SSLContext]) -> urllib.request.OpenerDirector:
    """Build the opener of a request whose URL `may_carry_token`; `context` makes what verifies its server."""
    if request.type == "http":
        return urllib.request.build_opener(_NoRedirect(), urllib.request.ProxyHandler({}))
    return urllib.request.build_opener(_NoRedirect(), urllib.request.HTTPSHandler(context=context()))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    @override
    def redirect_request(self, *_: Any) -> None:
        return None
