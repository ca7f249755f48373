"""A mail's HTML as a sandboxed document for an iframe: untrusted markup without scripts, forms or requests.

Safety comes from the Content-Security-Policy: no script, no form, no request, an opaque origin. (`srcdoc` would inherit
the page's policy, under which a mail's styles do not work.)
"""

from litestar import Response

from service.mail.neutral_html import Inline, neutralised

#: `{images}` is the list of allowed image sources.
_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline';"
    " img-src {images}; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
)


def framed(markup: str, *, with_images: bool = False, inline: Inline | None = None) -> Response[str]:
    """Return the response for a frame. `inline` maps a Content-ID to a data: URL (RFC 2392)."""
    policy = _POLICY.format(images="data: https: http:" if with_images else "data:")
    return Response(
        neutralised(markup, with_images=with_images, inline=inline),
        media_type="text/html",
        headers={"Content-Security-Policy": policy, "X-Frame-Options": "SAMEORIGIN"},
    )
