"""Secrets from files: NAME_FILE in place of NAME."""

from pathlib import Path

import pytest

from service.config.environment import load, misspelt
from service.config.settings import SECRETS, Settings
from service.errors import ConfigurationError

GOOD = "Rk2vX9hQeT7bNw4sLc8mZp1uYd6gJf3a"


def problems_of(environment: dict[str, str]) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(environment)
    return list(caught.value.problems)


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_secret_comes_from_its_file_without_the_last_line_break(tmp_path: Path, name: str, end: str) -> None:
    secret = {"database_url": "postgresql://u:p@h/db", "queue_url": "redis://:p@h/0"}.get(name, f" {GOOD}\t")
    file = tmp_path / "secret"
    file.write_bytes(f"{secret}{end}".encode())
    settings = load({f"{name.upper()}_FILE": str(file), name.upper(): " "})
    assert getattr(settings, name).get_secret_value() == secret
    assert name in settings.model_fields_set
    assert misspelt({f"{name.upper()}_FILE": str(file)}) == []


def test_secrets_are_all_that_may_come_from_a_file() -> None:
    properties = Settings.model_json_schema()["properties"]
    assert {name for name, schema in properties.items() if "'format': 'password'" in str(schema)} == set(SECRETS)


def test_secret_given_twice_is_a_mistake(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text(GOOD)
    [problem] = problems_of({"EMAIL_ADMIN_TOKEN": GOOD, "EMAIL_ADMIN_TOKEN_FILE": str(file)})
    assert problem == "EMAIL_ADMIN_TOKEN and EMAIL_ADMIN_TOKEN_FILE are both set; leave one of them out"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, "No such file"), (b"", "empty"), (b"\n", "empty"), (b"\xff" * 30, "UTF-8"), (b"a\0b", "NUL"),
        (b"x" * 65_537, "larger"),
    ],
    ids=["missing", "empty", "line", "latin", "nul", "large"],
)  # fmt: skip
def test_secret_file_that_cannot_be_used_is_named_with_the_reason(
    tmp_path: Path, data: bytes | None, reason: str
) -> None:
    file = tmp_path / "secret"
    if data is not None:
        file.write_bytes(data)
    [problem] = problems_of({"SMTP_PASSWORD_FILE": str(file)})
    assert problem.startswith(f"SMTP_PASSWORD_FILE: {file} ")
    assert reason in problem


def test_secret_file_may_be_no_folder_and_may_have_no_end(tmp_path: Path) -> None:
    assert "Is a directory" in problems_of({"QUEUE_URL_FILE": str(tmp_path)})[0]
    assert "larger" in problems_of({"QUEUE_URL_FILE": "/dev/zero"})[0]


def test_mistakes_of_files_and_settings_are_reported_together(tmp_path: Path) -> None:
    found = problems_of(
        {"QUEUE_URL_FILE": str(tmp_path / "a"), "DATABASE_URL_FILE": str(tmp_path / "b"), "SMTP_PORT": "x"}
    )
    assert len(found) == 3


def test_secret_file_that_may_not_be_read_is_named() -> None:
    file = "/proc/self/mem"  # nobody, not even root, reads its first page
    [problem] = problems_of({"SMTP_PASSWORD_FILE": file})
    assert problem.startswith(f"SMTP_PASSWORD_FILE: {file}")
