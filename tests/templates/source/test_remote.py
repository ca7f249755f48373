"""A remote repository as the source: what is fetched, read and refused."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.remote_repository import RemoteRepository

TEMPLATE = "email_templates/welcome/template.mjml"


@pytest.fixture
def forge(tmp_path: Path) -> RemoteRepository:
    return RemoteRepository.create(tmp_path / "forge")


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_fetch_reads_the_head_and_its_files(tmp_path: Path, object_format: str) -> None:
    forge = RemoteRepository.create(tmp_path / "forge", object_format=object_format)
    first = forge.publish({TEMPLATE: "one\n", "README.md": "x"}, "first")
    second = forge.publish({TEMPLATE: "two\n"}, "welcome: say two\n\nWhy.\n\nBreaking: welcome")
    remote = forge.remote(tmp_path)
    head = remote.fetch()
    assert (head.ref, head.commit.id, head.commit.parent) == ("refs/heads/main", second, first)
    assert (head.commit.author, head.commit.first_line) == ("Ada", "welcome: say two")
    assert head.commit.committed_at == datetime(2026, 11, 1, 10, tzinfo=UTC)
    read = remote.files(second)
    assert ({path: file.data for path, file in read.files.by_path.items()}, read.findings) == (
        {"welcome/template.mjml": b"two\n"}, (),
    )  # fmt: skip
    assert remote.commit(first).first_line == "first"
    assert (remote.is_ancestor(first, second), remote.is_ancestor(second, first)) == (True, False)
    assert remote.trailers(first, second) == ["welcome"]
