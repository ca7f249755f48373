"""The editor's script is committed as it was built; its first line names its sources."""

import hashlib
import re

from tests.support.paths import ROOT

SOURCES = ROOT / "scripts/editor"
STATIC = ROOT / "service/web/pages/static"


def test_editor_bundle_was_built_from_the_sources_as_they_are() -> None:
    digest = hashlib.sha256()
    for path in sorted(path for path in SOURCES.iterdir() if path.suffix in (".mjs", ".json")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    first_line = STATIC.joinpath("editor.js").read_text("utf-8").partition("\n")[0]
    assert digest.hexdigest() in first_line, (
        "the editor's sources have changed: run scripts/bundle and commit editor.js"
    )


def test_editor_bundle_is_small_and_brings_its_licences() -> None:
    script = STATIC.joinpath("editor.js").read_text("utf-8")
    assert len(script.encode()) < 500_000
    assert not re.search(r"\beval\(|new Function\(", script)
    licences = STATIC.joinpath("editor.licences.txt").read_text("utf-8")
    for name in ("@codemirror/view", "@codemirror/lang-jinja", "@lezer/html", "style-mod"):
        assert re.search(rf"^{name} \d", licences, re.MULTILINE), name
    assert licences.count("Permission is hereby granted") >= 15
