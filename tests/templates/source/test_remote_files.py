"""Files of a commit, read without a checkout: no link, submodule, hook or filter acts, and all of it has bounds."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from service.errors import GitError
from service.templates.source.remote_files import CommitFiles
from tests.support.remote_repository import RemoteRepository, run_git

TEMPLATE = "email_templates/welcome/template.mjml"


@pytest.fixture
def forge(tmp_path: Path) -> RemoteRepository:
    return RemoteRepository.create(tmp_path / "forge")


def fetched(forge: RemoteRepository, folder: Path, path: str = "email_templates") -> CommitFiles:
    forge.push()
    return read(forge, folder, path)


def read(forge: RemoteRepository, folder: Path, path: str = "email_templates") -> CommitFiles:
    remote = forge.remote(folder, path=path)
    return remote.files(remote.fetch().commit.id)


def commit_tree(forge: RemoteRepository, entries: Mapping[bytes, tuple[str, bytes]]) -> None:
    """Push a commit of one directory `email_templates` with these entries: name -> mode and, for a file, its bytes."""
    lines = b""
    for name, (mode, data) in entries.items():
        kind = "tree" if mode == "40000" else "blob"
        made = data.decode() if kind == "tree" else run_git(forge.bare, "hash-object", "-w", "--stdin", stdin=data)
        lines += f"{mode} {kind} {made}\t".encode() + name + b"\0"
    folder = run_git(forge.bare, "mktree", "-z", stdin=lines)
    tree = run_git(forge.bare, "mktree", stdin=f"040000 tree {folder}\temail_templates\n".encode())
    run_git(forge.bare, "update-ref", "refs/heads/main", run_git(forge.bare, "commit-tree", tree, "-m", "made"))


def codes(read: CommitFiles) -> dict[str, str]:
    return {finding.file: finding.code for finding in read.findings}


def test_links_and_submodules_are_left_out_and_reported(tmp_path: Path, forge: RemoteRepository) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    forge.commit({TEMPLATE: "one\n"})
    folder = forge.work / "email_templates"
    (folder / "welcome" / "secret.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "welcome" / "near.txt").symlink_to("template.mjml")
    (folder / "other").symlink_to("welcome")
    (folder / "notes.pdf").symlink_to("/dev/zero")
    forge.commit({})
    run_git(forge.work, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},email_templates/_shared")
    run_git(forge.work, "commit", "-q", "-m", "submodule")
    marker = tmp_path / "ran"
    modules = f'[submodule "email_templates/_shared"]\n\tpath = email_templates/_shared\n\turl = ext::touch {marker}\n'
    (forge.work / ".gitmodules").write_text(modules)
    run_git(forge.work, "add", ".gitmodules")
    run_git(forge.work, "commit", "-q", "-m", "modules")
    read = fetched(forge, tmp_path)
    assert list(read.files.by_path) == ["welcome/template.mjml"]
    assert codes(read) == {
        "welcome/secret.txt": "file-link",
        "welcome/near.txt": "file-link",
        "other": "file-link",
        "_shared": "file-submodule",
    }
    assert all(finding.is_error for finding in read.findings)
    assert not marker.exists()


def test_hooks_filters_and_attributes_do_nothing(tmp_path: Path, forge: RemoteRepository) -> None:
    marker = tmp_path / "ran"
    forge.commit({TEMPLATE: "$Id$ one\n", ".gitattributes": "* ident eol=crlf filter=bad\n"})
    forge.commit(
        {"email_templates/.gitattributes": "* export-ignore\n", "email_templates/hooks/post-checkout.txt": "x"}
    )
    remote = forge.remote(tmp_path)
    forge.push()
    commit = remote.fetch().commit.id
    for name in ("post-checkout", "reference-transaction", "pre-receive", "post-index-change"):
        hook = remote.mirror / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {marker}\n")
        hook.chmod(0o755)
    commit = forge.publish({"email_templates/more.txt": "x"})
    assert remote.fetch().commit.id == commit
    assert remote.files(commit).files.text("welcome/template.mjml") == "$Id$ one\n"
    assert not marker.exists()


def test_names_that_are_not_utf8_or_not_printable_are_reported(tmp_path: Path, forge: RemoteRepository) -> None:
    names = (b"good.txt", b"caf\xe9.txt", b"a\nb.txt", b"bell\x07.txt", "zoé.txt".encode(), b"caf\xe9.pdf")
    commit_tree(forge, dict.fromkeys(names, ("100644", b"x")))
    found = read(forge, tmp_path)
    assert sorted(found.files.by_path) == ["good.txt", "zoé.txt"]
    assert codes(found) == {"caf\\xe9.txt": "file-name", "a\\x0ab.txt": "file-name", "bell\\x07.txt": "file-name"}


def test_names_that_differ_in_case_alone_are_both_read_and_reported(tmp_path: Path, forge: RemoteRepository) -> None:
    names = ("Intro.txt", "intro.txt", "zoe\u0301.txt", "zo\u00e9.txt", "other.txt")
    commit_tree(forge, {name.encode(): ("100644", name.encode()) for name in names})
    found = read(forge, tmp_path)
    assert sorted(found.files.by_path) == sorted(names)
    assert set(codes(found).values()) == {"file-case"}
    assert sum(1 for _ in found.findings) == 2
    assert not any(finding.is_error for finding in found.findings)


def test_file_of_100_mb_is_left_out_and_reported(tmp_path: Path, forge: RemoteRepository) -> None:
    run_git(forge.bare, "config", "core.bigFileThreshold", "1m")  # streamed, which is quicker
    sizes = {b"template.txt": 10, b"just.txt": 2_000_000, b"dump.txt": 100_000_000}
    commit_tree(forge, {name: ("100644", bytes(size)) for name, size in sizes.items()})
    found = read(forge, tmp_path)
    assert sorted(found.files.by_path) == ["just.txt", "template.txt"]
    assert codes(found) == {"dump.txt": "file-too-large"}
    assert "100.0 MB" in found.findings[0].message


def test_files_are_read_up_to_their_bound_and_refused_beyond(tmp_path: Path, forge: RemoteRepository) -> None:
    blob = run_git(forge.bare, "hash-object", "-w", "--stdin", stdin=b"x")
    folder = "".join(f"100644 blob {blob}\tf{n:04}.txt\n" for n in range(1_000)).encode()
    thousand = run_git(forge.bare, "mktree", stdin=folder).encode()
    for count, is_read in ((10, True), (21, False)):
        commit_tree(forge, {b"d%02d" % n: ("40000", thousand) for n in range(count)})
        if is_read:
            assert len(read(forge, tmp_path).files.by_path) == 10_000
        else:
            with pytest.raises(GitError, match="has more than 20000 files below email_templates"):
                read(forge, tmp_path)


def test_tree_that_unfolds_without_end_is_refused(tmp_path: Path, forge: RemoteRepository) -> None:
    inner, mode = run_git(forge.bare, "hash-object", "-w", "--stdin", stdin=b"x"), "100644"
    for _ in range(10):
        kind = "blob" if mode == "100644" else "tree"
        lines = "".join(f"{mode} {kind} {inner}\tn{n}.txt\n" for n in range(10))
        inner, mode = run_git(forge.bare, "mktree", stdin=lines.encode()), "40000"
    commit_tree(forge, {b"bomb": ("40000", inner.encode())})
    with pytest.raises(GitError, match="more than 20000 files"):
        read(forge, tmp_path)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (
            "templates",
            "has no directory templates .EMAIL_TEMPLATES_GIT_PATH.; its directories are docs, email_templates",
        ),
        ("README.md", "has no directory README.md"),
        ("../x", "is no directory of the repository"),
        ("email_templates\nHEAD", "is no directory of the repository"),
    ],
)
def test_path_that_is_no_directory_is_refused(tmp_path: Path, forge: RemoteRepository, path: str, words: str) -> None:
    forge.commit({TEMPLATE: "one\n", "README.md": "x", "docs/a.md": "x"})
    with pytest.raises(GitError, match=words):
        fetched(forge, tmp_path, path)


@pytest.mark.parametrize("path", [".", "", "/", "./", "./email_templates/", "email_templates"])
def test_path_is_a_directory_of_the_repository(tmp_path: Path, forge: RemoteRepository, path: str) -> None:
    forge.commit({TEMPLATE: "one\n"})
    prefix = "" if "email" in path else "email_templates/"
    assert list(fetched(forge, tmp_path, path).files.by_path) == [f"{prefix}welcome/template.mjml"]
