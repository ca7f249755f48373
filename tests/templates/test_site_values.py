"""The values of an installation: declared, given for each environment, checked, and reloaded."""

import subprocess
from pathlib import Path

import pytest

from service.config.settings import Settings
from service.errors import TemplateInvalid
from service.templates.build_tools import own_values_of, site_values
from service.templates.directory_catalogue import DirectoryCatalogue
from service.templates.site_values import OwnValues, SiteValues, resolve_values
from service.templates.source.files import Files
from tests.support.paths import TEMPLATES
from tests.support.template_kit import LIMITS, DirectCompiler, column, front_matter

DECLARATIONS = """\
phone:
  type: string
  example: +229 01 23 45 67 89
portal:
  type: string
  format: uri
  pattern: ^https://
  example: https://portal.example
support: {type: string, format: email, required: false, example: help@example.com}
"""
GIVEN = "phone: +229 01 23 45 67 89\nportal: https://portal.rgz.bj\n"
LINK = column('<mj-button href="{{ site.portal }}/x?id=1">{{ name }}</mj-button>')
VARIABLES = "  name: {type: string, example: Zoé}\n"


def files(given: str | None = GIVEN, declarations: str = DECLARATIONS, **more: str) -> Files:
    texts = {"_shared/values.yaml": declarations, **more}
    return Files.of(texts if given is None else {**texts, "values/staging.yaml": given})


def found(given: str | None, declarations: str = DECLARATIONS) -> list[tuple[str, int, str, str]]:
    _, findings = resolve_values(files(given, declarations), "staging")
    return [(one.file, one.line, one.severity, one.message) for one in findings]


def write(root: Path, given: str | None = GIVEN, **more: str) -> Path:
    texts = {"_shared/values.yaml": DECLARATIONS, "t/template.mjml": front_matter(VARIABLES) + LINK, **more}
    for path, text in (texts if given is None else {**texts, "values/staging.yaml": given}).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root


def html(catalogue: DirectoryCatalogue) -> str:
    return catalogue.current.get("t").render({"name": "Zoé"}).html


def test_values_come_from_the_environment_and_own_ones_win() -> None:
    site, findings = resolve_values(files(), "staging", OwnValues({"phone": "+229 98 76 54 32 10"}))
    assert site.values == {"phone": "+229 98 76 54 32 10", "portal": "https://portal.rgz.bj"}
    assert findings == ()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, [("_shared/values.yaml", 1, "error", "site.phone is not set: mails go without it"),
                ("_shared/values.yaml", 4, "error", "site.portal is not set: mails go without it")]),
        ("portal: https://a.example\nphone: +229-XXXXX\n",
         [("values/staging.yaml", 2, "warning", 'site.phone is "+229-XXXXX", a placeholder')]),
        (GIVEN + "support: TODO@rgz.bj\n",
         [("values/staging.yaml", 3, "warning", 'site.support is "TODO@rgz.bj", a placeholder')]),
        (GIVEN.replace("https://portal.rgz.bj", "http://portal.rgz.bj"),
         [("values/staging.yaml", 2, "error", 'site.portal: "http://portal.rgz.bj" does not match ^https://')]),
        (GIVEN.replace("https://portal.rgz.bj", "portal"),
         [("values/staging.yaml", 2, "error",
           'site.portal: "portal" does not match ^https://')]),
        ("phone: 116117\nportal: https://a.example\n",
         [("values/staging.yaml", 1, "error", "site.phone: 116117 is not a text; put it into quotes")]),
        (GIVEN + "support: nobody\n", [("values/staging.yaml", 3, "error",
                                        'site.support: "nobody" is not an e-mail address')]),
        (GIVEN + 'support: "a@b.bj\\nBcc: x"\n',
         [("values/staging.yaml", 3, "error",
           "site.support: it must be one line of at most 1000 characters that can be printed")]),
        (GIVEN + "fone: x\n",
         [("values/staging.yaml", 3, "warning", "site.fone is not declared in _shared/values.yaml")]),
    ],
)  # fmt: skip
def test_value_that_is_missing_wrong_or_a_placeholder_is_a_finding(
    given: str | None, expected: list[tuple[str, int, str, str]]
) -> None:
    assert found(given) == expected


def test_link_with_a_scheme_that_mails_refuse_is_wrong_whatever_the_pattern() -> None:
    declarations = DECLARATIONS.replace("  pattern: ^https://\n", "")
    [(_, line, severity, message)] = found(GIVEN.replace("https:", "javascript:"), declarations)
    assert (line, severity) == (2, "error")
    assert "not a valid link" in message


@pytest.mark.parametrize("given", ["phone: [", "- a list\n", "phone: *x\n"])
def test_values_that_can_not_be_read_are_an_error(given: str) -> None:
    assert [severity for _, _, severity, _ in found(given)] == ["error"]


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ("phone: {type: integer, example: 3}\n", "a value is a text"),
        ("phone: {type: string}\n", "no example"),
        ("portal: {type: string, format: uri, example: nothing}\n", "not a URL"),
        ("phone: {type: string, exampel: x}\n", 'unknown keyword "exampel"'),
    ],
)
def test_declaration_that_is_wrong_is_an_error_there(declared: str, says: str) -> None:
    [file, line, severity, message] = found(GIVEN, declared)[0]
    assert (file, line, severity) == ("_shared/values.yaml", 1, "error")
    assert says in message


def test_values_stand_beside_the_template_directory_where_it_holds_none() -> None:
    beside = files(None).with_changes({"../values/staging.yaml": GIVEN})
    assert resolve_values(beside, "staging")[0].values["portal"] == "https://portal.rgz.bj"
    inside = beside.with_changes({"values/staging.yaml": GIVEN.replace("portal.rgz", "inside.rgz")})
    assert resolve_values(inside, "staging")[0].values["portal"] == "https://inside.rgz.bj"


