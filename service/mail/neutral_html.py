"""A mail's HTML without active content: no scripts, no forms, no requests.

It is shown under a Content-Security-Policy that forbids all of that; the rewriting avoids what the policy would block
visibly: remote images become a placeholder until they are asked for, links open in a new window, scripts and refreshes
are removed.
"""

import html
import re
from collections.abc import Callable, Mapping

from service.mail.html_tokens import HtmlToken, tokens

#: A grey box that takes the size of the image it replaces; a small one where the mail gives no size.
PLACEHOLDER = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' width='24' height='24' viewBox='0 0 24 24'"
    " style='background:%23bbb'%3E%3Cpath fill='%23fff' d='M4 18l5-7 4 5 3-3 4 5z'/%3E%3C/svg%3E"
)
_LEFT_OUT = frozenset({"script", "noscript", "iframe", "object", "embed", "base", "frame", "frameset", "applet"})
_VOID = frozenset({"base", "embed", "frame"})
#: Values of `<meta http-equiv>` that are removed.
_COMMANDS = frozenset({"refresh", "content-security-policy", "set-cookie"})
_PICTURES = frozenset({"src", "srcset", "background", "poster", "href", "xlink:href", "data", "lowsrc", "dynsrc"})
_REMOTE = re.compile(r"\s*(?:https?:)?//", re.IGNORECASE)
_CSS_URL = re.compile(r"""url\(\s*+(?:['"]\s*+)?+(?:https?:)?//[^()'"]*+['"]?\s*\)""", re.IGNORECASE)
_CSS_IMPORT = re.compile(r"""@import[^;]*;?""", re.IGNORECASE)

_SCHEME = re.compile(r"\(\s*prefers-color-scheme\s*:\s*(dark|light)\s*\)", re.IGNORECASE)

Inline = Callable[[str], str | None]


def emulated(markup: str, scheme: str) -> str:
    """Return the mail as shown with a colour scheme ("light" or "dark"), whatever the browser prefers.

    Media queries for `prefers-color-scheme` become ones that always or never match.
    """
    return _SCHEME.sub(lambda found: "(min-width: 0)" if found[1].lower() == scheme else "(max-width: 0)", markup)


def has_remote_images(markup: str) -> bool:
    """Whether the mail would load remote images if they were allowed."""
    return neutralised(markup) != neutralised(markup, with_images=True)


def neutralised(markup: str, *, with_images: bool = False, inline: Inline | None = None) -> str:
    """Return the document without active content, and with placeholders for remote images."""
    rewriting = _Rewriting(with_images=with_images, inline=inline)
    return "".join(rewriting.rewritten(token) for token in tokens(markup))


class _Rewriting:
    """Rewrites tags that load something and style sheets, and leaves out active elements."""

    def __init__(self, *, with_images: bool, inline: Inline | None) -> None:
        self._with_images = with_images
        self._inline = inline
        self._within_left_out: list[str] = []

    def rewritten(self, token: HtmlToken) -> str:
        """Return the text of the next part of the document."""
        if token.kind == "open":
            return self._start_tag(token)
        if token.kind == "close":
            return self._end_tag(token.name)
        if self._within_left_out:
            return ""
        return self._neutral_css(token.text, in_sheet=True) if token.name == "style" else token.text

    def _start_tag(self, token: HtmlToken) -> str:
        tag, attributes = token.name, dict(token.attributes)
        if tag in _LEFT_OUT:
            if tag not in _VOID:
                self._within_left_out.append(tag)
            return ""
        is_left_out = (tag == "meta" and _is_refresh(attributes)) or (tag == "link" and "href" in attributes)
        if self._within_left_out or is_left_out:
            return ""
        changed = self._changed(tag, attributes)
        return token.text if changed is None else _tag(tag, changed, closed=token.text.endswith("/>"))

    def _end_tag(self, tag: str) -> str:
        if self._within_left_out:
            if tag == self._within_left_out[-1]:
                self._within_left_out.pop()
            return ""
        return "" if tag in _LEFT_OUT else f"</{tag}>"

    def _changed(self, tag: str, attrs: dict[str, str | None]) -> Mapping[str, str | None] | None:
        """Return the rewritten attributes, None if nothing changes."""
        shown: dict[str, str | None] = {}
        for name, value in attrs.items():
            if name.startswith("on") or (tag == "form" and name == "action") or name == "ping":
                continue
            if value and name == "style":
                value = self._neutral_css(value, in_sheet=False)
            elif value and name in _PICTURES and tag not in ("a", "area"):
                value = self._picture(name, value)
            shown[name] = value
        if tag in ("a", "area") and attrs.get("href"):
            shown |= {"target": "_blank", "rel": "noopener noreferrer"}
        return None if shown == attrs else shown

    def _picture(self, name: str, value: str) -> str:
        if self._inline is not None and value.lower().startswith("cid:"):
            return self._inline(value[4:]) or PLACEHOLDER
        if self._with_images:
            return value
        is_remote = _REMOTE.match(value) or (name == "srcset" and "//" in value) or value.lower().startswith("cid:")
        # A relative address would be requested from this service.
        return (
            value
            if value.lower().startswith(("data:", "#"))
            else PLACEHOLDER
            if is_remote or ":" not in value
            else value
        )

    def _neutral_css(self, css: str, *, in_sheet: bool) -> str:
        css = _CSS_IMPORT.sub("", css)
        if self._with_images:
            return css
        return _CSS_URL.sub(lambda _: f'url("{PLACEHOLDER}")' if in_sheet else "none", css)


def _is_refresh(attributes: Mapping[str, str | None]) -> bool:
    return (attributes.get("http-equiv") or "").strip().lower() in _COMMANDS


def _tag(tag: str, attrs: Mapping[str, str | None], *, closed: bool) -> str:
    written = "".join(
        f" {name}" if value is None else f' {name}="{html.escape(value)}"' for name, value in attrs.items()
    )
    return f"<{tag}{written}{' /' if closed else ''}>"
