"""Recorded mails compared with what is rendered."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from service.errors import Conflict
from service.models import Rendered
from service.templates.mails import Mail, RenderedMail
from service.templates.snapshots import folder
from service.templates.snapshots.compare import SnapshotComparison, compare_files, paths_of, rendered_files
from tests.support.template_kit import template, text

TEMPLATE = template(text("Bonjour {{ name }}"))
MANIFESTS = {"t": TEMPLATE.manifest}
MAIL = Mail("t", "fr", "default")
RENDERED = RenderedMail(MAIL, Rendered("Objet", "<p>é</p>", "é\n", "fr", None, None))
FAILED = RenderedMail(Mail("t", "fr", "loops"), None, "it took longer than 60 s")
FILES = {path: data for path, data in rendered_files([RENDERED], MANIFESTS).items() if data is not None}


def compared_with(mails: Sequence[RenderedMail], recorded: Mapping[str, bytes]) -> SnapshotComparison:
    return compare_files(recorded, rendered_files(mails, MANIFESTS))


def test_snapshots_of_a_mail_are_its_two_parts_and_its_headers() -> None:
    assert [*FILES] == ["t/fr.default.html", "t/fr.default.txt", "t/fr.default.headers"]
    assert FILES["t/fr.default.html"] == "<p>é</p>".encode()
    assert FILES["t/fr.default.headers"].startswith(b"Subject: Objet\nFrom: (settings)\n")


def test_snapshots_are_equal_where_each_file_is_recorded() -> None:
    compared = compared_with([RENDERED], FILES)
    assert compared.is_equal
    assert compared.equal == sorted(FILES)


def test_snapshots_that_git_has_checked_out_with_other_line_ends_are_equal() -> None:
    recorded = {path: data.replace(b"\n", b"\r\n") for path, data in FILES.items()}
    assert compared_with([RENDERED], recorded).is_equal


def test_snapshots_that_differ_miss_or_have_no_mail_are_named() -> None:
    recorded = {
        **FILES,
        "t/fr.default.txt": b"e\n",
        "t/fr.gone.txt": b"",
        "gone/en.default.html": b"",
        "README.md": b"",
        ".cache/en.default.html": b"",
    }
    del recorded["t/fr.default.headers"]
    compared = compared_with([RENDERED], recorded)
    assert not compared.is_equal
    assert compared.equal == ["t/fr.default.html"]
    assert compared.differing == ["t/fr.default.txt"]
    assert compared.missing == ["t/fr.default.headers"]
    assert compared.orphans == ["gone/en.default.html", "t/fr.gone.txt"]


def test_snapshots_of_a_mail_that_can_not_be_rendered_differ_and_are_no_orphans() -> None:
    compared = compared_with([FAILED], {"t/fr.loops.html": b"x"})
    assert compared.differing == ["t/fr.loops.html"]
    assert compared.missing == ["t/fr.loops.headers", "t/fr.loops.txt"]
    assert compared.orphans == []


def test_snapshots_are_compared_by_digests_as_well() -> None:
    def digest(data: bytes) -> str:
        return hashlib.sha256(data).hexdigest()

    rendered = {path: digest(data) for path, data in FILES.items()}
    assert compare_files(rendered, rendered).is_equal
    assert compare_files({**rendered, "t/fr.default.txt": digest(b"")}, rendered).differing == ["t/fr.default.txt"]


def test_folder_is_read_without_links_and_what_is_no_mail(tmp_path: Path) -> None:
    folder.write(tmp_path / "shots", {**FILES, "a/b/c.txt": b"deep"})
    (tmp_path / "shots" / "README.md").write_text("x")
    (tmp_path / "shots" / ".hidden.txt").write_text("x")
    (tmp_path / "shots" / "link.txt").symlink_to(tmp_path / "shots" / "t" / "fr.default.txt")
    (tmp_path / "shots" / "t2").symlink_to(tmp_path / "shots" / "t")
    assert folder.read(tmp_path / "shots") == {**FILES, "a/b/c.txt": b"deep"}
    assert folder.read(tmp_path / "none") == {}


def test_folder_is_tidied_when_its_last_file_is_deleted(tmp_path: Path) -> None:
    folder.write(tmp_path, {"t/a.txt": b"", "t/b.txt": b""})
    folder.delete(tmp_path, ["t/a.txt"])
    assert folder.listed(tmp_path) == ["t/b.txt"]
    folder.delete(tmp_path, ["t/b.txt"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("link", [".", "t", "t/fr.default.txt"])
def test_folder_is_not_written_read_or_tidied_through_a_link(tmp_path: Path, link: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "index.html").write_text("somebody's")
    shots = tmp_path / "shots"
    (shots / link).parent.mkdir(parents=True, exist_ok=True)
    (shots / link).symlink_to(elsewhere / "file" if "/" in link else elsewhere)
    assert folder.listed(shots) == []
    assert folder.listed(shots / link) == []
    with pytest.raises(Conflict, match="symbolic link"):
        folder.write(shots, {path: data for path, data in FILES.items() if path in (paths_of(MAIL)[1],)})
    assert [one.name for one in elsewhere.iterdir()] == ["index.html"]
