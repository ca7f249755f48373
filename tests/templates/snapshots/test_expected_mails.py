"""The mails of a template by the names of its files, as compiling it finds them."""

import pytest

from service.templates.mails import mails_of
from service.templates.snapshots.expected_mails import expected_mails
from service.templates.source.files import Files, read_files
from tests.support.paths import TEMPLATES
from tests.support.template_kit import COMPILER, front_matter, text

FILES = read_files(TEMPLATES)
EXAMPLE = "{name: a, link: 'https://a.example', yes: true, number: 1, color: '#fff', rows: []}"
BODY = text("{{ name }}")
IN_FRONT_MATTER = f"examples:\n  default: {EXAMPLE}\n  b: {EXAMPLE}\n"


@pytest.mark.parametrize("key", ["billing_invoice_monthly", "cutover_reminder", "rma_confirmation"])
def test_mails_of_this_repository_are_found_as_compiling_finds_them(key: str) -> None:
    template = COMPILER.compile(FILES, key).bare
    assert template is not None
    assert template.template is not None
    assert expected_mails(FILES, key) == mails_of(template.template)


@pytest.mark.parametrize(
    "files",
    [
        {"t/template.mjml": front_matter() + BODY},
        {"t/template.mjml": front_matter() + BODY, "t/template.en.mjml": ""},
        {"t/template.mjml": front_matter() + BODY, "t/examples/b.yml": EXAMPLE, "t/examples/a.yaml": EXAMPLE},
        {"t/template.mjml": front_matter() + BODY, "t/examples/default.expect.yaml": ""},
        {"t/template.mjml": front_matter(more=IN_FRONT_MATTER) + BODY},
        {"t/template.mjml": front_matter(more=IN_FRONT_MATTER) + BODY, "t/examples/a.yaml": EXAMPLE},
        {"t/template.mjml": front_matter("  name: string\n") + BODY},
    ],
)
def test_mails_are_found_without_compiling(files: dict[str, str]) -> None:
    compilation = COMPILER.compile(Files.of(files), "t")
    assert compilation.template is not None, compilation.findings
    assert expected_mails(Files.of(files), "t") == mails_of(compilation.template)


@pytest.mark.parametrize("source", ["", "---\n", "\ufeff---\nx: [", "no front matter"])
def test_mails_of_a_broken_template_are_a_guess(source: str) -> None:
    assert [str(mail) for mail in expected_mails(Files.of({"t/template.mjml": source}), "t")] == ["t/fr.default"]
