"""POST /deployments/replay, and the client of it that a diff uses: numbers alone leave the service."""

import json
import secrets
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.templates.diff.comparison import Comparison
from service.templates.diff.report import Replayed, Report, ServiceReplay, Side, TemplateReport
from service.templates.diff.service_replay import ask_service
from service.templates.source.files import Files, read_files
from tests.support.deployed import deployed
from tests.support.paths import TEMPLATES
from tests.support.running import ADMIN_TOKEN, Running
from tests.support.samples import WELCOME

REPLAY = "/api/v1/email/deployments/replay"
KEY = "onboarding_welcome"
PATH = f"{KEY}/template.mjml"
DURATION = "estimated_duration:\n    type: string\n    minLength: 1\n"
WITH_DASH = DURATION + '    pattern: "-|deux"\n'


def files(old: str = "", new: str = "") -> dict[str, str]:
    """Our templates, with a word of the welcome mail replaced."""
    found = {path: file.data.decode() for path, file in read_files(TEMPLATES).by_path.items()}
    assert old in found[PATH]
    return found | {PATH: found[PATH].replace(old, new)}


def ask(service: Running, contents: dict[str, str], *keys: str) -> httpx.Response:
    return service.admin.post(REPLAY, json={"files": contents, "keys": keys or (KEY,)})


@pytest.fixture(scope="module")
def canaries(service: Running) -> list[str]:
    """Sends with words of 80 random bits in each place that can name a person; two of three durations have no dash."""
    words = [f"canary{secrets.token_hex(10)}" for _ in range(3)]
    for word, duration in zip(words, ("7 jours", "12 jours", "1-2 jours"), strict=True):
        variables = {**WELCOME, "reseller_name": word, "estimated_duration": duration}
        service.send(KEY, f"{word}@rgz.example", variables, source_endpoint="onboarding").raise_for_status()
    return words


def test_replay_answers_with_numbers_alone_when_a_variable_is_narrower(service: Running, canaries: list[str]) -> None:
    answer = ask(service, files(DURATION, WITH_DASH))
    assert answer.status_code == 200, answer.text
    found = answer.json()
    place = {"endpoint": "onboarding", "pointer": "/variables/estimated_duration", "count": 2}
    assert found == {
        "environment": "production",
        "days": 30,
        "templates": [{"key": KEY, "replayed": 3, "refused": 2, "by": [place], "failure": None}],
        "left": [],
    }
    assert not [word for word in canaries if word in answer.text]


def test_replay_names_no_value_when_a_rendering_fails(service: Running, canaries: list[str]) -> None:
    name = (
        'reseller_name }}{% if reseller_name[7:8] == "x" %}{{ (1).x }}{% endif %}{{ 7 // (3 - estimated_duration|length'
    )
    answer = ask(service, files("{{ reseller_name }}", f"{{{{ {name}) }}}}"))
    assert answer.status_code == 200, answer.text
    assert not [word for word in canaries if word in answer.text]


def test_replay_accepts_all_when_only_words_change(service: Running, canaries: list[str]) -> None:
    [found] = ask(service, files("Bienvenue", "Soyez bienvenue")).json()["templates"]
    assert (found["replayed"], found["refused"], found["failure"]) == (len(canaries), 0, None)


def test_replay_tells_which_template_fails_to_compile(service: Running) -> None:
    found = ask(service, files("{{ reseller_name }}", "{{ reseller_name"), KEY, "rma_confirmation").json()["templates"]
    assert [(one["key"], one["failure"]) for one in found] == [
        (KEY, "it does not compile for this installation"),
        ("rma_confirmation", None),
    ]


