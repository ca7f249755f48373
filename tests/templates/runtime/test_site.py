"""The installation's values: printed where a template names them, no part of its revision, no placeholder."""

import json
from pathlib import Path

import pytest

from service.templates.cache import CompilationCache
from service.templates.compiler import Compilation
from service.templates.directory_catalogue import DirectoryCatalogue
from service.templates.runtime.site import Site, is_placeholder
from service.templates.site_values import SiteValues
from service.templates.source.files import Files
from service.templates.template import Template
from tests.support.template_kit import LIMITS, DirectCompiler, front_matter

PHONE = "+229 01 23 45 67 89"
OTHER = "+229 98 76 54 32 10"
DECLARED = {"_shared/values.yaml": "phone: {type: string, example: +229 01 23 45 67 89}\n"}


def values(**own: str) -> SiteValues:
    return SiteValues(values=own)


def compiled(body: str, installation: SiteValues | None = None, more: str = "", **files: str) -> Compilation:
    source = front_matter(variables="  name: {type: string, example: Zoé}\n" + more) + (
        f"<mjml><mj-body><mj-section><mj-column><mj-text>{{{{ name }}}} {body}</mj-text></mj-column></mj-section>"
        "</mj-body></mjml>"
    )
    contents = {"t/template.mjml": source, **files}
    return DirectCompiler(LIMITS, installation or values(phone=PHONE)).compile(Files.of(contents), "t")


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
        ("{% set s = site %}{{ s.phone }}", {}),
        ('<a href="tel:{{ site.phone }}">{{ site.phone }}</a>', {}),
        ('{% include "phone.txt" %}', {"t/phone.txt": "{{ site.phone }}"}),
        ('{% from "m.txt" import call %}{{ call() }}', {"t/m.txt": "{% macro call() %}{{ site.phone }}{% endmacro %}"}),
    ],
)
def test_site_is_printed_in_every_part_wherever_it_stands(body: str, files: dict[str, str]) -> None:
    compilation = compiled(body, None, **files)
    rendered = template_of(compilation).render({"name": "Zoé"})
    assert PHONE in rendered.html and PHONE in rendered.text
    assert found(compilation) == []
    other = template_of(compilation).with_site(Site({"phone": OTHER})).render({"name": "Zoé"})
    assert OTHER in other.html and OTHER in other.text and PHONE not in other.html


def test_site_is_no_part_of_revision_and_archive() -> None:
    here, there = (template_of(compiled("{{ site.phone }}", values(phone=phone))) for phone in (PHONE, OTHER))
    assert here.revision == there.revision
    assert here.archive() == there.archive()
    assert PHONE in here.render({"name": "Zoé"}).text and OTHER in there.render({"name": "Zoé"}).text
    again = Template.from_archive(here.archive(), limits=LIMITS).with_site(Site({"phone": OTHER}))
    assert again.render({"name": "Zoé"}) == there.render({"name": "Zoé"})
    assert again.archive() == here.archive()


@pytest.mark.parametrize(("stored", "own", "printed"), [
    ({"phone": PHONE}, {}, PHONE),
    ({"phone": PHONE}, {"phone": OTHER}, OTHER),
    (None, {"phone": OTHER}, OTHER),
    (None, {}, "[]"),
])  # fmt: skip
def test_site_of_an_old_archive_fills_gaps_alone(
    stored: dict[str, str] | None, own: dict[str, str], printed: str
) -> None:
    archive = json.loads(template_of(compiled("[{{ site.phone }}]")).archive())
    del archive["site_names"]
    if stored is not None:
        archive["site"] = stored
    data = json.dumps(archive, ensure_ascii=False, separators=(",", ":")).encode()
    template = Template.from_archive(data, limits=LIMITS)
    assert template.archive() == data
    assert printed in template.with_site(Site(own)).render({"name": "Zoé"}).text


def test_site_is_escaped_as_any_value() -> None:
    rendered = template_of(compiled("{{ site.phone }}", values(phone="<b>+229 01 23 45 67</b>"))).render({"name": "Z"})
    assert "&lt;b&gt;+229" in rendered.html


