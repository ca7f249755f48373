"""Reading files again: only changed folders, unless links or hidden folders make that unsafe."""

import threading
from pathlib import Path

import pytest

from service.templates.runtime.sandbox import sandbox_without_modules
from service.templates.source.files import Files, read_files
from service.templates.source.watch import watch_changes
from tests.support.template_kit import LIMITS


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        (tmp_path / "mails" / name).mkdir(parents=True)
        (tmp_path / "mails" / name / "template.mjml").write_text("one")
    return tmp_path / "mails"


def _change_both(root: Path) -> None:
    for name in ("a", "b"):
        (root / name / "template.mjml").write_text("other")


def _texts(files: Files) -> dict[str, str]:
    return {path: files.text(path) for path in files.by_path}


def test_reread_reads_only_the_named_folders(root: Path) -> None:
    before = read_files(root)
    _change_both(root)
    assert _texts(read_files(root, before, only={"a"})) == {"a/template.mjml": "other", "b/template.mjml": "one"}
    assert set(_texts(read_files(root, before)).values()) == {"other"}


def test_folder_that_is_gone_is_left_out_and_a_new_one_is_found(root: Path) -> None:
    before = read_files(root)
    (root / "a").rename(root / "c")
    assert set(read_files(root, before, only={"a", "c"}).by_path) == {"b/template.mjml", "c/template.mjml"}


def test_file_at_the_top_is_read_too(root: Path) -> None:
    before = read_files(root)
    (root / "theme.css").write_text("a{}")
    with_theme = read_files(root, before, only={"theme.css"})
    assert "theme.css" in with_theme
    (root / "theme.css").unlink()
    assert "theme.css" not in read_files(root, with_theme, only={"theme.css"})


def test_reread_reads_everything_where_there_are_links(root: Path) -> None:
    (root / "a" / "part.mjml").symlink_to("../b/template.mjml")
    before = read_files(root)
    assert before.has_links
    _change_both(root)
    assert read_files(root, before, only={"b"}).text("a/part.mjml") == "other"


def test_link_that_is_new_is_followed_from_then_on(root: Path) -> None:
    before = read_files(root)
    (root / "c").symlink_to("b")
    linked = read_files(root, before, only={"c"})
    assert linked.has_links
    _change_both(root)
    assert read_files(root, linked, only={"b"}).text("c/template.mjml") == "other"


def test_watch_says_in_which_folder_something_changed(root: Path) -> None:
    assert _seen(root, root / "a" / "template.mjml") == frozenset({"a"})


def test_watch_says_nothing_certain_about_hidden_folders(root: Path) -> None:
    (root / ".hidden").mkdir()
    assert _seen(root, root / ".hidden" / "template.mjml") is None


def test_watch_knows_the_folder_below_a_relative_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root.parent)
    assert _seen(Path(root.name), root / "b" / "template.mjml") == frozenset({"b"})


def _seen(root: Path, file: Path) -> frozenset[str] | None:
    """What the watch says of the first change."""
    stop = threading.Event()
    watched = watch_changes(root, stop)
    assert next(watched) is None  # it has begun
    file.write_text("other")
    found = next(names for names in watched if names != frozenset())
    stop.set()
    return found


def test_templates_that_import_nothing_share_their_sandbox() -> None:
    assert sandbox_without_modules(LIMITS, "fr") is sandbox_without_modules(LIMITS, "fr")
    assert sandbox_without_modules(LIMITS, "fr") is not sandbox_without_modules(LIMITS, "en")
