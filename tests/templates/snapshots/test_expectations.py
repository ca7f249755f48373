"""What a mail must say: the file `examples/NAME.expect.yaml`, its mistakes, and what a mail lacks."""

from collections.abc import Mapping

import pytest

from service.errors import Finding
from service.models import Rendered
from service.templates.findings import FindingCollector
from service.templates.front_matter.expectations import read_expectations
from service.templates.mails import Mail
from service.templates.snapshots.expectations import unmet
from service.templates.snapshots.visible_text import links_of, visible_words
from service.templates.source.files import Files
from tests.support.template_kit import compiled, errors, text

PATH = "t/examples/default.expect.yaml"
HTML = """<html><head><title>Titre</title><style>.caché{}</style></head><body><!-- commentaire -->
<!--[if mso]><p>Outlook</p><![endif]--><div style="display:none">Aperçu</div>
<table><tr><td>Montant</td><td><b>12\u202f5</b>00\xa0F&nbsp;CFA</td></tr></table>
<p>Mer\xadci&zwnj; <a href="https://rgz.example/?a=1&amp;b=2">ici</a></p>
<p><a href="mailto:a@rgz.example">b</a></p></body></html>"""
RENDERED = Rendered("Facture n° 7", HTML, "Montant : 12 500\xa0F\nCFA\nMerci\nseul dans le texte", "fr", None, None)


def expected(yaml: str, locale: str = "fr") -> list[str]:
    """What the mail lacks, as `line:column: message`."""
    mail = Mail("t", locale, "default")
    collector = FindingCollector()
    read = read_expectations(Files.of({PATH: yaml}), "t", ["default"], ["fr", "en"], collector)
    assert collector.findings == ()
    return [f"{one.line}:{one.column}: {one.message}" for one in unmet(read["default"], mail, RENDERED)]


def mistakes(yaml: str, path: str = PATH) -> list[str]:
    collector = FindingCollector()
    read_expectations(Files.of({path: yaml}), "t", ["default"], ["fr", "en"], collector)
    assert {one.code for one in collector.findings} <= {"bad-expectation", "yaml-syntax", "duplicate-key"}
    return [f"{one.file}:{one.line}:{one.column}: {one.message}" for one in collector.findings]


def test_visible_words_are_those_that_a_reader_sees() -> None:
    assert visible_words(HTML) == "Aperçu Montant 12 500 F CFA Merci ici b"
    assert links_of(HTML) == {"https://rgz.example/?a=1&b=2", "mailto:a@rgz.example"}


@pytest.mark.parametrize("html", ["", " ", "<p>", "<!-- -->", "<p>a" + "<div>" * 500, "\x00<p>"])
def test_visible_words_of_odd_markup_are_read(html: str) -> None:
    assert isinstance(visible_words(html), str)
    assert links_of(html) == frozenset()


def test_expectations_that_are_met_say_nothing() -> None:
    assert (
        expected(
            "contains: [Montant, '12 500 F CFA', 'Merci', 'Facture n° 7']\n"
            "absent: [commentaire, Outlook, Titre, TODO]\n"
            "links: ['https://rgz.example/?a=1&b=2']\nfr:\n  contains: [Merci]\nen:\n  contains: [Thanks]\n"
        )
        == []
    )


def test_expectations_that_are_not_met_are_told_at_their_lines() -> None:
    yaml = (
        "contains:\n  - Au revoir\n  - seul dans le texte\nabsent: [Merci]\nlinks:\n  - https://rgz.example/?a=1&b=3\n"
    )
    assert expected(yaml) == [
        '2:5: fr.default does not say "Au revoir"',
        '3:5: fr.default does not say "seul dans le texte" in the HTML part',
        '4:10: fr.default says "Merci" in the text part and the HTML part',
        "6:5: fr.default has no link to https://rgz.example/?a=1&b=3",
    ]


def test_expectations_below_a_language_count_for_it_alone() -> None:
    yaml = "en: {contains: [Thanks]}\nfr: {absent: [Merci]}\n"
    assert expected(yaml, "en") == ['1:17: en.default does not say "Thanks"']
    assert len(expected(yaml)) == 1


@pytest.mark.parametrize(
    ("yaml", "told"),
    [
        ("contain: [a]", ':1:1: "contain" is unknown here'),
        ("de: {contains: [a]}", ':1:1: "de" is unknown here'),
        ("fr:\n  fr: {}", ':2:3: "fr" is unknown here'),
        ("fr: [a]", ":1:5: fr must be a mapping"),
        ("contains: a", ":1:11: contains must be a list of texts"),
        ("links:\n  - 7", ":2:5: an entry of links must be a text"),
        ("absent: ['  ']", ":1:10: an entry of absent must have 1 to 2000 characters"),
        ("- a", ":1:1: the file must be a mapping"),
        ("contains: [a", ":2:1: YAML: "),
        ("contains: [a]\ncontains: [b]", ':2:1: "contains" is given twice'),
    ],
)
def test_expectations_with_a_mistake_are_findings(yaml: str, told: str) -> None:
    [found] = mistakes(yaml)
    assert found.startswith(f"{PATH}{told}")


@pytest.mark.parametrize("yaml", ["", "# nothing\n", "contains:\n", "fr:\n"])
def test_expectations_may_be_empty(yaml: str) -> None:
    assert mistakes(yaml) == []
    assert expected(yaml) == []


def test_expectations_about_no_example_are_a_finding() -> None:
    assert mistakes("", "t/examples/defualt.expect.yml") == [
        't/examples/defualt.expect.yml:1:1: there is no example "defualt" whose mail this could be about'
    ]


def checked(files: Mapping[str, str]) -> list[Finding]:
    return errors(text("{{ name }} {{ link }} {{ yes }} {{ number }} {{ color }} {{ rows }}"), files)


def test_expectations_are_no_example_and_no_part_of_a_revision_or_of_the_archive() -> None:
    mail = text("{{ name }}")
    plain, with_file = compiled(mail), compiled(mail, {PATH: "contains: [Zoé]"})
    assert plain.template is not None
    assert with_file.template is not None
    assert [*with_file.template.examples] == ["default"]
    assert with_file.template.archive() == plain.template.archive()
    assert PATH in with_file.dependencies


def test_expectations_with_mistakes_are_errors_of_the_template() -> None:
    [found] = checked({PATH: "contain: [a]"})
    assert (found.code, found.file, found.line) == ("bad-expectation", PATH, 1)


@pytest.mark.parametrize("second", ["t/examples/a.yml", "t/examples/A.yaml"])
def test_example_that_has_the_name_of_another_is_an_error(second: str) -> None:
    values = "{name: a, link: 'https://a.example', yes: true, number: 1, color: '#fff', rows: []}"
    [found] = checked({"t/examples/a.yaml": values, second: values})
    assert found.code in ("duplicate-example", "bad-example")
    assert found.file == second


def test_example_in_the_front_matter_with_the_name_of_a_file_is_an_error() -> None:
    mail = (
        "---\nsubject: a\ndescription: b\ncategory: c\nversion: 1\nvariables: {}\nexamples:\n  default: {}\n---\n"
        '<mjml lang="fr"><mj-body></mj-body></mjml>'
    )
    [found] = errors(mail, {"t/examples/default.yaml": "{}"})
    assert (found.code, found.line) == ("duplicate-example", 8)
    assert "t/examples/default.yaml" in found.message
