"""The commands `keys rotate-secret` and `keys accept-new-secret`."""

import json
from pathlib import Path

import pytest

from tests.support.processes import run_here
from tests.support.running import data_directory

pytestmark = pytest.mark.slow

OTHER = "another-secret-of-the-tests-of-commands"


def test_secret_key_is_rotated_in_its_file_or_by_what_to_set(tmp_path: Path) -> None:
    state = data_directory(tmp_path)
    environment = {"EMAIL_DATA_DIR": str(state)}
    done = run_here("keys", "rotate-secret", "--json", environment=environment)
    assert json.loads(done.stdout) == {"file": str(state / "secret-key"), "set": {}}, done.stderr
    new, old = (state / "secret-key").read_text().split()
    # The database has met the old version alone so far; both go on.
    for given in ({"EMAIL_SECRET_KEY": old}, {"EMAIL_SECRET_KEY": new, "EMAIL_SECRET_KEY_PREVIOUS": old}):
        told = run_here("keys", "rotate-secret", environment=environment | given)
        assert told.returncode == 0, told.stderr
        assert f"EMAIL_SECRET_KEY_PREVIOUS={','.join(given.values())}" in told.stdout
    assert (state / "secret-key").read_text().split() == [new, old]


def test_secret_key_that_is_not_the_databases_ends_commands_until_it_is_accepted(tmp_path: Path) -> None:
    environment = {"EMAIL_DATA_DIR": str(data_directory(tmp_path))}
    assert run_here("keys", "list", environment=environment).returncode == 0
    other = environment | {"EMAIL_SECRET_KEY": OTHER}
    refused = run_here("keys", "list", environment=other)
    assert refused.returncode == 2
    assert "this database belongs to another secret key" in refused.stderr
    accepted = run_here("keys", "accept-new-secret", "--yes", "--json", environment=other)
    assert json.loads(accepted.stdout) == {"messages": 0, "suppressions": 0, "suppressions_lost": 0}
    assert run_here("keys", "list", environment=other).returncode == 0
