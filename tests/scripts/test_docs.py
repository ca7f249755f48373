"""scripts/docs writes the generated parts of documents, and names items that no document shows."""

from pathlib import Path

import pytest

import docs

ALL = "".join(
    f"<!-- generated: {kind} -->\n<!-- end of {kind} -->\n"
    for kind in ("routes", "fields", "settings", "commands", "states", "report", "metrics")
)


def test_docs_writes_every_kind_between_its_marks_and_keeps_the_prose(tmp_path: Path) -> None:
    file = tmp_path / "docs" / "all.md"
    file.parent.mkdir()
    file.write_text(f"Before.\n{ALL}After.\n", "utf-8")
    assert docs.main([], home=tmp_path) == 0
    written = file.read_text("utf-8")
    assert written.startswith("Before.\n<!-- generated: routes -->\n")
    assert written.endswith("<!-- end of metrics -->\nAfter.\n")
    assert "\n| `POST /api/v1/email/send` | `send` | " in written
    assert "\n| `to` | required | " in written
    assert "\n| `SMTP_PORT` | integer, 1 to 65,535 | `587` | " in written
    assert "\n## rgz-email keys create\n" in written
    assert "\n| `failed` | delivered, bounced, complaint |\n" in written
    assert "\n| `rgz_email_attempts_total` | counter | " in written
    assert docs.main(["--check"], home=tmp_path) == 0
    assert file.read_text("utf-8") == written


def test_docs_check_changes_nothing_and_names_what_is_stale_or_without_a_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "docs" / "some.md"
    file.parent.mkdir()
    text = "<!-- generated: states -->\n<!-- end of states -->\n" * 2
    file.write_text(text, "utf-8")
    assert docs.main(["--check"], home=tmp_path) == 1
    said = capsys.readouterr().err.splitlines()
    assert "docs/some.md is not up to date: run scripts/docs" in said
    assert "states 'queued' is shown in 2 places of docs/ instead of one" in said
    assert "settings 'SMTP_HOST' is shown in 0 places of docs/ instead of one" in said
    assert file.read_text("utf-8") == text


def test_docs_listing_shows_only_what_a_pattern_names() -> None:
    listing = docs.Listing({"A_ONE": "one", "A_TWO": "two", "B_ONE": "three"}, head="head\n")
    assert listing.part(["A_*"]) == "head\none\ntwo"
    assert listing.part(["B_ONE"]) == "head\nthree"
    assert listing.shown == ["A_ONE", "A_TWO", "B_ONE"]