def test_revision_and_archive_are_equal_in_every_environment(tmp_path: Path) -> None:
    root = write(tmp_path)
    (root / "values/production.yaml").write_text(GIVEN.replace("portal.rgz", "prod.rgz"), encoding="utf-8")
    staging, production = (
        DirectoryCatalogue(root, compiler=DirectCompiler(LIMITS, SiteValues(name)))
        for name in ("staging", "production")
    )
    one, other = staging.load().get("t"), production.load().get("t")
    assert (one.revision, one.archive()) == (other.revision, other.archive())
    assert 'href="https://portal.rgz.bj/x?id=1"' in html(staging)
    assert 'href="https://prod.rgz.bj/x?id=1"' in html(production)


def test_template_that_needs_a_missing_value_is_broken_and_others_are_served(tmp_path: Path) -> None:
    plain = front_matter(VARIABLES) + column(
        "<mj-text>{{ name }}{% if site.phone %}{{ site.phone }}{% endif %}</mj-text>"
    )
    root = write(tmp_path, None, **{"plain/template.mjml": plain})
    catalogue = DirectoryCatalogue(root, compiler=DirectCompiler(LIMITS, SiteValues("staging")))
    snapshot = catalogue.load()
    [missing] = snapshot.entries["t"].findings
    assert (missing.file, missing.line, missing.is_error) == ("t/template.mjml", 14, True)
    assert "values/staging.yaml" in missing.hint
    with pytest.raises(TemplateInvalid):
        snapshot.get("t")
    assert [finding.severity for finding in snapshot.entries["plain"].findings] == ["warning"]
    assert snapshot.get("plain").render({"name": "Zoé"})


def test_value_that_changes_is_served_at_the_next_refresh_without_compiling(tmp_path: Path) -> None:
    root, heard = write(tmp_path), []
    own = tmp_path.parent / f"{tmp_path.name}-own.yaml"
    catalogue = DirectoryCatalogue(root, compiler=DirectCompiler(LIMITS, SiteValues("staging", own_file=own)))
    own.write_text("phone: +229 98 76 54 32 10\n", encoding="utf-8")
    before = catalogue.load().get("t")
    with catalogue.listening(lambda: heard.append(1)):
        (root / "values/staging.yaml").write_text(GIVEN.replace("portal.rgz", "new.rgz"), encoding="utf-8")
        catalogue.refresh(only={"values"})
        assert 'href="https://new.rgz.bj/x?id=1"' in html(catalogue)
        assert catalogue.current.get("t").variants is before.variants
        (root / "values/staging.yaml").write_text("portal: nothing\n", encoding="utf-8")
        catalogue.refresh(only={"values"})
        assert 'href="https://new.rgz.bj/x?id=1"' in html(catalogue)  # the last good one
        assert catalogue.current.entries["t"].is_degraded
        own.write_text("portal: https://own.rgz.bj\n", encoding="utf-8")
        catalogue.refresh(only=())
        assert 'href="https://own.rgz.bj/x?id=1"' in html(catalogue)
        assert catalogue.current.entries["t"].findings == ()
    assert len(heard) == 3


def test_stamp_changes_with_the_files_outside_of_the_template_directory(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    values = SiteValues(own_file=own, beside=tmp_path / "values")
    stamps = [values.stamp]
    own.write_text("phone: +229 01 23 45 67 89\n", encoding="utf-8")
    stamps.append(values.stamp)
    (tmp_path / "values").mkdir()
    (tmp_path / "values/production.yaml").write_text("", encoding="utf-8")
    stamps.append(values.stamp)
    assert len(set(stamps)) == 3 and values.stamp == stamps[-1]


def test_settings_give_the_file_and_the_telephone_number_which_wins(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("phone: +229 01 02 03 04 05\nportal: https://own.example\n", encoding="utf-8")
    settings = Settings().with_changes(email_template_values=file, email_site_phone="+229 98 76 54 32 10")
    own = own_values_of(settings)
    assert own.values == {"phone": "+229 98 76 54 32 10", "portal": "https://own.example"}
    gone = settings.with_changes(email_template_values=tmp_path / "gone.yaml")
    [finding] = own_values_of(gone).findings
    assert "EMAIL_TEMPLATE_VALUES can't be read" in finding.message
    assert resolve_values(files(), "staging", own_values_of(gone))[1] == (finding,)


def test_values_beside_the_directory_count_inside_a_checkout_alone(tmp_path: Path) -> None:
    root = write(tmp_path / "mails", None)
    beside = tmp_path / "values"
    beside.mkdir()
    (beside / "production.yaml").write_text(GIVEN, encoding="utf-8")
    settings = Settings().with_changes(email_templates_dir=root)
    texts = Files.of({"_shared/values.yaml": DECLARATIONS})
    assert site_values(settings).resolve(texts).site.values == {}
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert site_values(settings).resolve(texts).site.values["portal"] == "https://portal.rgz.bj"


def test_values_of_our_templates_are_given_for_production_but_the_telephone_number() -> None:
    names = ("_shared/values.yaml", "values/production.yaml")
    ours = Files.of({name: (TEMPLATES / name).read_text(encoding="utf-8") for name in names})
    _, findings = resolve_values(ours, "production")
    assert [finding.message for finding in findings] == ["site.phone is not set: mails go without it"]
    assert resolve_values(ours, "production", OwnValues({"phone": "+229 01 23 45 67 89"}))[1] == ()
