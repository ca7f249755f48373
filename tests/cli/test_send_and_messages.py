"""The commands for sending, messages, keys and settings: output and exit status."""

import email
import email.policy
import json
from pathlib import Path

import pytest

from tests.support.checkouts import copy_templates
from tests.support.processes import run, run_here
from tests.support.running import data_directory
from tests.support.samples import PDF, WELCOME, WELCOME_OPTIONS

pytestmark = pytest.mark.slow

TOKEN = "admin-token-of-the-tests"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"EMAIL_DATA_DIR": str(data_directory(tmp_path)), "EMAIL_ADMIN_TOKEN": TOKEN}


@pytest.fixture
def only_welcome(tmp_path: Path) -> dict[str, str]:
    """One template alone: `render` compiles all that there are."""
    folder = tmp_path / "email_templates"
    copy_templates(folder, "onboarding_welcome")
    return {"EMAIL_TEMPLATES_DIR": str(folder)}


def test_render_needs_no_settings_and_no_data_directory(tmp_path: Path) -> None:
    done = run("render", "onboarding_welcome", "--text", environment={}, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Bienvenue")
    assert list(tmp_path.iterdir()) == []


def test_render_fills_in_what_is_set_and_prints_html_text_or_the_whole_mail(only_welcome: dict[str, str]) -> None:
    assigned = ["--set", "reseller_name=Zoé & Fils"]
    text = run_here("render", "onboarding_welcome", *assigned, "--text", environment=only_welcome).stdout
    html = run_here("render", "onboarding_welcome", *assigned, environment=only_welcome).stdout
    eml = run_here("render", "onboarding_welcome", *assigned, "--eml", environment=only_welcome).stdout
    assert "Zoé & Fils" in text
    assert "Zoé &amp; Fils" in html
    mail = email.message_from_string(eml, policy=email.policy.default)
    part = mail.get_body(("html",))
    assert part is not None
    assert part.get_content().rstrip("\n") == html.rstrip("\n")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["render", "nothing"], 1, "no template 'nothing'"),
        (["render", "onboarding_welcome", "--example", "nothing"], 1, "no example 'nothing'"),
        (["render", "onboarding_welcome", "--set", "nonsense"], 2, "NAME=VALUE"),
        (["render", "onboarding_welcome", "--set", "validation_link=javascript:x"], 1, "validation_link"),
        (["render"], 2, "Missing argument"),
        (["nothing"], 2, "No such command"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_mistakes_end_with_their_code_and_a_sentence(
    only_welcome: dict[str, str], arguments: list[str], code: int, said: str
) -> None:
    done = run_here(*arguments, environment=only_welcome)
    assert done.returncode == code
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_keys_are_made_listed_and_revoked(environment: dict[str, str]) -> None:
    made = json.loads(
        run_here("keys", "create", "billing", "--scopes", "send,read", "--json", environment=environment).stdout
    )
    assert made.keys() == {"id", "name", "scopes", "key"}
    assert made["scopes"] == ["read", "send"]
    listed = json.loads(run_here("keys", "list", "--json", environment=environment).stdout)
    assert [item["id"] for item in listed["items"]] == [made["id"]]
    assert made["key"] not in json.dumps(listed)
    assert run_here("keys", "revoke", made["id"], environment=environment).returncode == 0
    assert run_here("keys", "revoke", made["id"], environment=environment).returncode == 1
    assert json.loads(run_here("keys", "list", "--json", environment=environment).stdout)["items"][0]["revoked_at"]


def test_keys_refuse_a_scope_that_does_not_exist(environment: dict[str, str]) -> None:
    done = run_here("keys", "create", "x", "--scopes", "send,root", environment=environment)
    assert done.returncode == 2
    assert "root" in done.stderr


def test_send_queues_a_mail_whose_history_messages_tells(environment: dict[str, str]) -> None:
    sent = run_here(
        "send", "onboarding_welcome", "--to", "a@example.com", *WELCOME_OPTIONS, "--json", environment=environment
    )
    assert sent.returncode == 0, sent.stderr
    [message] = json.loads(sent.stdout)["messages"]
    listed = json.loads(run_here("messages", "--to", "a@example.com", "--json", environment=environment).stdout)
    assert [item["id"] for item in listed["items"]] == [message["id"]]
    told = run_here("messages", "show", message["id"], environment=environment).stdout
    assert "Bienvenue sur RGZ Access!" in told
    assert "accepted" in told


def test_send_names_every_mistake(environment: dict[str, str]) -> None:
    done = run("send", "onboarding_welcome", "--to", "a@@b", environment=environment)
    assert done.returncode == 1
    assert "/to" in done.stderr
    assert "/variables/reseller_name" in done.stderr


def test_send_takes_a_batch_whole_or_not_at_all(environment: dict[str, str], tmp_path: Path) -> None:
    mails = [{"to": f"{n}@example.com", "variables": WELCOME} for n in range(3)]
    file = tmp_path / "batch.json"
    file.write_text(json.dumps([*mails, {"to": "nobody", "variables": WELCOME}]), encoding="utf-8")
    refused = run_here("send", "onboarding_welcome", "--batch", str(file), environment=environment)
    assert refused.returncode != 0
    assert "/messages/3/to" in refused.stderr
    file.write_text(json.dumps(mails), encoding="utf-8")
    sent = run_here("send", "onboarding_welcome", "--batch", str(file), "--json", environment=environment)
    assert [item["to"] for item in json.loads(sent.stdout)["messages"]] == [one["to"] for one in mails]
    assert run_here("send", "onboarding_welcome", environment=environment).returncode == 2


def test_send_attaches_files(environment: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "facture.pdf"
    file.write_bytes(PDF)
    variables = {
        "reseller_name": "Tech", "month": "mars", "year": 2026, "amount_fcfa": 1000,
        "link_portal": "https://rgz.bj", "invoice_number": "INV-2",
    }  # fmt: skip
    given = tmp_path / "variables.json"
    given.write_text(json.dumps(variables))
    arguments = ["--to", "a@example.com", "--variables", str(given), "--attach", str(file)]
    assert run_here("send", "billing_invoice_monthly", *arguments, environment=environment).returncode == 0


def test_migrate_says_what_it_did_once(environment: dict[str, str]) -> None:
    first = json.loads(run_here("migrate", "--json", environment=environment).stdout)
    assert first["applied"]
    assert json.loads(run_here("migrate", "--json", environment=environment).stdout) == {"applied": []}


def test_config_hides_secrets_and_shows_the_rest(environment: dict[str, str]) -> None:
    done = run_here("config", "--json", environment=environment | {"SMTP_PASSWORD": "very-secret", "SMTP_PORT": "2525"})
    rows = {row["name"]: row for row in json.loads(done.stdout)["settings"]}
    assert (rows["SMTP_PORT"]["value"], rows["SMTP_PORT"]["given"]) == ("2525", True)
    assert rows["EMAIL_RATE_LIMIT_MARKETING"]["value"] == "1/day"
    assert "very-secret" not in done.stdout
    assert TOKEN not in done.stdout


def test_config_warns_of_a_misspelt_setting(environment: dict[str, str]) -> None:
    done = run_here("config", environment=environment | {"SMTP_HOTS": "mail.rgz.bj"})
    assert done.returncode == 0
    assert "did you mean SMTP_HOST?" in done.stderr


def test_secrets_are_made_once_and_for_the_owner_alone(environment: dict[str, str], tmp_path: Path) -> None:
    del environment["EMAIL_ADMIN_TOKEN"]
    run_here("keys", "list", environment=environment)
    files = [tmp_path / "state" / name for name in ("admin-token", "secret-key")]
    first = [file.read_text() for file in files]
    assert all(len(text.strip()) >= 32 for text in first)
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    run_here("keys", "list", environment=environment)
    assert [file.read_text() for file in files] == first
