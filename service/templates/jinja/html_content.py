"""HTML inside mj-text, mj-table, mj-button and mj-raw: checked along each branch, and written in a form for mrml."""

import re

from service.templates.findings import CompileAborted, FindingCollector
from service.templates.jinja.block_balance import BlockBalance, check_balance
from service.templates.jinja.composites import composite, composite_css
from service.templates.jinja.escape_contexts import URL_ATTRIBUTES
from service.templates.jinja.html_scanner import VOID, HtmlToken, scan_html
from service.templates.jinja.tokens import PLACEHOLDER, Token, Tokens
from service.templates.mjml.css import check_css
from service.templates.mjml.html_elements import check_element
from service.templates.mjml.parse import Slice, refuse_level

_BLANKS = re.compile(r"\s+")
_NEVER_ENDS = re.compile(r"<(?=[A-Za-z/!?])")
_OWN_COMMENT = re.compile(r"<!--\s*\[if|<!--\s*<!\[endif\]|<!--\[endif")


class _Balance:
    """Checks HTML elements and Jinja blocks together: each branch must close the elements that it opens."""

    def __init__(self, content: Slice, collector: FindingCollector) -> None:
        self._content = content
        self._collector = collector
        self._elements: list[tuple[str, int]] = []
        self._blocks = BlockBalance[tuple[str, ...]]("this element", collector)

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self._elements)

    def tag(self, part: HtmlToken) -> None:
        if part.name in VOID:
            return
        if part.kind == "open":
            if not part.closes_itself:
                refuse_level(len(self._elements), self._content.place(part.start), self._collector)
                self._elements.append((part.name, part.start))
            return
        last = self._elements[-1][0] if self._elements else None
        if last != part.name:
            self._collector.error(
                self._content.place(part.start),
                "unbalanced-html",
                f"</{part.name}> does not close " + (f"<{last}>" if last else "anything"),
                f"<{last}> was opened at {self._place(self._elements[-1][1])}" if last else "delete it",
            )
            raise CompileAborted
        block = self._blocks.innermost
        if block is not None and len(self._elements) <= len(block.state):
            self._collector.error(
                self._content.place(part.start),
                "unbalanced-html",
                f"</{part.name}> closes an element that was opened outside of {block.token}",
                "close it in the part that opens it: on another branch it would stay open or be closed twice",
            )
            raise CompileAborted
        self._elements.pop()

    def block(self, token: Token) -> None:
        block = self._blocks.add(token, self._names)
        if block is not None:
            name, start = self._elements[-1]  # no branch closes what was open before it, so one is left
            self._collector.error(
                self._content.place(start),
                "unbalanced-html",
                f"<{name}> is still open at {token}",
                f"close it before line {token.place.line}, or open it outside of {block.token}",
            )
            raise CompileAborted

    def finish(self) -> None:
        self._blocks.finish()
        if self._elements:
            name, start = self._elements[-1]
            self._collector.error(
                self._content.place(start), "unbalanced-html", f"<{name}> is never closed", f"add </{name}>"
            )
            raise CompileAborted

    def _place(self, start: int) -> str:
        place = self._content.place(start)
        return f"{place.line}:{place.column}"


def check_html(content: Slice, tokens: Tokens, collector: FindingCollector) -> None:
    """Check that elements balance on each branch and that Jinja stands only where it can.

    Raises CompileAborted after a report.
    """
    balance = _Balance(content, collector)
    comments = _Comments(content, tokens, collector)
    for part in scan_html(content.text):
        if part.kind == "text":
            if stray := _NEVER_ENDS.search(part.text):
                collector.error(
                    content.place(part.start + stray.start()),
                    "malformed-tag",
                    "this tag or comment never ends",
                    'close it with ">" or "-->"; a bare "<" is written &lt;',
                )
                raise CompileAborted
            for token in tokens.within(part.text):
                if token.kind == "control":
                    balance.block(token)
        elif part.kind == "comment":
            comments.check(part)
        elif part.kind == "declaration":
            collector.error(
                content.place(part.start),
                "conditional-comment",
                f"the HTML parser would destroy {part.text[:20]}",
                "write <!--[if !mso]><!--> … <!--<![endif]-->",
            )
            raise CompileAborted
        elif part.kind == "raw":
            _check_raw(part, content, tokens, collector)
        else:
            _check_tag(part, content, tokens, collector)
            balance.tag(part)
    balance.finish()


