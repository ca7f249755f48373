"""The script scripts/picture: its pictures and its messages."""

import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT, TEMPLATES

pytestmark = pytest.mark.browser


def picture(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "scripts" / "picture.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def png_size(file: Path) -> tuple[int, int]:
    """Width and height in pixels (PNG, ISO/IEC 15948, the IHDR chunk)."""
    header = file.read_bytes()[:24]
    assert header.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", header[16:24])
    return width, height


def test_picture_shows_a_mail_wide_narrow_and_dark(tmp_path: Path) -> None:
    done = picture("rma_confirmation", "--example", "default", "--out", tmp_path / "new")
    assert done.returncode == 0, done.stderr
    sizes = {file.name: png_size(file) for file in (tmp_path / "new").iterdir()}
    assert {name: width for name, (width, _) in sizes.items()} == {
        "rma_confirmation.fr.default.wide.png": 700,
        "rma_confirmation.fr.default.narrow.png": 320,
        "rma_confirmation.fr.default.wide-dark.png": 700,
        "rma_confirmation.fr.default.narrow-dark.png": 320,
    }
    assert len(done.stdout.splitlines()) == len(sizes)
    assert all(height > 500 for _, height in sizes.values())


def test_picture_names_the_templates_when_a_key_is_unknown(tmp_path: Path) -> None:
    done = picture("facture", "--out", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no template 'facture' (there are: billing_invoice_monthly, ")
    assert not list(tmp_path.iterdir())


def test_picture_names_the_examples_when_one_is_unknown(tmp_path: Path) -> None:
    done = picture("rma_confirmation", "--example", "x", "--out", tmp_path)
    assert (done.returncode, done.stderr) == (1, "error: rma_confirmation has no example 'x' (it has: default)\n")


def test_picture_refuses_a_mail_that_fetches(tmp_path: Path) -> None:
    for name in ("_shared", "values"):
        shutil.copytree(TEMPLATES / name, tmp_path / name)
    shutil.copytree(TEMPLATES / "rma_confirmation", tmp_path / "rma_confirmation")
    file = tmp_path / "rma_confirmation" / "template.mjml"
    pixel = '<mj-image src="https://tracker.example/pixel.png" alt="" />'
    file.write_text(file.read_text("utf-8").replace("<mj-button", f"{pixel}<mj-button"), "utf-8")
    done = picture("--templates", tmp_path, "--out", tmp_path / "out")
    assert (done.returncode, done.stderr) == (1, "error: the mail asks for https://tracker.example/pixel.png\n")


def test_readme_picture_is_there_and_small() -> None:
    file = ROOT / "scripts" / "pictures" / "mails.png"
    assert png_size(file)[0] > 1000
    assert file.stat().st_size < 150_000


def test_pictures_of_the_pages_are_there_and_small() -> None:
    files = sorted((ROOT / "scripts" / "pictures").glob("pages-*.png"))
    assert len(files) >= 4
    for file in files:
        assert png_size(file) == (1200, 750)
        assert file.stat().st_size < 150_000
        assert f"(../scripts/pictures/{file.name})" in (ROOT / "docs" / "pages.md").read_text(encoding="utf-8")
