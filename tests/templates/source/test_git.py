"""The git command: nothing that a checkout's own configuration names is run, and bytes are committed as they are."""

import subprocess
from pathlib import Path

import pytest

from service.templates.source.git import Author, WorkTree, git

AUTHOR = Author("Ada", "ada@example.com")


def run(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    (root / "t").mkdir(parents=True)
    (root / "t" / "template.mjml").write_text("one\n")
    run(root, "init", "-q", "-b", "main")
    WorkTree(root).commit("t", author=AUTHOR, message="first")
    return root


@pytest.mark.parametrize(
    ("setting", "attribute"),
    [
        ("filter.bad.clean", "filter=bad"), ("filter.bad.process", "filter=bad"),
        ("filter.b.a=d.clean", "filter=b.a=d"),
        ("diff.bad.textconv", "diff=bad"), ("diff.bad.command", "diff=bad"), ("core.fsmonitor", "text"),
        ("gpg.program", "text"), ("diff.external", "text"), ("core.sshCommand", "text"), ("hook.bad.command", "text"),
    ],
)  # fmt: skip
def test_git_runs_no_command_of_the_checkout(checkout: Path, setting: str, attribute: str) -> None:
    marker = checkout.parent / "ran"
    run(checkout, "config", setting, f"touch {marker}; cat")
    run(checkout, "config", "filter.bad.required", "true")
    run(checkout, "config", "commit.gpgSign", "true")
    run(checkout, "config", "log.showSignature", "true")
    (checkout / ".git" / "info").mkdir(exist_ok=True)
    (checkout / ".git" / "info" / "attributes").write_text(f"*.mjml {attribute}\n")
    (checkout / ".gitattributes").write_text(f"*.mjml {attribute}\n")
    hook = checkout / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {marker}\n")
    hook.chmod(0o755)
    tree = WorkTree(checkout)
    (checkout / "t" / "template.mjml").write_text("two\n")
    assert tree.has_changes("t")
    commit = tree.commit("t", author=AUTHOR, message="second")
    assert git(checkout, "log", "--format=%aN", "-1", "--", "t").strip() == b"Ada"
    assert git(checkout, "cat-file", "blob", f"{commit}:t/template.mjml") == b"two\n"
    assert not tree.has_changes("t")
    assert not marker.exists()


def test_git_fetches_nothing_for_a_partial_clone(checkout: Path) -> None:
    marker = checkout.parent / "ran"
    run(checkout, "config", "remote.origin.url", f"ext::touch {marker}")
    run(checkout, "config", "remote.origin.promisor", "true")
    run(checkout, "config", "protocol.ext.allow", "always")
    run(checkout, "config", "extensions.partialClone", "origin")
    run(checkout, "config", "core.repositoryFormatVersion", "1")
    missing = b"0" * 39 + b"1"
    assert b"missing" in git(checkout, "cat-file", "--batch-check", stdin=missing + b"\n")
    assert not marker.exists()
