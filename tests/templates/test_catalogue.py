"""The catalogue: one snapshot, rebuilt in part when files change; the last good revision serves while one is broken."""

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from service.errors import TemplateInvalid
from service.templates.catalogue import Catalogue
from service.templates.compiler import Compilation
from service.templates.directory_catalogue import DirectoryCatalogue
from service.templates.source.files import Files
from tests.support.template_kit import COMPILER, VALUES, document, front_matter, text

HEADER = "<mj-section><mj-column><mj-text>{}</mj-text></mj-column></mj-section>"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "mails"
    _write(folder, "a/template.mjml", front_matter() + document('<mj-include path="../_shared/header.mjml" />'))
    _write(folder, "b/template.mjml", front_matter() + text("b1"))
    _write(folder, "_shared/header.mjml", HEADER.format("h1"))
    return folder


def _write(root: Path, path: str, content: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(file.name + ".new")
    new.write_text(content, encoding="utf-8")
    new.replace(file)


def _text(catalogue: Catalogue, key: str) -> str:
    return catalogue.current.get(key).render(VALUES).text


def test_load_gives_every_template(root: Path) -> None:
    snapshot = DirectoryCatalogue(root, compiler=COMPILER).load()
    assert sorted(snapshot.entries) == ["a", "b"]
    assert snapshot.get("a").render(VALUES).text == "h1\n"
    with pytest.raises(KeyError):
        snapshot.get("_shared")


def test_broken_template_does_not_stop_the_others(root: Path) -> None:
    _write(root, "b/template.mjml", front_matter() + text("{{ nme }}"))
    snapshot = DirectoryCatalogue(root, compiler=COMPILER).load()
    assert snapshot.get("a").key == "a"
    assert snapshot.entries["b"].is_degraded
    with pytest.raises(TemplateInvalid) as invalid:
        snapshot.get("b")
    assert [one.code for one in invalid.value.findings] == ["undeclared-variable"]


def test_refresh_compiles_what_changed_and_what_depends_on_it(root: Path) -> None:
    catalogue = DirectoryCatalogue(root, compiler=COMPILER)
    first = catalogue.load()
    _write(root, "_shared/header.mjml", HEADER.format("h2"))
    second = catalogue.refresh()
    assert _text(catalogue, "a") == "h2\n"
    assert second.get("b") is first.get("b")
    assert first.get("a").render(VALUES).text == "h1\n"


def test_refresh_finds_a_file_that_was_missing(root: Path) -> None:
    _write(root, "c/template.mjml", front_matter() + document('<mj-include path="../_shared/later.mjml" />'))
    catalogue = DirectoryCatalogue(root, compiler=COMPILER)
    assert catalogue.load().entries["c"].is_degraded
    _write(root, "_shared/later.mjml", HEADER.format("later"))
    catalogue.refresh()
    assert _text(catalogue, "c") == "later\n"
    _write(root, "c/template.txt", "own")
    catalogue.refresh()
    assert _text(catalogue, "c") == "own\n"


def test_broken_file_leaves_the_last_good_revision(root: Path) -> None:
    catalogue = DirectoryCatalogue(root, compiler=COMPILER)
    good = catalogue.load().get("b")
    _write(root, "b/template.mjml", front_matter() + text("{{ nme }}"))
    broken = catalogue.refresh()
    assert broken.get("b").revision == good.revision
    assert broken.entries["b"].is_degraded
    _write(root, "b/template.mjml", front_matter() + text("b2"))
    assert not catalogue.refresh().entries["b"].is_degraded
    assert _text(catalogue, "b") == "b2\n"


def test_template_that_is_deleted_leaves(root: Path) -> None:
    catalogue = DirectoryCatalogue(root, compiler=COMPILER)
    catalogue.load()
    shutil.rmtree(root / "b")
    assert sorted(catalogue.refresh().entries) == ["a"]


def test_link_out_of_the_directory_is_not_followed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.html").write_text("geheim")
    (root / "_shared" / "secret.html").symlink_to(tmp_path / "secret.html")
    _write(root, "c/template.mjml", front_matter() + text('{% include "../_shared/secret.html" %}'))
    assert [
        one.code for one in DirectoryCatalogue(root, compiler=COMPILER).load().entries["c"].findings if one.is_error
    ] == ["file-not-found"]


def test_commit_is_that_of_the_checkout(root: Path) -> None:
    assert DirectoryCatalogue(root, compiler=COMPILER).load().commit is None
    for command in (
        ("init", "-q"), ("add", "."), ("-c", "user.name=n", "-c", "user.email=e@x.example", "commit", "-q", "-m", "m"),
    ):  # fmt: skip
        subprocess.run(("git", *command), cwd=root.parent, check=True)
    catalogue = DirectoryCatalogue(root, compiler=COMPILER)
    snapshot = catalogue.load()
    assert snapshot.commit is not None
    assert len(snapshot.commit) == 40
    assert [(snapshot.get(key).commit, snapshot.get(key).dirty) for key in "ab"] == [(snapshot.commit, False)] * 2
    _write(root, "_shared/header.mjml", HEADER.format("h2"))
    again = catalogue.refresh()
    assert [again.get(key).dirty for key in "ab"] == [True, False]


def test_cache_is_read_only_as_it_was_written(root: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = DirectoryCatalogue(root, compiler=COMPILER, cache_dir=cache).load()
    second = DirectoryCatalogue(root, compiler=COMPILER, cache_dir=cache).load()
    assert second.get("a").archive() == first.get("a").archive()
    assert second.entries["b"].findings == first.entries["b"].findings
    for file in cache.glob("*.compiled"):
        file.write_bytes(file.read_bytes().replace(b"h1", b"h9"))
    third = DirectoryCatalogue(root, compiler=COMPILER, cache_dir=cache).load()
    assert third.get("a").render(VALUES).text == "h1\n"
    _write(root, "_shared/header.mjml", HEADER.format("h2"))
    assert DirectoryCatalogue(root, compiler=COMPILER, cache_dir=cache).load().get("a").render(VALUES).text == "h2\n"


def test_cache_that_cannot_be_written_does_no_harm(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert DirectoryCatalogue(root, compiler=COMPILER, cache_dir=tmp_path / "file").load().get("b").key == "b"


@pytest.fixture
def watched(root: Path) -> Iterator[Catalogue]:
    catalogue = DirectoryCatalogue(root, compiler=COMPILER)
    catalogue.load()
    stop = threading.Event()
    thread = threading.Thread(target=catalogue.watch, args=(stop,))
    thread.start()
    try:
        _until_watching(catalogue, root)
        yield catalogue
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


def _until_watching(catalogue: Catalogue, root: Path) -> None:
    """The watch begins a moment after the thread: write until it was seen."""

    def touch() -> bool:
        _write(root, "zz/template.mjml", front_matter() + text(f"{time.monotonic()}"))
        return "zz" in catalogue.current.entries

    _wait(touch)


def _says(catalogue: Catalogue, name: str) -> bool:
    return _text(catalogue, "b") == f"{name}\n"


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_watch_serves_a_saved_file(watched: Catalogue, root: Path) -> None:
    _write(root, "b/template.mjml", front_matter() + text("b2"))
    _wait(lambda: _text(watched, "b") == "b2\n")


def test_watch_survives_a_directory_that_is_made_again(watched: Catalogue, root: Path) -> None:
    kept = root.parent / "kept"
    shutil.copytree(root, kept)
    shutil.rmtree(root)
    _wait(lambda: not watched.current.entries)
    kept.rename(root)
    _wait(lambda: "b" in watched.current.entries)
    _write(root, "b/template.mjml", front_matter() + text("b2"))
    _wait(lambda: _text(watched, "b") == "b2\n")


def test_watch_follows_a_link_that_is_swapped(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        _write(tmp_path / name, "b/template.mjml", front_matter() + text(name))
    link = tmp_path / "mails"
    link.symlink_to("one")
    catalogue = DirectoryCatalogue(link, compiler=COMPILER)
    catalogue.load()
    stop = threading.Event()
    thread = threading.Thread(target=catalogue.watch, args=(stop,))
    thread.start()
    try:
        for name in ("two", "three"):
            (tmp_path / "new").symlink_to(name)
            (tmp_path / "new").replace(link)
            _wait(partial(_says, catalogue, name))
    finally:
        stop.set()
        thread.join(30)


def test_watch_follows_a_mounted_config_map(tmp_path: Path) -> None:
    """Kubernetes: mails/b -> ..data/b, ..data -> ..1; an update makes ..2 and swaps ..data."""
    root = tmp_path / "mails"
    for number in (1, 2):
        _write(root, f"..{number}/b/template.mjml", front_matter() + text(f"b{number}"))
    (root / "..data").symlink_to("..1")
    (root / "b").symlink_to("..data/b")
    catalogue = DirectoryCatalogue(root, compiler=COMPILER)
    catalogue.load()
    assert _text(catalogue, "b") == "b1\n"
    stop = threading.Event()
    thread = threading.Thread(target=catalogue.watch, args=(stop,))
    thread.start()
    try:
        (root / "..new").symlink_to("..2")
        (root / "..new").replace(root / "..data")
        _wait(lambda: _text(catalogue, "b") == "b2\n")
    finally:
        stop.set()
        thread.join(30)


def test_file_that_is_only_being_replaced_goes_on_serving(root: Path) -> None:
    now = [0.0]
    catalogue = DirectoryCatalogue(root, compiler=COMPILER, clock=lambda: now[0])
    catalogue.load()
    (root / "b/template.mjml").unlink()
    waiting = catalogue.refresh(with_grace=True)
    assert waiting.get("b").key == "b"
    assert [finding.code for finding in waiting.entries["b"].findings] == ["template-gone"]
    now[0] = 1.9
    assert "b" in catalogue.refresh(with_grace=True).entries
    now[0] = 2.1
    assert "b" not in catalogue.refresh(with_grace=True).entries


def test_file_that_comes_back_in_time_was_never_away(root: Path) -> None:
    now = [0.0]
    catalogue = DirectoryCatalogue(root, compiler=COMPILER, clock=lambda: now[0])
    before = catalogue.load().entries["b"].findings
    (root / "b/template.mjml").unlink()
    catalogue.refresh(with_grace=True)
    _write(root, "b/template.mjml", front_matter() + text("b1"))
    assert catalogue.refresh(with_grace=True).entries["b"].findings == before
    now[0] = 10.0
    assert "b" in catalogue.refresh(with_grace=True).entries


class BreakingCompiler:
    """Fails at the first compilations, as no compiler should."""

    limits, values = COMPILER.limits, COMPILER.values

    def __init__(self) -> None:
        self.failures_left = 0

    def compile(self, files: Files, key: str) -> Compilation:
        return COMPILER.compile(files, key)

    def compile_all(self, files: Files, keys: Collection[str]) -> Mapping[str, Compilation]:
        if keys and self.failures_left:
            self.failures_left -= 1
            raise MemoryError
        return COMPILER.compile_all(files, keys)


def test_watch_goes_on_after_an_error_and_makes_up_for_it(root: Path) -> None:
    compiler = BreakingCompiler()
    catalogue = DirectoryCatalogue(root, compiler=compiler)
    catalogue.load()
    assert catalogue.watch_age_s is None
    compiler.failures_left = 1
    stop = threading.Event()
    thread = threading.Thread(target=catalogue.watch, args=(stop,))
    thread.start()
    try:
        _wait(lambda: catalogue.watch_age_s is not None)
        _write(root, "b/template.mjml", front_matter() + text("b2"))
        _wait(lambda: _text(catalogue, "b") == "b2\n")
        assert compiler.failures_left == 0
    finally:
        stop.set()
        thread.join(30)


def test_watch_age_grows_while_the_watch_stands_still(root: Path) -> None:
    now = [100.0]
    catalogue = DirectoryCatalogue(root, compiler=COMPILER, clock=lambda: now[0])
    stop = threading.Event()
    thread = threading.Thread(target=catalogue.watch, args=(stop,))
    thread.start()
    try:
        _wait(lambda: catalogue.watch_age_s is not None)
    finally:
        stop.set()
        thread.join(30)
    now[0] = 250.0
    assert catalogue.watch_age_s == 150.0
