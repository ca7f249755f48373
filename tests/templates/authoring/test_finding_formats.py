"""Findings in the forms of GitHub and GitLab: escaped, at paths of the repository, and followed where lines move."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import Finding
from service.templates.authoring.finding_formats import (
    Annotation,
    annotations,
    code_quality,
    github_commands,
    sarif,
)

SOURCE = "---\nsubject: x\n---\n<mj-text>{{ nom }}</mj-text>\n<mj-text>{{ nom }}</mj-text>\n"


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    """A template directory two folders below the root of a checkout."""
    (tmp_path / ".git").mkdir()
    root = tmp_path / "mails" / "email_templates"
    (root / "hello").mkdir(parents=True)
    (root / "hello" / "template.mjml").write_text(SOURCE, encoding="utf-8")
    return root


def finding(line: int = 4, message: str = "unknown variable nom", **changes: Any) -> Finding:
    given = {"file": "hello/template.mjml", "column": 10, "severity": "error", "code": "unknown-variable", **changes}
    return Finding(line=line, message=message, **given)


def told(command: str) -> tuple[str, dict[str, str], str]:
    """A workflow command as GitHub's runner reads it: the name, the properties, the message."""
    found = re.fullmatch(r"::(\w+) ([^\n]*?)::([^\n\r]*)", command)
    assert found is not None, command
    properties = dict(one.split("=", 1) for one in found[2].split(","))
    back = [("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")]

    def read(text: str) -> str:
        for escaped, plain in back:
            text = text.replace(escaped, plain)
        return text

    return found[1], {name: read(value) for name, value in properties.items()}, read(found[3])


def test_commands_have_paths_of_the_repository_and_errors_first(templates: Path) -> None:
    warning = finding(2, "long", severity="warning", code="subject-too-long", file="../values/production.yaml")
    commands = list(github_commands(annotations([warning, finding(hint="did you mean name?")], templates)))
    assert told(commands[0]) == (
        "error",
        {"file": "mails/email_templates/hello/template.mjml", "line": "4", "col": "10", "title": "unknown-variable"},
        "unknown variable nom (did you mean name?) [unknown-variable]",
    )
    assert told(commands[1])[1]["file"] == "mails/values/production.yaml"


@given(st.text(), st.text(min_size=1).filter(lambda text: "/" not in text and "\0" not in text))
def test_commands_are_each_one_line_that_says_what_was_found(message: str, name: str) -> None:
    one = Annotation(finding(message=message, hint=""), name, "f")
    (command,) = github_commands([one])
    assert len(command.split("\n")) == 1
    assert "\r" not in command
    if "%" not in message + name:
        kind, properties, text = told(command)
        assert (kind, properties["file"], text) == ("error", name, f"{message} [unknown-variable]")


def results(templates: Path, *found: Finding) -> list[dict[str, Any]]:
    """The results of a log, which has what the schema of SARIF 2.1.0 asks for."""
    log = json.loads(sarif(annotations(found, templates)))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "rgz-email"
    rules = driver["rules"]
    assert all(one["shortDescription"]["text"] and one["help"]["text"] for one in rules)
    assert len({one["id"] for one in rules}) == len(rules)
    for one in run["results"]:
        assert rules[one["ruleIndex"]]["id"] == one["ruleId"]
        assert one["level"] in ("error", "warning")
        (location,) = one["locations"]
        physical = location["physicalLocation"]
        assert physical["artifactLocation"]["uriBaseId"] == "%SRCROOT%"
        assert re.fullmatch(r"[\w.~/%-]+", physical["artifactLocation"]["uri"])
        assert min(physical["region"].values()) >= 1
    return list(run["results"])


def fingerprints(templates: Path, *found: Finding) -> list[str]:
    return [one["partialFingerprints"]["primaryLocationLineHash"] for one in results(templates, *found)]


def test_sarif_has_relative_uris_that_are_encoded(templates: Path) -> None:
    (one,) = results(templates, finding(0, file="hello/a b%é.mjml", column=0))
    uri = one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert unquote(uri) == "mails/email_templates/hello/a b%é.mjml"


def test_sarif_explains_each_code_as_the_guide_does(templates: Path) -> None:
    log = json.loads(sarif(annotations([finding(code="duplicate-key"), finding(code="new-code")], templates)))
    rules = {one["id"]: one["help"]["text"] for one in log["runs"][0]["tool"]["driver"]["rules"]}
    assert rules["duplicate-key"] == "a key is given twice. What to do: delete one."
    assert rules["new-code"]


def test_fingerprints_stay_when_lines_move_and_differ_otherwise(templates: Path) -> None:
    # Two findings on lines of the same text, and one whose message names a line.
    found = [finding(4), finding(5), finding(4, "nom is set again in line 5", code="duplicate-key")]
    before = fingerprints(templates, *found)
    assert len(set(before)) == 3
    source = templates / "hello" / "template.mjml"
    source.write_text(f"# two\n# lines more\n{SOURCE}", encoding="utf-8")
    moved = [finding(6), finding(7), finding(6, "nom is set again in line 7", code="duplicate-key")]
    assert fingerprints(templates, *moved) == before
    assert not set(fingerprints(templates, finding(6, file="other/template.mjml"))) & set(before)


def test_fingerprint_is_there_when_the_file_is_gone_or_no_text(templates: Path) -> None:
    (templates / "hello" / "logo.png").write_bytes(b"\xff\xfe\x00")
    found = [finding(file=one) for one in ("gone/template.mjml", "hello/logo.png", "hello")]
    assert len(set(fingerprints(templates, *found))) == 3


def test_sarif_embeds_no_link_when_a_message_has_one(templates: Path) -> None:
    (one,) = results(templates, finding(message="unknown [a](https://evil.example) and items[0]", hint=""))
    assert not re.search(r"(?<!\\)\[", one["message"]["text"])
    (plain,) = results(templates, finding(message="unknown items[0]", hint=""))
    assert plain["message"]["text"] == "unknown items[0] [unknown-variable]"


def test_code_quality_report_has_what_gitlab_shows(templates: Path) -> None:
    (one,) = json.loads(code_quality(annotations([finding(0)], templates)))
    assert one == {
        "description": "unknown variable nom [unknown-variable]",
        "check_name": "unknown-variable",
        "fingerprint": one["fingerprint"],
        "severity": "major",
        "location": {"path": "mails/email_templates/hello/template.mjml", "lines": {"begin": 1}},
    }


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mails").mkdir()
    yield tmp_path / "mails"


def test_paths_are_of_the_working_directory_when_there_is_no_checkout(outside: Path) -> None:
    assert annotations([finding()], outside)[0].path == "mails/hello/template.mjml"