def test_site_gives_way_to_a_variable_of_that_name() -> None:
    more = "  site: {type: object, properties: {phone: {type: string}}, example: {phone: '1'}}\n"
    template = template_of(compiled("{{ site.phone }}", None, more))
    assert PHONE not in template.render({"name": "Zoé", "site": {"phone": "42"}}).text
    assert template.site_names is None


@pytest.mark.parametrize("phone", ["", "+229-XXXXX", "à compléter"])
def test_site_that_is_unset_or_a_placeholder_is_one_warning_at_its_first_use(phone: str) -> None:
    files = {"_shared/phone.txt": "\n{% if site.phone %}{{ site.phone }}{% endif %}"}
    installation = values(phone=phone) if phone else values()
    body = '{% include "../_shared/phone.txt" %}{{ site.phone }}'
    compilation = compiled(body, installation, **DECLARED, **files)
    assert found(compilation) == [("_shared/phone.txt", 2, "placeholder-value")]
    assert not compilation.findings[0].is_error
    assert "EMAIL_SITE_PHONE" in compilation.findings[0].hint
    assert template_of(compilation).render({"name": "Zoé"}).html.count(phone or "§") == 2 * bool(phone)


@pytest.mark.parametrize("body", ["{{ site.fone }}", "{{ site['fone'] }}", "{% if site.fone %}x{% endif %}"])
def test_site_value_that_is_not_declared_is_an_error_at_its_line(body: str) -> None:
    [finding] = compiled(f"\n{body}").findings
    assert (finding.code, finding.is_error) == ("undeclared-value", True)
    assert 'did you mean "phone"?' in finding.hint
    assert compiled(body + "\n").findings[0].line == finding.line - 1


@pytest.mark.parametrize(
    ("body", "files", "where"),
    [
        ("Appelez le +229-XXXXX.", {}, "t/template.mjml"),
        ('{% include "../_shared/phone.txt" %}', {"_shared/phone.txt": "Appelez le +229-XXXXX."}, "_shared/phone.txt"),
    ],
)
def test_placeholder_in_the_text_of_a_template_is_a_warning(body: str, files: dict[str, str], where: str) -> None:
    [finding] = compiled(body, None, **files).findings
    assert (finding.file, finding.code, finding.is_error) == (where, "placeholder-value", False)
    assert finding.message == '"+229-XXXXX" is a placeholder'


@pytest.mark.parametrize(
    "phone",
    ["+229-XXXXX", "+229 XX XX XX XX", "+33 X XX XX XX XX", "+229 01 xx xx xx xx", "à compléter", "TODO", "0", "?",
     "+229", "+229 00 00 00 00", "+229 01 00 00 00 00", "+229 01 23 45 67 ??", "<phone>", "+229 01 23 45 ..", "..."],
)  # fmt: skip
def test_placeholder_of_a_number_is_recognised(phone: str) -> None:
    assert is_placeholder("phone", phone)


@pytest.mark.parametrize(
    "phone",
    [PHONE, "+229-97123456", "(+229) 21 30 12 34", "21.30.12.34", "+33 1 70 36 39 50", "+229 21 30 12 34 poste 5",
     "+1 555 010 0199 x12", "116 117"],
)  # fmt: skip
def test_placeholder_is_no_true_number(phone: str) -> None:
    assert not is_placeholder("phone", phone)


def test_site_changes_nothing_in_what_the_compilation_cache_keeps(tmp_path: Path) -> None:
    source = front_matter() + "<mjml><mj-body><mj-section><mj-column><mj-text>{{ site.phone }}{{ name }}</mj-text>"
    (tmp_path / "mails" / "t").mkdir(parents=True)
    text = source + "</mj-column></mj-section></mj-body></mjml>"
    (tmp_path / "mails" / "t" / "template.mjml").write_text(text, encoding="utf-8")
    kept = set()
    for phone in (PHONE, OTHER):
        compiler = DirectCompiler(LIMITS, values(phone=phone))
        snapshot = DirectoryCatalogue(tmp_path / "mails", compiler=compiler, cache_dir=tmp_path / "cache").load()
        assert phone in snapshot.get("t").render({"name": "Zoé"}).text
        cached = CompilationCache(tmp_path / "cache", LIMITS).get("t", snapshot.files)
        assert cached is not None and cached.template is not None
        kept.add(cached.template.archive())
    assert len(kept) == 1