class _Comments:
    """Checks comments. mrml reads the elements in conditional ones, which one may open and another may close."""

    def __init__(self, content: Slice, tokens: Tokens, collector: FindingCollector) -> None:
        self._content = content
        self._tokens = tokens
        self._collector = collector
        self._level = 0

    def check(self, part: HtmlToken) -> None:
        found = self._tokens.within(part.text)
        if found and not part.text.startswith("<!--[if"):
            self._collector.error(
                found[0].place,
                "jinja-in-comment",
                "Jinja in an HTML comment is never shown",
                "delete it, or comment it out with {# … #}",
            )
            raise CompileAborted
        if not _OWN_COMMENT.match(part.text):
            return
        check_balance(found, "the conditional comment", self._collector)
        inside = Slice(part.text[4:-3], self._content.mapped, self._content.start + part.start + 4)
        for inner in scan_html(inside.text):
            if inner.kind == "open":
                if found:
                    _check_tag(inner, inside, self._tokens, self._collector)
                else:
                    check_element(inner, inside, self._collector)
                if inner.name not in VOID and not inner.closes_itself:
                    refuse_level(self._level, inside.place(inner.start), self._collector)
                    self._level += 1
            elif inner.kind == "close":
                self._level = max(self._level - 1, 0)


def _check_raw(part: HtmlToken, content: Slice, tokens: Tokens, collector: FindingCollector) -> None:
    found = tokens.within(part.text)
    if part.name == "style":
        check_css(Slice(part.text, content.mapped, content.start + part.start), collector)
    if found and part.name == "script":
        collector.error(
            found[0].place, "jinja-in-script", "Jinja in a script can't be made safe", "mail has no scripts: delete it"
        )
        raise CompileAborted
    check_balance(found, f"<{part.name}>", collector)


def _check_tag(part: HtmlToken, content: Slice, tokens: Tokens, collector: FindingCollector) -> None:
    if found := PLACEHOLDER.search(part.name):
        raise_in_tag(tokens[int(found[1])], collector)
    bare = re.sub(r"\"[^\"]*\"|'[^']*'", "", part.text)
    unquoted = [one for one in part.attributes if one.value and content.text[one.value_start - 1] not in "\"'"]
    for one in unquoted:
        if PLACEHOLDER.search(one.value or ""):
            collector.error(
                content.place(one.start),
                "unquoted-value",
                f'the value of "{one.name}" must be quoted',
                f'write {one.name}="…"',
            )
            raise CompileAborted
    if found := PLACEHOLDER.search(bare):
        raise_in_tag(tokens[int(found[1])], collector)
    check_element(part, content, collector)
    seen: set[str] = set()
    for one in part.attributes:
        name = one.name.lower()
        if name in seen:
            collector.error(
                content.place(one.start), "duplicate-attribute", f'"{one.name}" is given twice', "delete one"
            )
        seen.add(name)
        if name.startswith("on") and (token := tokens.first(one.value or "")):
            collector.error(
                token.place, "jinja-in-script", f'Jinja in "{one.name}" can\'t be made safe', "mail has no scripts"
            )
            raise CompileAborted


def raise_in_tag(token: Token, collector: FindingCollector) -> None:
    """Report Jinja in a tag outside of the attributes' values, and raise CompileAborted."""
    collector.error(
        token.place,
        "jinja-in-tag",
        "Jinja can't stand in place of an attribute or of a tag's name",
        'put it inside the value: name="{{ … }}"',
    )
    raise CompileAborted


def canonical_html(content: Slice, tokens: Tokens, collector: FindingCollector) -> str:
    """Write HTML for mrml: lower-case tags, quoted and escaped attributes, composites, no plain comments."""
    out: list[str] = []
    for part in scan_html(content.text):
        if part.kind == "text":
            out.append(part.text.replace("<", "&lt;"))
        elif part.kind == "comment":
            if _OWN_COMMENT.match(part.text):
                out.append(part.text)
        elif part.kind == "raw":
            out.append(part.text)
        elif part.kind == "close":
            out.append("" if part.name in VOID else f"</{part.name}>")
        elif part.kind == "open":
            out.append(_canonical_tag(part, content, tokens, collector))
    return "".join(out)


def _canonical_tag(part: HtmlToken, content: Slice, tokens: Tokens, collector: FindingCollector) -> str:
    out = [f"<{part.name}"]
    for one in part.attributes:
        value = one.name if one.value is None else one.value
        value = value.strip() if one.name.lower() in URL_ATTRIBUTES else value
        place = content.place(one.value_start)
        if one.name.lower() == "style":
            value = composite_css(value, place, tokens, collector)
        else:
            value = composite(value, place, tokens, collector, f'the value of "{one.name}"')
        out.append(f' {one.name.lower()}="{escape_attribute(value)}"')
    if part.name in VOID:
        out.append(" />")
    else:
        out.append(f"></{part.name}>" if part.closes_itself else ">")
    return "".join(out)


def escape_attribute(value: str) -> str:
    """Escape an attribute's value so that mrml 6, which writes values in Rust's debug format, prints it unchanged."""
    value = _BLANKS.sub(lambda blanks: " " if "\n" in blanks[0] else blanks[0], value).replace("\t", " ")
    value = value.replace('"', "&quot;").replace("\\", "&#92;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"[^\x20-\x7e]", lambda found: f"&#{ord(found[0])};", value)
