"""The command `suppressions`: import, export, add and lift."""

import json
from pathlib import Path

import pytest

from tests.support.processes import run_here
from tests.support.running import data_directory

pytestmark = pytest.mark.slow


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"EMAIL_DATA_DIR": str(data_directory(tmp_path))}


def test_suppression_list_is_imported_once_exported_and_lifted(environment: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("address,scope,reason\na@example.com,,asked\n=b@example.com,marketing,\na@EXAMPLE.com,all,\n")

    def imported(path: Path) -> dict[str, int]:
        counts: dict[str, int] = json.loads(
            run_here("suppressions", "import", str(path), "--json", environment=environment).stdout
        )
        return counts

    assert [imported(file), imported(file)] == [{"added": 2, "known": 1}, {"added": 0, "known": 3}]
    exported = run_here("suppressions", "export", environment=environment).stdout
    assert "'=b@example.com,marketing,manual," in exported
    file.write_text(exported)
    assert imported(file) == {"added": 0, "known": 2}

    ended = run_here(
        "suppressions", "lift", "A@example.com", "--reason", "works again", "--json", environment=environment
    )
    [item] = json.loads(ended.stdout)["items"]
    assert (item["lifted_by"], item["lift_reason"], item["reason"]) == ("command line", "works again", "asked")
    assert run_here("suppressions", "lift", "a@example.com", environment=environment).returncode == 1
    listed = run_here("suppressions", "list", "--lifted", "--json", environment=environment)
    assert json.loads(listed.stdout)["total"] == 2


def test_suppression_file_with_a_mistake_is_refused_as_a_whole(environment: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text("address\nnobody\na@example.com\nb@@example.com\n")
    done = run_here("suppressions", "import", str(file), environment=environment)
    assert done.returncode == 1
    assert "line 2: " in done.stderr and "line 4: " in done.stderr
    file.write_bytes(b"address\na@example.com\n\xe9@example.com\n")
    done = run_here("suppressions", "import", str(file), environment=environment)
    assert (done.returncode, "line 3: not UTF-8" in done.stderr) == (1, True)


def test_suppression_is_added_by_hand_once(environment: dict[str, str]) -> None:
    def added() -> dict[str, object]:
        arguments = ["add", "a@example.com", "--scope", "marketing", "--reason", "asked by telephone", "--json"]
        item: dict[str, object] = json.loads(run_here("suppressions", *arguments, environment=environment).stdout)
        return item

    first, second = added(), added()
    assert (first["new"], second["new"]) == (True, False)
    assert first["id"] == second["id"]
    told = run_here("suppressions", "list", environment=environment).stdout
    assert "a@example.com" in told and "asked by telephone (command line)" in told
