"""The documents hold every setting, command, route and table, and name no file, link or setting that is not there."""

import re
import subprocess
import sys
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import click
import pytest
import yaml
from litestar import Litestar
from litestar.routes import HTTPRoute

from service.cli.main import main
from service.config.environment import load
from service.config.settings import Settings
from service.models.deployment_requests import (
    ActivateRequest,
    DeployRequest,
    HoldRequest,
    RollbackRequest,
    SuspendRequest,
)
from service.models.requests import BatchRequest, PublishRequest, SendRequest, SuppressionRequest, TestRequest
from service.models.status import TRANSITIONS, Status
from service.web.app import create_app
from tests.support.paths import ROOT
from tests.support.running import Running, running, settings_for

ENV_EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
DOCUMENTS = [
    *(file for file in sorted(ROOT.glob("*.md")) if file.name != "CHANGELOG.md"),  # it tells of what is gone, too
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "scripts" / "README.md",
    ROOT / "email_templates" / "README.md",
]
#: A path of the repository: in back quotes, or a target that begins with one of our folders.
_PATH = re.compile(
    r"`([\w.-]+(?:/[\w.-]+)*/?)`|\b((?:service|tests|scripts|docs|email_templates|snapshots)/[\w./-]*\w)"
)
#: What a name must end in to be taken for a file wherever it stands.
_FILE = re.compile(r".*\.(?:py|md|sql|sh|toml|lock)")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(settings_for(tmp_path_factory.mktemp("service"))) as started:
        yield started


def doc(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def test_documents_have_generated_parts_that_are_up_to_date_and_whole() -> None:
    script = [sys.executable, str(ROOT / "scripts" / "docs.py"), "--check"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


def test_settings_document_lists_every_setting_with_its_meaning() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \|.*\| (.*) \|$", doc("settings.md"), re.MULTILINE))
    assert rows == {name.upper(): field.description for name, field in Settings.model_fields.items()}


def test_env_example_names_every_setting_and_nothing_else() -> None:
    named = re.findall(r"^(?:# )?([A-Z][A-Z_]+)=", ENV_EXAMPLE, re.MULTILINE)
    assert sorted(named) == sorted(name.upper() for name in Settings.model_fields)


def test_env_example_is_taken_as_it_is() -> None:
    lines = [line.partition("=") for line in ENV_EXAMPLE.splitlines() if line and not line.startswith("#")]
    settings = load({name: value for name, _, value in lines})
    assert settings.smtp_host == "mail.rgz.bj"
    defaults = Settings()
    own = {"smtp_host", "smtp_user", "smtp_password", "email_templates_dir", "email_data_dir"}
    changed = {name for name in Settings.model_fields if getattr(settings, name) != getattr(defaults, name)}
    assert changed <= own


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_document_names_no_setting_that_is_not_there(document: Path) -> None:
    named = set(re.findall(r"\b(?:EMAIL|SMTP)_[A-Z_]*[A-Z]\b(?!_)", document.read_text(encoding="utf-8")))
    known = {name.upper() for name in Settings.model_fields}
    assert [name for name in sorted(named - known) if not any(one.startswith(f"{name}_") for one in known)] == []


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    found: list[tuple[tuple[str, ...], click.Command]] = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        found.append(((*path, name), command))
        if isinstance(command, click.Group):
            found += commands(command, (*path, name))
    return found


@pytest.mark.parametrize(("path", "command"), commands(main), ids=str)
def test_commands_all_have_an_example_and_stand_in_the_document(path: tuple[str, ...], command: click.Command) -> None:
    called, text = f"rgz-email {' '.join(path)}", doc("cli.md")
    assert "Example:" in (command.help or ""), "its --help needs an example"
    assert called in (command.help or "") + text
    assert f"\n## {called}\n" in text
    for option in command.params:
        assert all(name in text for name in option.opts if name.startswith("--"))


def test_api_document_lists_every_route_and_says_what_it_does(service: Running) -> None:
    rows = re.findall(r"^\| `(GET|POST|PUT|DELETE) (/\S+)` \| (\S.*) \| (\S.*) \|$", doc("http-api.md"), re.MULTILINE)
    documented = {(method, path) for method, path, _, _ in rows}
    assert len(rows) == len(documented)
    assert documented == set(routes(create_app(service.services)))


def routes(app: Litestar) -> Iterator[tuple[str, str]]:
    """(method, path) of everything served, the path as it stands in the documentation."""
    for route in app.routes:
        assert isinstance(route, HTTPRoute)
        path = re.sub(r":\w+\}", "}", route.path_format)
        yield from ((str(method), path) for method in route.methods if method not in ("OPTIONS", "HEAD"))


def test_api_document_names_every_field_of_every_body() -> None:
    text = doc("http-api.md")
    of_mail = (SendRequest, BatchRequest, PublishRequest, SuppressionRequest, TestRequest)
    of_deployments = (DeployRequest, ActivateRequest, RollbackRequest, HoldRequest, SuspendRequest)
    for body in (*of_mail, *of_deployments):
        missing = [name for name in body.model_fields if f"`{name}`" not in text]
        assert missing == [], body.__name__


def test_api_document_explains_every_status_of_an_error() -> None:
    source = (ROOT / "service" / "web" / "problems.py").read_text(encoding="utf-8")
    used = {HTTPStatus[name].value for name in re.findall(r"HTTPStatus\.([A-Z_]+)", source)}
    explained = {int(code) for code in re.findall(r"^\| (\d{3}) \|", doc("http-api.md"), re.MULTILINE)}
    assert explained == used


def test_states_stand_in_the_document_as_the_code_has_them() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\w, ]+) \|$", doc("architecture.md"), re.MULTILINE))
    read = {state: set() if following == "final" else set(following.split(", ")) for state, following in rows.items()}
    assert {state: read[state] for state in Status} == {state: set(TRANSITIONS[state]) for state in Status}