def test_replay_leaves_nothing_behind(service: Running) -> None:
    before = service.admin.get(f"/api/v1/email/templates/{KEY}").json()
    ask(service, files("Bienvenue", "Un autre mot")).raise_for_status()
    assert service.admin.get(f"/api/v1/email/templates/{KEY}").json() == before


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"files": {}, "keys": [KEY]}, "/files"),
        ({"files": {PATH: "x"}, "keys": []}, "/keys"),
        ({"files": {PATH: "x"}, "keys": ["other"]}, "/keys/0"),
        ({"files": {PATH: "x"}, "keys": [KEY] * 11}, "/keys"),
        ({"files": {"/etc/x.txt": "x"}, "keys": [KEY]}, "/files/~1etc~1x.txt"),
        ({"files": {"../x.yaml": "x"}, "keys": [KEY]}, "/files/..~1x.yaml"),
        ({"files": {"../values/../x.yaml": "x"}, "keys": [KEY]}, "/files/..~1values~1..~1x.yaml"),
        ({"files": {"a/../b.txt": "x"}, "keys": [KEY]}, "/files/a~1..~1b.txt"),
        ({"files": {"a/program.exe": "x"}, "keys": [KEY]}, "/files/a~1program.exe"),
        ({"files": {PATH: 7}, "keys": [KEY]}, f"/files/{KEY}~1template.mjml"),
    ],
)
def test_replay_refuses_what_is_no_template_directory(service: Running, body: dict[str, Any], pointer: str) -> None:
    answer = service.admin.post(REPLAY, json=body)
    assert answer.status_code == 422
    assert pointer in [problem["pointer"] for problem in answer.json()["errors"]]


def comparison(contents: dict[str, str], *keys: str) -> Comparison:
    templates = [TemplateReport(key=key, change="changed") for key in keys]
    side = Side(ref="main")
    return Comparison(Report(tool="t", base=side, head=side, templates=templates), (), Files.of(contents))


def test_diff_asks_the_service_about_more_templates_than_one_question_takes(
    service: Running, canaries: list[str]
) -> None:
    copies = {f"copy_{number}": f"copy_{number}/template.mjml" for number in range(12)}
    contents = files(DURATION, WITH_DASH)
    contents |= dict.fromkeys(copies.values(), contents[PATH])
    found = ask_service(service.url, comparison(contents, *copies, KEY), environment={"RGZ_EMAIL_TOKEN": ADMIN_TOKEN})
    assert (found.failure, found.environment, found.days) == (None, "production", 30)
    assert [one.key for one in found.templates] == [*copies, KEY]
    assert [(one.replayed, one.refused) for one in found.templates[-1:]] == [(len(canaries), 2)]
    assert not [word for word in canaries if word in found.model_dump_json()]


@pytest.mark.parametrize(
    ("url", "token", "said"),
    [
        ("http://mail.example.org", "key", "--service must begin with https://"),
        ("ftp://127.0.0.1", "key", "--service must be a URL"),
        ("https://user:word@127.0.0.1", "key", "without a user or a query"),
        ("https://127.0.0.1:99999", "key", "--service is no URL"),
        ("{url}", "", "it needs an API key with the scope deploy in RGZ_EMAIL_TOKEN"),
        ("{url}", "wrong", "it answers 401; it does not know the key"),
        ("{url}/elsewhere", ADMIN_TOKEN, "it answers 404"),
        ("http://127.0.0.1:9", ADMIN_TOKEN, "it can't be reached: ConnectionRefusedError"),
    ],
)
def test_diff_tells_why_the_service_gives_no_answer(service: Running, url: str, token: str, said: str) -> None:
    found = ask_service(
        url.format(url=service.url), comparison(files(), KEY), environment={"RGZ_EMAIL_TOKEN": token} if token else {}
    )
    assert said in (found.failure or "")
    assert ADMIN_TOKEN not in found.model_dump_json()
    assert found.templates == []


def test_diff_takes_the_key_from_a_file(service: Running, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{ADMIN_TOKEN}\n")
    found = ask_service(
        service.url, comparison(files(), KEY), environment={"RGZ_EMAIL_TOKEN_FILE": str(tmp_path / "key")}
    )
    assert found.failure is None


def test_replay_answers_when_the_service_follows_a_repository(tmp_path: Path) -> None:
    with deployed(tmp_path) as here:
        here.look()
        here.until("synced")
        [key] = [item["key"] for item in here.current["items"]][:1]
        root = here.repository.clone.mails
        contents = {path: file.data.decode() for path, file in read_files(root).by_path.items()}
        answer = ask(here.service, contents, key)
    assert answer.status_code == 200, answer.text
    assert [one["key"] for one in answer.json()["templates"]] == [key]


def test_report_takes_an_answer_only_in_the_shape_that_the_service_gives(service: Running) -> None:
    answer = json.loads(ask(service, files()).text)
    assert ServiceReplay.model_validate({key: answer[key] for key in ("environment", "days", "templates")})
    assert set(answer["templates"][0]) == set(Replayed.model_fields)
