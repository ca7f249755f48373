"""A remote repository as the source: what is fetched of it, and what its commits say."""

import dataclasses
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.errors import GitError
from tests.support.remote_repository import RemoteRepository, run_git

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
    files = {path: file.data for path, file in read.files.by_path.items()}
    assert (files, read.findings) == ({"welcome/template.mjml": b"two\n"}, ())
    assert remote.commit(first).first_line == "first"
    assert (remote.is_ancestor(first, second), remote.is_ancestor(second, first)) == (True, False)
    assert remote.trailers(first, second) == ["welcome"]


@pytest.mark.parametrize(
    ("ref", "tags", "wanted"),
    [
        ("main", (), "refs/heads/main"),
        ("refs/heads/main", (), "refs/heads/main"),
        ("HEAD", (), "HEAD"),
        ("v*", ("v1.9", "v1.10", "v1.2", "w9"), "refs/tags/v1.10"),
        ("v*", ("v2.0.0-rc1", "v2.0.0", "v2.0.0-rc2"), "refs/tags/v2.0.0"),
        ("v1.[0-9]", ("v1.9", "v1.10"), "refs/tags/v1.9"),
        ("v1", ("v1", "v1.1"), "refs/tags/v1"),
    ],
)
def test_ref_is_a_branch_a_tag_or_the_highest_version(
    tmp_path: Path, forge: RemoteRepository, ref: str, tags: tuple[str, ...], wanted: str
) -> None:
    forge.publish({TEMPLATE: "one\n"})
    for tag in tags:
        forge.commit({TEMPLATE: tag})
        run_git(forge.work, "tag", "-a", tag, "-m", f"release {tag}")
    forge.push("HEAD:refs/heads/main", *(f"refs/tags/{tag}" for tag in tags))
    head = forge.remote(tmp_path, ref=ref).fetch()
    assert head.ref == wanted
    assert head.commit.id == run_git(forge.bare, "rev-parse", f"{wanted}^{{commit}}")


def test_ref_that_is_a_commit_is_fetched_and_stays(tmp_path: Path, forge: RemoteRepository) -> None:
    commit = forge.publish({TEMPLATE: "one\n"})
    forge.publish({TEMPLATE: "two\n"})
    remote = forge.remote(tmp_path, ref=commit)
    assert [remote.fetch().commit.id for _ in range(2)] == [commit, commit]


def test_fetch_follows_a_force_push_and_says_that_the_old_commit_left(tmp_path: Path, forge: RemoteRepository) -> None:
    base = forge.publish({TEMPLATE: "one\n"})
    gone = forge.publish({TEMPLATE: "two\n"})
    remote = forge.remote(tmp_path)
    assert remote.fetch().commit.id == gone
    run_git(forge.work, "reset", "-q", "--hard", base)
    new = forge.publish({TEMPLATE: "three\n"})
    assert remote.fetch().commit.id == new
    assert (remote.is_ancestor(gone, new), remote.is_ancestor(base, new)) == (False, True)
    assert remote.trailers(gone, new) == []


def test_history_is_fetched_as_far_as_a_question_needs_it(tmp_path: Path, forge: RemoteRepository) -> None:
    first = forge.publish({TEMPLATE: "one\n"})
    names = "".join(
        f"commit refs/heads/main\ncommitter A <a@b> {1_700_000_000 + n} +0000\ndata <<X\nc{n}\n\nBreaking: t{n}\nX\n"
        + (f"from {first}\n" if n == 0 else "")
        for n in range(120)
    )
    run_git(forge.bare, "fast-import", "--quiet", stdin=names.encode())
    remote = forge.remote(tmp_path)
    head = remote.fetch().commit.id
    assert int(run_git(remote.mirror, "rev-list", "--count", head)) == 50
    assert remote.is_ancestor(first, head) is True
    assert len(remote.trailers(first, head)) == 120
    assert remote.is_ancestor("1" * 40, head) is False


def test_commit_texts_are_one_printable_line_of_bounded_length(tmp_path: Path, forge: RemoteRepository) -> None:
    forge.commit({TEMPLATE: "one\n"}, "a\x1b[31mred\u202e" + "x" * 5_000 + "\n\nbody")
    forge.push()
    line = forge.remote(tmp_path).fetch().commit.first_line
    assert line is not None
    assert line.isprintable()
    assert line.startswith("a [31mred x")
    assert len(line) == 200


def test_trailers_of_an_unknown_start_are_those_of_the_last_commit(tmp_path: Path, forge: RemoteRepository) -> None:
    forge.publish({TEMPLATE: "one\n"}, "a\n\nBreaking: old")
    head = forge.publish({TEMPLATE: "two\n"}, "b\n\nBreaking: one\nBreaking: two")
    remote = forge.remote(tmp_path)
    remote.fetch()
    assert remote.trailers(None, head) == ["one", "two"]
    assert remote.trailers("1" * 40, head) == ["one", "two"]


def test_signature_must_be_by_an_allowed_signer(tmp_path: Path, forge: RemoteRepository) -> None:
    for name in ("ada", "eve"):
        key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(tmp_path / name)]
        subprocess.run(key, check=True, capture_output=True)
    signers = tmp_path / "signers"
    signers.write_text(f'ada@example.com namespaces="git" {(tmp_path / "ada.pub").read_text()}')
    remote = dataclasses.replace(forge.remote(tmp_path), signers=signers)
    unsigned = forge.publish({TEMPLATE: "0\n"})
    signed = {}
    for name in ("ada", "eve"):
        options = ("-c", "gpg.format=ssh", "-c", f"user.signingKey={tmp_path / name}")
        run_git(forge.work, *options, "commit", "-q", "-S", "--allow-empty", "-m", name)
        signed[name] = run_git(forge.work, "rev-parse", "HEAD")
    text = run_git(forge.work, "cat-file", "commit", signed["ada"]).encode() + b"\n"
    forged = run_git(forge.work, "hash-object", "-t", "commit", "-w", "--stdin", stdin=text.replace(b"ada\n", b"eve\n"))
    run_git(
        forge.work,
        "reset",
        "-q",
        "--hard",
        run_git(forge.work, "commit-tree", f"{forged}^{{tree}}", "-p", forged, "-p", signed["eve"], "-m", "m"),
    )
    forge.push()
    remote.fetch()
    assert remote.verify(signed["ada"]) == "ada@example.com"
    for commit, words in ((unsigned, "no signature"), (signed["eve"], "does not name"), (forged, "is wrong")):
        with pytest.raises(GitError, match=words):
            remote.verify(commit)
    signers.unlink()
    with pytest.raises(GitError, match="EMAIL_TEMPLATES_GIT_SIGNERS"):
        remote.verify(signed["ada"])