def test_api_document_says_what_each_state_means() -> None:
    told = re.findall(r"^\| `(\w+)` \| [^|]+ \|$", doc("http-api.md").partition("## Messages")[2], re.MULTILINE)
    assert told[: len(Status)] == list(Status)


def test_privacy_document_names_every_table() -> None:
    scripts = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "service" / "store" / "sql").glob("*.sql"))
    tables = set(re.findall(r"^CREATE TABLE (\w+)", scripts, re.MULTILINE))
    renamed = dict(re.findall(r"^ALTER TABLE (\w+) RENAME TO (\w+)", scripts, re.MULTILINE))
    there = {renamed.get(table, table) for table in tables}
    text = doc("privacy.md")
    assert [table for table in sorted(there) if f"`{table}`" not in text] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_document_yaml_and_json_can_be_read(document: Path) -> None:
    for text in re.findall(
        r"^```(?:yaml|json)\n(.*?)^```", document.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    ):
        assert yaml.safe_load(text)


def test_operations_document_alerts_only_on_metrics_that_are_there() -> None:
    text = doc("operations.md")
    told = set(re.findall(r"^\| `(rgz_email_\w+)` \|", text, re.MULTILINE))
    assert len(told) > 15
    assert set(re.findall(r"rgz_email_\w+", text)) <= told


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_document_names_only_paths_that_exist(document: Path) -> None:
    # Not var/, where a service that has run here keeps its state.
    tops = {file.name for folder in (ROOT, ROOT / "service") for file in folder.iterdir()} - {"var"}
    named = {one or two for one, two in _PATH.findall(document.read_text(encoding="utf-8"))}
    named = {name for name in named if "NNNN" not in name}  # stands for a number
    paths = [
        name for name in named if _FILE.fullmatch(name) or ("/" in name.strip("/") and name.partition("/")[0] in tops)
    ]
    places = (ROOT, ROOT / "service", ROOT / "service" / "web" / "pages", document.parent, document.parent / "benches")
    assert [name for name in sorted(paths) if not any((place / name).exists() for place in places)] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_document_names_only_commands_that_exist(document: Path) -> None:
    code = re.findall(r"```.*?```|`[^`\n]+`", document.read_text(encoding="utf-8"), re.DOTALL)
    named = set(re.findall(r"\brgz-email ([a-z]+)", "\n".join(code)))
    assert named - set(main.list_commands(click.Context(main))) == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_document_links_all_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path) if path else document
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def anchors(document: Path) -> set[str]:
    """The names of a document's headings in links, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_first_mail_of_the_readme_is_accepted_as_it_is_written(service: Running) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    [body] = re.findall(r"curl -X POST http://localhost:8000/api/v1/email/send -d '(\{.+?\})'\n", readme, re.DOTALL)
    form = {"Content-Type": "application/x-www-form-urlencoded"}  # as curl -d says
    answer = service.client.post("/api/v1/email/send", content=body, headers=form)
    assert answer.status_code == 201, answer.text
    arrived = service.client.get("/dev/mailbox/messages", params={"to": "john@techconnect.bj", "wait_s": 5}).json()
    assert arrived["total"] == 1
    found = service.admin.get("/api/v1/email/messages", params={"to": "john@techconnect.bj"}).json()
    assert found["total"] == 1
