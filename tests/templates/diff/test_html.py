"""report.html: it says first what matters, holds a stranger's texts, and asks for nothing."""

import re
from dataclasses import replace

import pytest

from service.mail.html_tokens import tokens, unescape
from service.templates.diff.album import VIEWS, Album, Band, Picture, Pictures
from service.templates.diff.comparison import Comparison
from service.templates.diff.html import report_html
from service.templates.diff.report import ContractReport, Replayed, Report, ServiceReplay, Side, TemplateReport
from service.templates.mails import Mail
from tests.support.mail_diffs import comparison, page
from tests.support.reports import report

HOSTILE = "\"'><script>alert(1)</script><img src=https://x.example onerror=alert(1)>{{ 7*7 }}</style>\x00\u202e"
PAIR = (page("<p>One word</p>"), page("<p>Two words</p>"))


def album(*mails: Mail) -> Album:
    picture, old = Picture("data:image/webp;base64,AA", 600, 90), Picture("data:image/webp;base64,BB", 600, 36)
    found = Pictures(picture, old, [Band((10, 30), (10, 30), 4, 80)])
    return {(mail, view): found for mail in mails for view in VIEWS}


def words_of(html: str) -> str:
    body = html[html.index("<body>") :]
    return " ".join(unescape(" ".join(one.text for one in tokens(body) if one.kind == "text")).split())


@pytest.mark.parametrize("has_album", [True, False])
def test_report_holds_hostile_texts_as_text(has_album: bool) -> None:
    mails = {"default": (page(HOSTILE), page(f"{HOSTILE}<base href='https://x.example'><p>!"))}
    made = comparison(mails, report=report(HOSTILE), subjects=(HOSTILE, f"{HOSTILE}!"))
    html = report_html(made, album(made.templates[0].mails[0].mail) if has_album else None)
    assert "49" not in re.findall(r"\b49\b", words_of(html))
    for one in tokens(html):
        assert one.name not in ("script", "img", "base", "form", "object", "link")
        for name, value in one.attributes:
            assert not name.startswith("on"), one.text
            if name in ("href", "src"):
                assert (value or "").startswith(("#", "data:image/")), one.text
            if one.name == "iframe":
                assert name in ("sandbox", "title", "style", "srcdoc")
                assert name != "srcdoc" or not {"script", "base"} & {inner.name for inner in tokens(value or "")}
    assert html.count("<iframe sandbox title=") == (0 if has_album else 4)
    assert "default-src 'none'; img-src data:" in html


def test_report_says_first_what_breaks() -> None:
    html = report_html(comparison({"default": PAIR}, report=report("plain")), None)
    said = words_of(html)
    order = [
        "1 of 2 templates changes, 1 stays the same.",
        "1 change would break callers",
        "The running service would refuse 24 requests",
        "1 new error",
        "1 mail can’t be rendered.",
        "3 snapshots to update",
        "Gmail clips 1 mail",
        "The check fails because of: breaking.",
        "Templates that change",
        "What a reader sees, in words",
        "What callers must send",
        "Findings and snapshots",
    ]
    places = [said.find(sentence) for sentence in order]
    assert -1 not in places, order[places.index(-1)]
    assert places == sorted(places)


def test_report_says_that_nothing_changes_when_nothing_does() -> None:
    side = Side(ref="main")
    templates = [TemplateReport(key="a", change="same")]
    made = Comparison(Report(tool="t", base=side, head=side, templates=templates), (), comparison({}).head)
    said = words_of(report_html(made, {}))
    assert "No mail changes. Callers need not change anything." in said
    assert "What callers must send" not in said


def test_report_marks_words_and_tells_how_many_mails_have_them() -> None:
    made = comparison(dict.fromkeys(("a", "b", "c"), PAIR), subjects=("Your bill", "Your invoice"))
    html = report_html(made, None)
    assert "Your <del>bill</del><ins>invoice</ins>" in html
    assert "<del>One word</del>" in html or "<del>One</del>" in html
    assert "3 mails: hello" in words_of(html)
    assert html.count("Version: <del>1</del><ins>2</ins>") == 3


