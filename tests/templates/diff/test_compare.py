"""Comparing two commits of a real repository: which mails differ, why, and what is recorded of them."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from service.isolation.child_processes import ChildProcesses
from service.templates import isolated_compiler, mails
from service.templates.diff.compare import DiffMaker
from service.templates.diff.comparison import Comparison
from service.templates.diff.report import Report, TemplateReport
from service.templates.diff.sides import read_sides
from service.templates.mails import MailRenderer, headers_text
from service.templates.site_values import SiteValues, declared_examples
from service.templates.source.files import read_files
from tests.support.checkouts import MAIL, Checkout, changed, write_mail
from tests.support.template_kit import LIMITS

HEADER = "<mj-section><mj-column><mj-text>RGZ</mj-text></mj-column></mj-section>\n"
WITH_HEADER = MAIL.replace("<mj-body>", '<mj-body><mj-include path="../_shared/header.mjml" />')
WITH_PHONE = MAIL.replace("<mj-text>Bonjour", "<mj-text>{{ site.phone }} Bonjour")


@pytest.fixture(scope="module")
def maker() -> Iterator[DiffMaker]:
    with closing(ChildProcesses([isolated_compiler.MODULE, mails.MODULE])) as children:
        yield DiffMaker(
            isolated_compiler.IsolatedCompiler(children, LIMITS, SiteValues(fills_gaps=True)),
            MailRenderer(children, LIMITS),
        )


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """`hello` and `other` without, `first` and `second` with a shared header, all committed."""
    made = Checkout(tmp_path / "checkout")
    (made.mails / "_shared").mkdir()
    (made.mails / "_shared" / "header.mjml").write_text(HEADER)
    for key in ("hello", "other"):
        write_mail(made.mails, key)
    for key in ("first", "second"):
        write_mail(made.mails, key, WITH_HEADER)
    made.commit()
    return made


def compared(maker: DiffMaker, checkout: Checkout, head: str | None = None, base: str = "main") -> Comparison:
    return maker.compare(read_sides(checkout.mails, base, head, checkout.top / "snapshots"))


def differing(report: Report) -> dict[str, TemplateReport]:
    return {one.key: one for one in report.templates if one.change != "same"}


def why(template: TemplateReport) -> Sequence[tuple[str, str]]:
    return [(one.kind, one.name) for one in template.why]


def record(maker: DiffMaker, checkout: Checkout) -> None:
    """Write what all templates render into `snapshots`."""
    files = read_files(checkout.mails)
    for key in files.template_keys():
        template = maker.compiler.compile(files, key).template
        assert template is not None
        for one in maker.renderer.render(template, declared_examples(files)):
            assert one.rendered is not None
            headers = headers_text(template.manifest, one.rendered)
            for ending, text in (("html", one.rendered.html), ("txt", one.rendered.text), ("headers", headers)):
                path = checkout.top / "snapshots" / key / f"{one.mail.name}.{ending}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)


def test_diff_names_exactly_the_users_of_a_shared_part(maker: DiffMaker, checkout: Checkout) -> None:
    header = checkout.mails / "_shared" / "header.mjml"
    header.write_text(HEADER.replace("RGZ", "RGZ Bénin"))
    comparison = compared(maker, checkout)
    found = differing(comparison.report)
    assert list(found) == ["first", "second"]
    assert why(found["first"]) == [("shared", "_shared/header.mjml")]
    assert found["first"].mails[0].parts == ["html", "text"]
    [mail] = comparison.templates[0].mails
    assert mail.before is not None
    assert mail.before.rendered is not None
    assert mail.after is not None
    assert mail.after.rendered is not None
    assert "Bénin" not in mail.before.rendered.html
    assert "Bénin" in mail.after.rendered.html


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("_shared/header.mjml", "<!-- a comment -->\n" + HEADER),
        ("hello/template.mjml", MAIL.replace("subject:", "# a comment\nsubject:")),
        ("hello/template.mjml", MAIL.replace("<mjml", "{# a comment #}<mjml")),
        ("hello/template.mjml", MAIL.replace("<mj-section>", "\n  <mj-section>")),
        ("notes/README.txt", "Nothing takes this in."),
        ("hello/template.mjml", MAIL),
    ],
)
def test_diff_lists_no_mail_when_none_prints_anything_else(
    maker: DiffMaker, checkout: Checkout, path: str, text: str
) -> None:
    file = checkout.mails / path
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    report = compared(maker, checkout).report
    assert differing(report) == {}
    assert [one.key for one in report.templates] == ["first", "hello", "other", "second"]


def test_diff_tells_new_changed_and_gone_templates_with_their_versions(maker: DiffMaker, checkout: Checkout) -> None:
    write_mail(checkout.mails, "fresh")
    write_mail(
        checkout.mails, "hello", changed("Salut").replace("version: 1", "version: 2").replace('name }}"', 'name }} !"')
    )
    (checkout.mails / "other" / "template.mjml").unlink()
    head = checkout.commit()
    report = compared(maker, checkout, head, base="HEAD~1").report
    found = differing(report)
    assert {key: (one.change, one.version_before, one.version_after) for key, one in found.items()} == {
        "fresh": ("new", None, 1),
        "hello": ("changed", 1, 2),
        "other": ("gone", 1, None),
    }
    [mail] = found["hello"].mails
    assert mail.parts == ["html", "text", "subject", "headers"]
    assert (mail.subject.before, mail.subject.after) == ("Bonjour Zoé", "Bonjour Zoé !")
    assert (report.base.commit, report.head.commit) == (checkout.git("rev-parse", "HEAD~1"), head)
    assert [(one.key, one.code) for one in report.contract] == [
        ("fresh", "template-new"),
        ("other", "template-removed"),
    ]


def test_diff_reports_a_value_that_differs_in_an_environment(maker: DiffMaker, checkout: Checkout) -> None:
    write_mail(checkout.mails, "called", WITH_PHONE)
    values = checkout.top / "values"
    values.mkdir()
    (values / "production.yaml").write_text('phone: "+229 01 23 45 67 89"\n')
    checkout.commit()
    (values / "production.yaml").write_text('phone: "+229 01 23 45 67 80"\n')
    comparison = compared(maker, checkout)
    found = differing(comparison.report)
    assert {key: why(one) for key, one in found.items()} == {"called": [("value", "site.phone (production)")]}
    after = comparison.templates[0].mails[0].after
    assert after is not None
    assert after.rendered is not None
    assert "67 80" in after.rendered.text


def test_diff_keeps_the_other_templates_when_one_breaks_or_loops(maker: DiffMaker, checkout: Checkout) -> None:
    endless = "{% for a in range(9999) %}" * 3 + "{% endfor %}" * 3
    write_mail(checkout.mails, "hello", MAIL.replace("<mj-text>", f"<mj-text>{endless}"))
    write_mail(checkout.mails, "other", changed("Salut"))
    report = compared(maker, checkout).report
    found = differing(report)
    assert found["hello"].version_after is None
    assert found["other"].mails[0].parts == ["html", "text"]
    [finding] = report.findings.new
    assert (finding.file, finding.severity, finding.code) == ("hello/template.mjml", "error", "too-much")


def test_diff_counts_findings_that_are_new_fixed_and_as_before(maker: DiffMaker, checkout: Checkout) -> None:
    spare = "  spare: {type: string, required: false, example: x}\n"
    write_mail(checkout.mails, "hello", MAIL.replace("---\n<mjml", f"{spare}---\n<mjml"))
    checkout.commit()
    text = MAIL.replace("---\n<mjml", f"{spare}{spare.replace('spare', 'other')}---\n<mjml")
    write_mail(checkout.mails, "hello", f"\n{text}".lstrip().replace("subject:", "# a line more\nsubject:"))
    found = compared(maker, checkout).report.findings
    assert ([one.code for one in found.new], found.fixed, found.as_before) == (["unused-variable"], [], 1)
    checkout.commit()
    write_mail(checkout.mails, "hello")
    found = compared(maker, checkout).report.findings
    assert (found.new, [one.message for one in found.fixed], found.as_before) == (
        [],
        ['variable "spare" is never used', 'variable "other" is never used'],
        0,
    )


def test_diff_compares_the_recorded_mails_with_what_is_rendered(maker: DiffMaker, checkout: Checkout) -> None:
    record(maker, checkout)
    checkout.commit()
    write_mail(checkout.mails, "hello", changed("Salut"))
    write_mail(checkout.mails, "fresh")
    recorded = compared(maker, checkout).report.snapshots
    assert recorded.wrong == ["hello/fr.default.html", "hello/fr.default.txt"]
    assert recorded.missing == ["fresh/fr.default.headers", "fresh/fr.default.html", "fresh/fr.default.txt"]
    record(maker, checkout)
    (checkout.top / "snapshots" / "hello" / "fr.gone.txt").write_text("x")
    (checkout.top / "snapshots" / "nobody").mkdir()
    (checkout.top / "snapshots" / "nobody" / "fr.default.txt").write_text("x")
    recorded = compared(maker, checkout).report.snapshots
    assert (recorded.wrong, recorded.missing) == ([], [])
    assert recorded.orphans == ["hello/fr.gone.txt", "nobody/fr.default.txt"]
    assert {"hello/fr.default.html", "fresh/fr.default.txt"} < set(recorded.committed)
    assert not any(name.startswith("other/") for name in recorded.committed)


def test_diff_compares_with_the_commit_at_which_the_head_left_the_base(maker: DiffMaker, checkout: Checkout) -> None:
    checkout.git("checkout", "--quiet", "-b", "change")
    write_mail(checkout.mails, "hello", changed("Salut"))
    checkout.commit()
    checkout.git("checkout", "--quiet", "main")
    write_mail(checkout.mails, "other", changed("Holà"))
    checkout.commit()
    report = compared(maker, checkout, "change").report
    assert list(differing(report)) == ["hello"]
    assert report.base.note == "the commit at which the head left main"


def test_diff_compares_with_the_base_itself_when_the_clone_is_shallow(
    maker: DiffMaker, checkout: Checkout, tmp_path: Path
) -> None:
    checkout.git("checkout", "--quiet", "-b", "change")
    write_mail(checkout.mails, "hello", changed("Salut"))
    checkout.commit()
    shallow = Checkout(tmp_path / "shallow")
    for branch in ("main", "change"):
        shallow.git("fetch", "--quiet", "--depth=1", f"file://{checkout.top}", f"{branch}:refs/remotes/origin/{branch}")
    shallow.git("checkout", "--quiet", "--detach", "origin/change")
    report = compared(maker, shallow, base="origin/main").report
    assert list(differing(report)) == ["hello"]
    assert "shallow" in str(report.base.note)


def test_diff_names_the_commit_when_the_working_tree_has_no_changes(maker: DiffMaker, checkout: Checkout) -> None:
    checkout.git("checkout", "--quiet", "-b", "change")
    write_mail(checkout.mails, "hello", changed("Salut"))
    head = checkout.commit()
    assert compared(maker, checkout).report.head.commit == head
    write_mail(checkout.mails, "other", changed("Salut"))
    assert compared(maker, checkout).report.head.commit is None


def test_diff_accepts_a_break_by_a_trailer_of_the_range(maker: DiffMaker, checkout: Checkout) -> None:
    checkout.git("checkout", "--quiet", "-b", "change")
    write_mail(checkout.mails, "hello", MAIL.replace("version: 1", "version: 1\nactive: false"))
    write_mail(checkout.mails, "other", MAIL.replace("version: 1", "version: 1\nactive: false"))
    checkout.commit("Retire a mail\n\nNobody sends it.\n\nBreaking: hello")
    contract = compared(maker, checkout).report.contract
    assert {one.key: one.is_accepted for one in contract} == {"hello": True, "other": False}


def test_diff_reads_a_repository_of_sha256_objects(maker: DiffMaker, tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "checkout", hash_name="sha256")
    write_mail(checkout.mails)
    record(maker, checkout)
    checkout.commit()
    write_mail(checkout.mails, text=changed("Salut"))
    record(maker, checkout)
    report = compared(maker, checkout).report
    assert report.snapshots.committed == ["hello/fr.default.html", "hello/fr.default.txt"]
    assert len(report.base.commit or "") == 64
