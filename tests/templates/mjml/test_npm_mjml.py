"""Every attribute of every component prints what npm mjml prints, but for the differences that a table explains."""

import json
import tomllib
from collections.abc import Mapping
from functools import cache

import pytest

from service.templates.mjml.components import ATTRIBUTES, MJML_VERSION
from tests.support.mjml_attributes import BODIES, cases, documents, keys, printed
from tests.support.npm_mjml import RECORDED
from tests.support.template_kit import front_matter, template

NPM = json.loads(RECORDED.read_text(encoding="utf-8"))
TABLE = RECORDED.with_name("npm_differences.toml")
DIFFERENCES = tomllib.loads(TABLE.read_text(encoding="utf-8"))["difference"]
EXPLAINED: Mapping[str, list[str]] = {key: lines for one in DIFFERENCES for key, lines in one["cases"].items()}
DOCUMENTS = documents()


@cache
def ours(name: str) -> str:
    return template(front_matter(variables="  {}\n") + DOCUMENTS[name]).render({}).html


def differences(npm: list[str], own: list[str]) -> list[str]:
    return [f"npm {fact}" for fact in npm if fact not in own] + [f"ours {fact}" for fact in own if fact not in npm]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_component_prints_what_npm_mjml_prints(name: str) -> None:
    facts = printed(name, ours(name), ours("plain"))
    found = {key: differences(NPM["printed"][key], own) for key, own in facts.items()}
    explained = {key: EXPLAINED[key] for key in facts if key in EXPLAINED}
    assert {key: lines for key, lines in found.items() if lines} == explained, f"explain it in {TABLE.name}"


def test_recorded_facts_are_of_every_attribute_of_this_version_and_few() -> None:
    assert NPM["version"] == MJML_VERSION
    assert list(NPM["printed"]) == [key for name in DOCUMENTS for key in keys(name)]
    assert len(RECORDED.read_bytes()) < 150_000


def test_components_are_all_compared() -> None:
    in_the_head = {name for name in ATTRIBUTES if any(one.split()[0].rstrip(",") == name for one in DOCUMENTS)}
    never_printed = {"mj-head", "mj-selector", "mj-html-attribute", "mj-include"}
    assert set(ATTRIBUTES) == set(BODIES) | in_the_head | never_printed
    compared = {(case.component, case.attribute) for name in BODIES for case in cases(name)}
    assert {(name, attribute) for name in BODIES for attribute in ATTRIBUTES[name]} <= compared


def test_differences_are_of_cases_that_exist_and_each_is_explained_once() -> None:
    assert [key for key in EXPLAINED if key not in NPM["printed"]] == []
    assert len(EXPLAINED) == sum(len(one["cases"]) for one in DIFFERENCES)
    assert all(len(one["why"]) > 20 for one in DIFFERENCES)
