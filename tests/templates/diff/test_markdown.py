"""The Markdown of a report says the verdict, fits into a comment, and holds nothing active of the author's."""

import re
from html.parser import HTMLParser

import cmarkgfm  # type: ignore[import-untyped]
import pytest
from cmarkgfm.cmark import Options  # type: ignore[import-untyped]
from hypothesis import given

from service.templates.diff.markdown import markdown
from service.templates.diff.markdown_text import code
from service.templates.diff.report import MailReport, Report, Side, Snapshots, TemplateReport, Words
from service.templates.diff.terminal import lines
from tests.support import reports

RUN = "https://github.com/team/mails/actions/runs/7"
#: The elements that the report itself has.
OURS = {
    "details",
    "summary",
    "h3",
    "h4",
    "ul",
    "li",
    "p",
    "strong",
    "em",
    "code",
    "table",
    "thead",
    "tbody",
    "tr",
    "th",
    "td",
}


class Page(HTMLParser):
    """The elements and links of a page, and the text that stands in no code."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.links: list[str | None] = []
        self.text: list[str] = []
        self.rows: list[int] = []
        self._in_code = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self._in_code += tag == "code"
        if tag == "a":
            self.links.append(dict(attrs)["href"])
        if tag == "tr":
            self.rows.append(0)
        if tag == "td":
            self.rows[-1] += 1

    def handle_endtag(self, tag: str) -> None:
        self._in_code -= tag == "code"

    def handle_data(self, data: str) -> None:
        if not self._in_code:
            self.text.append(data)

    def handle_comment(self, data: str) -> None:
        self.elements.add("comment")


def shown(text: str) -> Page:
    """The page that GitHub's parser makes, with raw HTML left as it is."""
    return Page(cmarkgfm.github_flavored_markdown_to_html(text, options=Options.CMARK_OPT_UNSAFE))


@given(reports.stranger_texts)
def test_markdown_has_no_markup_of_the_author_whatever_a_text_is(text: str) -> None:
    written = markdown(reports.report(text if text.strip() else "plain"), run_url=RUN)
    page = shown(written)
    assert page.elements <= {*OURS, "a"}
    assert page.links == [RUN]
    assert set(page.rows) <= {0, 3, 4}
    ours = shown(markdown(reports.report("plain"), run_url=RUN))
    assert re.sub(r"\s+", " ", "".join(page.text)) == re.sub(r"\s+", " ", "".join(ours.text))


@given(reports.stranger_texts)
def test_markdown_has_no_mention_no_url_and_no_command_where_it_is_read_as_it_was_written(text: str) -> None:
    written = markdown(reports.report(text))
    assert not re.search(r"@\w", written)
    assert not re.search(r"://|\bwww\.", written, re.IGNORECASE)
    for line in written.splitlines():
        assert not line or line.startswith(("#### ", "### ", "- ", "  - ", "| ", "|--", "Base ", "In "))
        assert line.isprintable() or "\u200b" in line


@given(reports.stranger_texts)
def test_code_is_one_span_of_at_most_its_length(text: str) -> None:
    span = code(text, 20)
    assert span == "*empty*" or re.fullmatch(r"`[^`|\n\r]+`", span)
    assert len(span.replace("\u200b", "")) <= 22


def many(number: int, text: str) -> Report:
    """A report at the bounds of its lists."""
    one = reports.report(text)
    mail = MailReport(
        locale="fr", example="default", parts=["html"], subject=Words(before=text, after=None),
        preheader=Words(before=None, after=text), size_before=1, size_after=1,
    )  # fmt: skip
    template = TemplateReport(key=text, change="changed", version_after=1, mails=[mail], mails_in_all=1)
    return one.model_copy(update={
        "templates": [template] * number,
        "contract": [*one.contract] * number,
        "findings": one.findings.model_copy(update={"new": [*one.findings.new] * number}),
        "snapshots": one.snapshots.model_copy(update={"wrong": [text] * number}),
    })  # fmt: skip


@pytest.mark.parametrize("text", ["plain", "\U0001f389" * 200, "|`@x" * 60])
@pytest.mark.parametrize("bound", [2_000, 9_000, 60_000])
def test_markdown_is_as_long_as_a_comment_may_be_when_the_report_is_long(bound: int, text: str) -> None:
    written = markdown(many(200, text), run_url=RUN, max_characters=bound)
    assert len(written.encode("utf-16-le")) // 2 <= bound
    assert "200 changes break callers" in written
    assert "200 errors are new" in written
    assert RUN in written
    page = shown(written)
    assert page.elements <= {*OURS, "a"}


