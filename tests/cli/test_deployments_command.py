"""The commands about deployments, beside a running service that follows a repository."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from service.cli.main import main
from service.models import OPERATOR
from tests.support.deployed import SHARING, STRICTER, DeployedService, changed, deployed
from tests.support.processes import started
from tests.support.running import ADMIN_TOKEN, eventually, settings_for

Call = Callable[..., Result]


@pytest.fixture
def here(tmp_path: Path) -> Iterator[DeployedService]:
    with deployed(tmp_path, in_real_time=True) as started:
        started.look()
        started.until("synced")
        yield started


@pytest.fixture
def environment(here: DeployedService) -> dict[str, str]:
    settings = here.service.services.settings
    return {
        "EMAIL_DATA_DIR": str(settings.email_data_dir),
        "EMAIL_TEMPLATES_GIT_URL": f"file://{here.repository.bare}",
        "EMAIL_TEMPLATES_GIT_PATH": "mails",
        "EMAIL_TEMPLATES_GIT_PROTOCOLS": "file",
        "EMAIL_LOG_LEVEL": "error",
    }


@pytest.fixture
def call(environment: dict[str, str]) -> Call:
    return lambda *words: CliRunner().invoke(main, list(words), env=environment)


def test_deployments_are_listed_shown_and_compared_with_the_one_before(here: DeployedService, call: Call) -> None:
    here.repository.keep_snapshots()
    commit = here.push("Salut", hello=changed("Salut"))
    here.until("synced")
    listed = call("deployments", "--json", "--key", "hello")
    assert (listed.exit_code, json.loads(listed.stdout)["items"][0]["commit"]) == (0, commit)
    assert "2 of 2" in call("deployments").stdout
    shown = call("deployments", "show", commit[:10], "--diff")
    assert "changed         hello" in shown.stdout
    assert "+<mj-text>Salut" in shown.stdout
    assert "snapshots: 0 equal, 0 differ, 1 missing\n    missing: hello/fr.default\n" in shown.stdout
    row = json.loads(call("deployments", "show", commit, "--json").stdout)
    assert row["snapshots"]["missing_mails"] == ["hello/fr.default"]
    assert {item["key"]: item["change"] for item in row["items"]} == {"hello": "changed", "other": "same"}
    now = call("deployments", "current")
    assert (now.exit_code, now.stdout.splitlines()[0][:7]) == (0, "synced:")
    assert json.loads(call("deployments", "current", "--json").stdout)["deployment"]["commit"] == commit


def test_rollback_hold_and_unhold_change_what_is_served(here: DeployedService, call: Call) -> None:
    here.push("Faux", hello=changed("Faux"))
    here.until("synced")
    done = call("rollback", "hello", "--why", "wrong words", "--json")
    assert (done.exit_code, json.loads(done.stdout)["deployment"]["trigger"]) == (0, "rollback")
    assert here.until("rolled_back")["holds"][0]["key"] == "hello"
    assert call("unhold", "hello").exit_code == 0
    assert here.until("synced")["holds"] == []
    held = call("hold", "other", "--why", "waits", "--until", "2099-01-01T00:00")
    assert held.exit_code == 1  # no earlier revision was served
    assert "No earlier revision" in held.stderr
    assert call("rollback", "--why", "x", "--to", "abcdef0").exit_code == 1
    assert call("unhold", "nothing").exit_code == 1


def test_suspend_and_resume_say_the_state(here: DeployedService, call: Call) -> None:
    assert call("suspend", "--why", "invoices go out", "--until", "2099-01-01T00:00:00Z").exit_code == 0
    here.push("Salut", hello=changed("Salut"))
    now = call("deployments", "current")
    assert "suspended" in now.stdout
    assert "waits:" in now.stdout
    assert call("resume").exit_code == 0


def test_deployment_that_is_held_is_activated_only_anyway(here: DeployedService, call: Call) -> None:
    commit = here.push("Required", hello=STRICTER)
    now = call("deployments", "current")
    assert (now.exit_code, "held:" in now.stdout) == (1, True)
    refused = call("deployments", "activate", commit, "--why", "billing is ready")
    assert (refused.exit_code, "hello/template.mjml:8" in refused.stderr) == (1, True)
    done = call("deployments", "activate", commit, "--anyway", "--why", "billing is ready", "--json")
    assert (done.exit_code, json.loads(done.stdout)["deployment"]["state"]) == (0, "live")


@pytest.mark.parametrize(
    "words",
    [
        ("rollback",),
        ("hold", "hello"),
        ("hold", "hello", "--why", "x", "--until", "tomorrow"),
        ("suspend",),
        ("deployments", "--state", "x"),
        ("deployments", "activate", "x"),
        ("sync", "--wait", "--watch"),
        ("deployments", "compare", "http://mail.example"),
        ("deployments", "compare", "ftp://localhost"),
        ("deployments", "compare", "https://key@mail.example"),
        ("deployments", "compare", "mail.example"),
    ],
    ids=" ".join,
)
def test_command_that_is_written_wrong_ends_with_2(words: tuple[str, ...]) -> None:
    assert CliRunner().invoke(main, list(words), env={"EMAIL_LOG_LEVEL": "error"}).exit_code == 2


def test_changes_are_refused_when_templates_come_from_a_directory(tmp_path: Path) -> None:
    environment = {"EMAIL_DATA_DIR": str(settings_for(tmp_path).email_data_dir), "EMAIL_LOG_LEVEL": "error"}
    for words in (["sync"], ["sync", "--watch"], ["rollback", "--why", "x"], ["resume"]):
        done = CliRunner().invoke(main, words, env=environment)
        assert (done.exit_code, "EMAIL_TEMPLATES_GIT_URL" in done.stderr) == (1, True), words


def test_sync_waits_for_the_process_that_watches(here: DeployedService, environment: dict[str, str]) -> None:
    here.repository.write("hello", changed("Salut"))
    commit = here.repository.push("Salut")
    here.service.services.deployments.leave()  # this process followed until now
    with started("sync", "--watch", environment=environment) as watching:
        watching.said("The repository is followed")
        done = CliRunner().invoke(main, ["sync", "--wait", "--json"], env=environment)
        assert (done.exit_code, json.loads(done.stdout)["deployment"]["commit"]) == (0, commit)
        assert [one["role"] for one in here.current["processes"]] == ["api", "sync"]
        assert watching.terminate() == 0
    assert [one["role"] for one in here.current["processes"]] == ["api"]


@pytest.mark.parametrize(
    ("text", "is_suspended", "said"), [(STRICTER, False, "held:"), (changed("Salut"), True, "waits:")]
)
def test_sync_ends_with_1_when_the_commit_is_not_served(
    here: DeployedService, environment: dict[str, str], text: str, is_suspended: bool, said: str
) -> None:
    if is_suspended:
        here.service.services.deployments.deployment_control.suspend(OPERATOR, why="invoices", until=None)
    here.repository.write("hello", text)
    here.repository.push("Required")
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(CliRunner().invoke, main, ["sync", "--wait"], env=environment)
        eventually(lambda: here.current["source"]["requested_look"], lambda number: number == 1)
        here.look()
        assert (done.result(60).exit_code, said in done.result().stdout) == (1, True)


def test_sync_gives_up_when_nobody_answers(here: DeployedService, environment: dict[str, str]) -> None:
    done = CliRunner().invoke(main, ["sync", "--wait", "--timeout", "1"], env=environment)
    assert (done.exit_code, "No process answered" in done.stderr) == (1, True)
    assert CliRunner().invoke(main, ["sync"], env=environment).exit_code == 0


def test_compare_tells_which_templates_differ(here: DeployedService, call: Call, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(ADMIN_TOKEN + "\n")
    url = here.service.url
    same = call("deployments", "compare", url, "--token-file", str(key))
    assert (same.exit_code, same.stdout) == (0, "2 of 2 templates are equal.\n")
    no_key = call("deployments", "compare", url)
    assert (no_key.exit_code, "--token-file" in no_key.stderr) == (1, True)
    current = here.current
    here.push("Allô", other=changed("Allô", SHARING))
    with other_environment(current) as there:
        differs = call("deployments", "compare", f"{there}/", "--json")
        assert differs.exit_code == 1
        assert [one["key"] for one in json.loads(differs.stdout)["items"] if not one["equal"]] == ["other"]
    wrong: list[Any] = [[], {"items": [1]}, "x"]
    for answer in wrong:
        with other_environment(answer) as there:
            assert call("deployments", "compare", there).exit_code == 1
    assert call("deployments", "compare", there).exit_code == 1  # it has ended


@contextmanager
def other_environment(answer: Any) -> Iterator[str]:
    """A server on loopback that answers every request with this JSON; its URL."""
    data = json.dumps(answer).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
