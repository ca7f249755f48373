"""MJML to HTML by mrml, and inlining of the author's CSS by premailer; no other module imports these libraries.

Both see placeholders only, never a value. cssutils is not thread-safe and keeps its settings in the module, so its part
of compiling goes through one lock.
"""

import logging
import re
import threading
from functools import lru_cache
from typing import Any

import cssutils
from mjml import mjml2html
from premailer import Premailer
from premailer.merge_style import csstext_to_pairs

from service.templates.findings import FindingCollector
from service.templates.jinja.html_comments import comments_in_text
from service.templates.jinja.tokens import Tokens
from service.templates.mjml.cascade import is_numbered, merged, numbered, specificity
from service.templates.mjml.emit import Emitted
from service.templates.mjml.html_tree import elements, parse_html, select, write_html
from service.templates.mjml.selectors import check_selectors

_CSSUTILS = threading.Lock()
#: mrml wraps a comment between two social elements into a table of its own.
_SOCIAL = re.compile(
    r"<!--\[if mso \| IE\]><td><!\[endif\]--><table [^<>]*><tbody>((?:<!--zqj\d{5}x-->)+)</tbody></table>"
    r"<!--\[if mso \| IE\]></td><!\[endif\]-->"
)


def _load_nothing(_url: str) -> tuple[None, bytes]:
    """The fetcher of cssutils, which would otherwise open URLs and files of `@import` by itself."""
    return None, b""


@lru_cache(maxsize=256)
def _parsed_css(css: str, validate: bool) -> Any:
    """A style sheet, cached because templates share styles."""
    return cssutils.CSSParser(fetcher=_load_nothing).parseString(css, validate=validate)


class _Inliner(Premailer):  # type: ignore[misc]
    """Premailer without a way to files and to the network, and with the cascade of CSS.

    Its own switches do not bind cssutils, and its order of rules and declarations is not that of browsers.
    """

    def _parse_css_string(self, css_body: str, validate: bool = True) -> Any:
        return _parsed_css(css_body, validate)

    def _load_external(self, url: str) -> str:
        raise ValueError(f"nothing is loaded from {url}")

    def _parse_style_rules(self, css_body: str, ruleset_index: int) -> tuple[list[Any], list[Any]]:
        rules, leftover = super()._parse_style_rules(css_body, ruleset_index)
        return [self._as_in_the_cascade(*rule) for rule in rules], leftover

    @staticmethod
    def _as_in_the_cascade(order: tuple[int, ...], selector: str, declarations: str) -> tuple[Any, str, str]:
        important, *_, sheet, number = order
        return (important, *specificity(selector), sheet, number), selector, numbered(declarations, f"{sheet}n{number}")


def mjml_to_html(mjml: str) -> str:
    """Compile canonical MJML with mrml. Raises ValueError if mrml refuses it (its message has no line)."""
    html = str(mjml2html(mjml, fonts={}))
    return comments_in_text(_SOCIAL.sub(r"\1", html))


def inline_css(html: str, emitted: Emitted, tokens: Tokens, collector: FindingCollector) -> str:
    """Inline the author's CSS into `style` attributes, and set the attributes of mj-html-attributes.

    Raises ValueError for an invalid selector, CompileAborted for a rule that depends on a rendering; reported.
    """
    root = parse_html(html)
    check_selectors(root, emitted.inline_css, tokens, collector)
    for attribute in emitted.html_attributes:
        for element in select(root, attribute.selector):
            element.set(attribute.name, attribute.value)
    with _CSSUTILS:
        cssutils.log.setLevel(logging.CRITICAL + 1)
        cssutils.ser.prefs.minimizeColorHash = False
        # Judging values costs most of a first compilation (0.2 s for its expressions), and nothing reads the verdict.
        cssutils.profile.removeProfile(all=True)
        _Inliner(
            root,
            css_text=[style.css for style in emitted.inline_css] or None,
            keep_style_tags=False,
            strip_important=False,
            remove_classes=False,
            allow_network=False,
            disable_validation=True,
            disable_leftover_css=False,
            disable_basic_attributes=["width", "height", "align", "valign", "bgcolor"],
            align_floating_images=False,
            include_star_selectors=True,
        ).transform()
        for element in elements(root):
            style = element.get("style")
            if style and is_numbered(style):
                element.set("style", merged(csstext_to_pairs(style, validate=False)))
    return write_html(root).replace(' data-premailer="ignore"', "")