def test_markdown_is_shortened_from_the_least_important_and_says_so() -> None:
    order = ["Preheaders", "Subjects", "- wrong", "- warning", "| `key", "- error", "- **breaking**"]
    report = many(200, "key")
    whole = markdown(report, max_characters=10_000_000)
    left = [len(re.findall(re.escape(one), whole)) for one in order]
    assert all(left)
    for bound in range(len(whole), 3_000, -15_000):
        written = markdown(report, max_characters=bound)
        counts = [written.count(one) for one in order]
        cut = [count < was for count, was in zip(counts, left, strict=True)]
        # What is left out begins with the first, and only the last of them is left out in part.
        assert "more" in written or not any(cut)
        assert len(written) > bound - 1_000 or not any(cut)
    assert "…and 1 more" not in markdown(reports.report(), max_characters=60_000)


def test_markdown_says_that_a_template_is_broken_and_shows_no_subject_of_it() -> None:
    whole = reports.report()
    broken = whole.templates[0].model_copy(update={"version_after": None})
    written = markdown(whole.model_copy(update={"templates": [broken]}))
    assert "| v3 → broken |" in written
    assert "**can't be compiled**" in written
    assert "#### Subjects" not in written


def test_markdown_and_terminal_tell_a_new_example_from_a_change() -> None:
    words = Words(before=None, after="Welcome")
    new = MailReport(
        locale="fr", example="long", parts=["html", "subject"], subject=words, preheader=words, size_before=None,
        size_after=9,
    )  # fmt: skip
    old = new.model_copy(update={"parts": ["html"], "size_before": 8, "subject": Words(before="W", after="W")})
    template = TemplateReport(
        key="welcome", change="changed", version_before=1, version_after=1, mails=[old, new], mails_in_all=3
    )
    side = Side(ref="main")
    made = Report(tool="t", base=side, head=side, templates=[template], snapshots=Snapshots(committed=["a"]))
    assert "| HTML 1 of 3 mails, 1 new example |" in markdown(made)
    told = list(lines(made))
    assert told[1].split("  ")[-1] == "HTML 1 of 3 examples, subject 0, 1 new example"
    # Of a working tree nothing is committed.
    assert "#### Snapshots: 1 that differ and are recorded" in markdown(made)
    assert told[-1].startswith("Snapshots: 1 differ and are recorded.")


def test_terminal_says_once_how_the_breaks_of_a_template_are_accepted() -> None:
    made = reports.report("plain")
    told = list(lines(made.model_copy(update={"contract": [made.contract[0]] * 2})))
    start = told.index("Contract: 2 breaking.")
    assert told[start + 1] == told[start + 2] == "  plain:31:3: plain [plain]"
    assert told[start + 3].endswith('To accept: a commit trailer "Breaking: plain".')
    assert sum("To accept" in line for line in told) == 1


def test_markdown_says_the_verdict_first() -> None:
    good = Report(tool="t", base=Side(ref="main", commit=reports.BASE), head=Side(ref="x", commit=reports.HEAD),
                  templates=[TemplateReport(key="a", change="same")])  # fmt: skip
    committed = good.model_copy(update={"snapshots": Snapshots(committed=["a/fr.default.html"])})
    assert "\n\n\n" not in markdown(committed)
    lines = markdown(good).splitlines()
    assert lines[0] == "### Mails: 0 of 1 change, 1 the same"
    assert lines[2] == "- **No breaking change, no new error, no snapshot that is wrong.**"
    assert lines[4] == "Base `3fa91c200000`, head `81d0e7700000`."
    bad = markdown(reports.report()).splitlines()
    assert bad[2] == "- **1 change breaks callers.**"
    assert "- The check fails: breaking." in bad


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "http://a.example/", "https://a.example/ x", "https://a.example/)[x](//b)", "//a", ""],
)
def test_markdown_has_no_link_when_the_page_of_the_run_is_no_plain_https_url(url: str) -> None:
    assert shown(markdown(reports.report(), run_url=url)).links == []