def test_report_opens_one_of_the_mails_that_change_alike() -> None:
    other = (page("<p>One word</p><p>Old</p>"), page("<p>Two words</p><p>New</p>"))
    made = comparison({"a": PAIR, "b": PAIR, "c": other})
    html = report_html(made, album(*(one.mail for one in made.templates[0].mails)))
    opened = [article.count("<details open") for article in html.split("<article")[1:]]
    assert opened == [2, 0, 2]
    assert html.count('The same words change as in <a href="#m1">') == 1


def test_report_tells_accepted_and_safe_changes_apart() -> None:
    def change(code: str, *, is_breaking: bool, is_accepted: bool = False) -> ContractReport:
        return ContractReport(
            key="hello", code=code, is_breaking=is_breaking, is_accepted=is_accepted, file="f", line=1, column=1,
            message=f"about {code}",
        )  # fmt: skip

    made = comparison({"default": PAIR})
    contract = [change("one", is_breaking=True, is_accepted=True), change("two", is_breaking=False)]
    replay = ServiceReplay(
        environment="production", days=30, templates=[Replayed(key="hello", replayed=4031, refused=0)]
    )
    told = made.report.model_copy(update={"contract": contract, "replay": replay})
    said = words_of(report_html(Comparison(told, made.templates, made.head), None))
    assert "1 change for callers, which are accepted." in said
    assert "Breaks callers, accepted: about one" in said
    assert "Safe: about two" in said
    assert "Breaking: hello" not in said
    assert "The running service would accept all of the last 4,031 sends." in said


@pytest.mark.parametrize(
    ("sides", "said"),
    [
        ((None, PAIR[1]), "There was no such mail."),
        ((PAIR[0], None), "There is no such mail any more."),
    ],
)
def test_report_says_which_side_has_no_such_mail(sides: tuple[str | None, str | None], said: str) -> None:
    assert said in words_of(report_html(comparison({"default": sides}), None))


def test_report_holds_each_picture_once() -> None:
    names = [f"e{number}" for number in range(20)]
    made = comparison(dict.fromkeys(names, PAIR))
    html = report_html(made, album(*(one.mail for one in made.templates[0].mails)))
    assert html.count("data:image/webp;base64,AA") == 1
    assert html.count('href="#p1"') >= 20 * len(VIEWS)


@pytest.mark.parametrize(("has_album", "shown"), [(True, 200), (False, 60)])
def test_report_shows_a_bounded_number_of_mails(has_album: bool, shown: int) -> None:
    made = comparison({f"e{number}": PAIR for number in range(210)})
    html = report_html(made, album(*(one.mail for one in made.templates[0].mails)) if has_album else None)
    assert html.count("this one is not shown") == 210 - shown
    assert html.count("Example “e") == 210
    assert len(html) < 2_500_000


def test_report_tells_why_there_is_no_picture() -> None:
    made = comparison({"default": PAIR})
    mail = made.templates[0].mails[0].mail
    html = report_html(made, {(mail, view): Pictures(failure="it took longer than 30 s") for view in VIEWS})
    assert "it took longer than 30 s" in html


def test_report_says_and_opens_what_changes_in_the_dark_alone() -> None:
    made = comparison({"a": PAIR, "b": PAIR})
    pictures = album(*(one.mail for one in made.templates[0].mails))
    darker = replace(pictures[Mail("hello", "en", "b"), VIEWS[2]], bands=[Band((60, 70), (60, 70), 4, 80)])
    html = report_html(made, {**pictures, (Mail("hello", "en", "b"), VIEWS[2]): darker})
    assert "In dark mode something changes that does not in light mode: hello" in words_of(html)
    assert re.findall(r"<summary>(600 px, dark.*?)</summary>", html) == [
        "600 px, dark",
        "600 px, dark: something changes that does not in light mode",
    ]
    opened = [article.count("<details open") for article in html.split("<article")[1:]]
    assert opened == [2, 3]
    assert "In dark mode" not in words_of(report_html(made, pictures))


def test_report_tells_a_new_example_from_a_change() -> None:
    said = words_of(report_html(comparison({"a": (PAIR[0],) * 2, "b": (None, PAIR[1])}, subjects=("One", "Two")), None))
    assert "2 of 2 html, text, headers; 1 new example" in said
    assert "Subject: One Two 1 mail: hello" in said
