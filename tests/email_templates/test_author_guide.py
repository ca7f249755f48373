"""The author's guide (email_templates/README.md) names everything that the code has, and nothing else."""

import json
import re
from importlib.resources import files

import pytest

from service.templates.runtime.builtins import allowed_filters
from service.templates.runtime.filters import filters_for
from tests.support.paths import ROOT, TEMPLATES
from tests.support.template_kit import LIMITS

NAMES = {*filters_for("fr"), *allowed_filters(1000, LIMITS.meter())}
GUIDE = (TEMPLATES / "README.md").read_text("utf-8")


def front_matter_fields() -> list[str]:
    schema = json.loads(files("service.templates.front_matter").joinpath("front_matter.json").read_text("utf-8"))
    nested = [field for name in ("attachments", "delivery") for field in schema["properties"][name]["properties"]]
    return sorted({*schema["properties"], *nested} - {"examples"})


@pytest.mark.parametrize("field", front_matter_fields())
def test_guide_explains_the_field_of_the_front_matter(field: str) -> None:
    assert re.search(rf"`{field}\b", GUIDE)


@pytest.mark.parametrize("name", sorted(NAMES - {"d", "e", "count"}))
def test_guide_names_the_filter(name: str) -> None:
    assert re.search(rf"[|`\s]{name}[`\s(}}]", GUIDE)


def test_guide_names_no_shared_part_that_is_gone() -> None:
    named = set(re.findall(r"\b[a-z]+\.(?:mjml|txt)\b", GUIDE)) - {"template.mjml", "template.txt"}
    named = {name for name in named if not name.startswith("template.")}
    there = {file.name for file in (TEMPLATES / "_shared").iterdir() if file.suffix != ".yaml"}
    assert named - {"en.mjml", "en.txt"} == there


def test_guide_names_no_class_that_the_theme_lacks() -> None:
    theme = (TEMPLATES / "_shared" / "theme.mjml").read_text("utf-8")
    for classes in re.findall(r'(?<!mj-)(?<!css-)class="([a-z -]+)"', GUIDE):
        for name in classes.split():
            assert f".{name}" in theme
    for name in re.findall(r'mj-class="([a-z-]+)"', GUIDE):
        assert f'<mj-class name="{name}"' in theme


def test_guide_names_no_script_that_is_gone() -> None:
    for script in set(re.findall(r"scripts/[\w-]+", GUIDE)):
        assert (ROOT / script).is_file()
