"""The installation's values: printed where a template names them, part of its revision, no placeholder."""

from pathlib import Path
from typing import Any

import pytest

from service.templates.cache import CompilationCache
from service.templates.compiler import Compilation
from service.templates.directory_catalogue import DirectoryCatalogue
from service.templates.runtime.site import NO_SITE, Site, is_placeholder
from service.templates.source.files import Files
from service.templates.template import Template
from tests.support.template_kit import LIMITS, DirectCompiler, front_matter

PHONE = "+229 01 23 45 67 89"


def compiled(body: str, site: Site, more: str = "", **files: str) -> Compilation:
    source = front_matter(variables="  name: {type: string, example: Zoé}\n" + more) + (
        f"<mjml><mj-body><mj-section><mj-column><mj-text>{{{{ name }}}} {body}</mj-text></mj-column></mj-section>"
        "</mj-body></mjml>"
    )
    contents = {"t/template.mjml": source, **files}
    return DirectCompiler(LIMITS, site).compile(
        Files.of({path.replace("__", "/"): text.encode() for path, text in contents.items()}), "t"
    )


def template_of(compilation: Compilation) -> Template:
    assert compilation.template is not None, [str(one) for one in compilation.findings]
    return compilation.template


def found(compilation: Compilation) -> list[tuple[str, int, str]]:
    return [(one.file, one.line, one.code) for one in compilation.findings]


@pytest.mark.parametrize(
    ("body", "files"),
    [
        ("{{ site.phone }}", {}),
        ("{{ site['phone'] }}", {}),
        ("{% if site.phone %}{{ site.phone|upper }}{% endif %}", {}),
        ('<a href="tel:{{ site.phone }}">{{ site.phone }}</a>', {}),
        ('{% include "phone.txt" %}', {"t/phone.txt": "{{ site.phone }}"}),
        ('{% from "m.txt" import call %}{{ call() }}', {"t/m.txt": "{% macro call() %}{{ site.phone }}{% endmacro %}"}),
    ],
)
def test_site_is_printed_in_every_part_wherever_it_stands(body: str, files: dict[str, str]) -> None:
    compilation = compiled(body, Site(PHONE), **files)
    rendered = template_of(compilation).render({"name": "Zoé"})
    assert PHONE in rendered.html and PHONE in rendered.text
    assert found(compilation) == []


def test_site_is_kept_by_the_archive_and_changes_the_revision_of_those_who_print_it() -> None:
    here, there = (template_of(compiled("{{ site.phone }}", Site(phone))) for phone in (PHONE, "+229 98 76 54 32 10"))
    assert here.revision != there.revision
    again = Template.from_archive(here.archive(), limits=LIMITS)
    assert again.render({"name": "Zoé"}) == here.render({"name": "Zoé"})
    assert again.archive() == here.archive()

    without = [template_of(compiled("", site)) for site in (NO_SITE, Site(PHONE))]
    assert without[0].revision == without[1].revision
    assert without[0].archive() == without[1].archive()


def test_site_is_escaped_as_any_value() -> None:
    rendered = template_of(compiled("{{ site.phone }}", Site("<b>+229 01 23 45 67</b>"))).render({"name": "Zoé"})
    assert "&lt;b&gt;+229" in rendered.html


def test_site_gives_way_to_a_variable_of_that_name() -> None:
    more = "  site: {type: object, properties: {phone: {type: string}}, example: {phone: '1'}}\n"
    template = template_of(compiled("{{ site.phone }}", Site(PHONE), more))
    assert PHONE not in template.render({"name": "Zoé", "site": {"phone": "42"}}).text
    assert template.site == NO_SITE


@pytest.mark.parametrize("site", [NO_SITE, Site("+229-XXXXX"), Site("à compléter")])
def test_site_that_is_unset_or_a_placeholder_is_one_warning_at_its_first_use(site: Site) -> None:
    files: dict[str, Any] = {"_shared/phone.txt": "\n{% if site.phone %}{{ site.phone }}{% endif %}"}
    compilation = compiled('{% include "../_shared/phone.txt" %}{{ site.phone }}', site, **files)
    assert found(compilation) == [("_shared/phone.txt", 2, "placeholder-value")]
    assert not compilation.findings[0].is_error
    assert compilation.findings[0].hint == "set EMAIL_SITE_PHONE"
    assert template_of(compilation).render({"name": "Zoé"}).html.count(site.phone or "§") == 2 * bool(site.phone)


def test_site_has_no_other_values() -> None:
    findings = compiled("{{ site.fone }}", Site(PHONE)).findings
    assert [(one.code, one.is_error) for one in findings] == [("undeclared-property", True)]
    assert "phone" in findings[0].hint


@pytest.mark.parametrize(
    ("body", "files", "where"),
    [
        ("Appelez le +229-XXXXX.", {}, "t/template.mjml"),
        ('{% include "../_shared/phone.txt" %}', {"_shared/phone.txt": "Appelez le +229-XXXXX."}, "_shared/phone.txt"),
    ],
)
def test_placeholder_in_the_text_of_a_template_is_a_warning(body: str, files: dict[str, str], where: str) -> None:
    [finding] = compiled(body, Site(PHONE), **files).findings
    assert (finding.file, finding.code, finding.is_error) == (where, "placeholder-value", False)
    assert finding.message == '"+229-XXXXX" is a placeholder'


@pytest.mark.parametrize(
    "phone",
    ["+229-XXXXX", "+229 XX XX XX XX", "+33 X XX XX XX XX", "+229 01 xx xx xx xx", "à compléter", "TODO", "0", "?",
     "+229", "+229 00 00 00 00", "+229 01 00 00 00 00", "+229 01 23 45 67 ??", "<phone>", "+229 01 23 45 ..", "..."],
)  # fmt: skip
def test_placeholder_of_a_number_is_recognised(phone: str) -> None:
    assert is_placeholder(phone)


@pytest.mark.parametrize(
    "phone",
    [PHONE, "+229-97123456", "(+229) 21 30 12 34", "21.30.12.34", "+33 1 70 36 39 50", "+229 21 30 12 34 poste 5",
     "+1 555 010 0199 x12", "116 117"],
)  # fmt: skip
def test_placeholder_is_no_true_number(phone: str) -> None:
    assert not is_placeholder(phone)


def test_site_is_part_of_what_the_compilation_cache_compares(tmp_path: Path) -> None:
    source = front_matter() + "<mjml><mj-body><mj-section><mj-column><mj-text>{{ site.phone }}{{ name }}</mj-text>"
    (tmp_path / "mails" / "t").mkdir(parents=True)
    text = source + "</mj-column></mj-section></mj-body></mjml>"
    (tmp_path / "mails" / "t" / "template.mjml").write_text(text, encoding="utf-8")
    for site in (Site(PHONE), Site("+229 98 76 54 32 10")):
        compiler = DirectCompiler(LIMITS, site)
        snapshot = DirectoryCatalogue(tmp_path / "mails", compiler=compiler, cache_dir=tmp_path / "cache").load()
        assert snapshot.get("t").site == site
        assert CompilationCache(tmp_path / "cache", LIMITS, site).get("t", snapshot.files) is not None
