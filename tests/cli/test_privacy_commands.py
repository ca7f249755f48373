"""The commands `purge` and `person`."""

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.processes import run_here
from tests.support.running import data_directory
from tests.support.samples import WELCOME_OPTIONS

pytestmark = pytest.mark.slow

CANARY = b"canary-of-the-commands"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"EMAIL_DATA_DIR": str(data_directory(tmp_path))}


def old_message(environment: dict[str, str]) -> Path:
    """A message that ended a hundred days ago; the directory with all state."""
    state = Path(environment["EMAIL_DATA_DIR"])
    sent = run_here(
        "send",
        "onboarding_welcome",
        "--to",
        f"{CANARY.decode()}@example.com",
        *WELCOME_OPTIONS,
        environment=environment,
    )
    assert sent.returncode == 0, sent.stderr
    with sqlite3.connect(state / "rgz-email.db") as database:
        database.execute(
            "UPDATE email_messages SET status = 'cancelled', next_attempt_at = NULL, created_at = :at, send_at = :at",
            {"at": f"{datetime.now(UTC) - timedelta(days=100):%Y-%m-%dT%H:%M:%S.%fZ}"},
        )
    database.close()
    return state


def found(state: Path) -> list[str]:
    return [path.name for path in state.rglob("*") if path.is_file() and CANARY in path.read_bytes()]


def test_purge_counts_first_and_then_leaves_no_byte(environment: dict[str, str]) -> None:
    state = old_message(environment)
    would = run_here("purge", "--dry-run", "--json", environment=environment)
    assert json.loads(would.stdout) == {
        "dry_run": True, "messages_to_anonymise": 1, "messages_to_delete": 0, "suppressions_to_anonymise": 0,
    }  # fmt: skip
    assert found(state)
    done = json.loads(run_here("purge", "--json", environment=environment).stdout)
    assert (done["messages_anonymised"], done["is_finished"], done["is_scrubbed"]) == (1, True, True)
    assert found(state) == []
    told = run_here("purge", environment=environment).stdout
    assert told.startswith("0 messages and 0 suppressions anonymised, 0 messages deleted")


def test_recipient_is_exported_and_erased(environment: dict[str, str]) -> None:
    state = old_message(environment)
    address = f"{CANARY.decode()}@example.com"
    known = json.loads(run_here("person", "export", address, "--json", "--attachments", environment=environment).stdout)
    assert known["messages"][0]["variables"]["reseller_name"] == "Tech"
    assert "cancelled" in run_here("person", "export", address, environment=environment).stdout
    would = run_here("person", "erase", address, "--dry-run", environment=environment)
    assert (would.returncode, would.stdout[:12]) == (0, "Dry run: 1 m")
    done = run_here("person", "erase", address, "--json", environment=environment)
    assert (done.returncode, json.loads(done.stdout)["messages_anonymised"]) == (0, 1)
    assert found(state) == []
    assert run_here("person", "erase", "nobody", environment=environment).returncode == 1
