"""Names and messages that a publish request may bring; the rest of it is tested by HTTP."""

import pytest

from service.errors import InvalidRequest
from service.templates.authoring.publish_checks import check_key, check_message, check_paths
from service.templates.source.files import Files

FILES = Files.of({"t/template.mjml": "x", "t/examples/default.yaml": "x"})


@pytest.mark.parametrize("key", ["con", "nul", "aux", "prn", "com1", "lpt9", "-x", "x.", "CON", ".x", "x/y", "x\n", ""])
def test_publisher_refuses_a_key_that_not_every_system_can_hold(key: str) -> None:
    with pytest.raises(InvalidRequest):
        check_key(key)


@pytest.mark.parametrize("key", ["contact", "nul_2", "com10", "a", "invoice-2026"])
def test_publisher_takes_other_keys(key: str) -> None:
    check_key(key)


@pytest.mark.parametrize(
    "name",
    [
        "-x.mjml", "CON.mjml", "nul.txt", "Com1.yaml", "lpt9.a.css", "examples/CON.yaml", "-o/x.html", "aux/x.html",
        "part./x.html", "x.html.", "Template.mjml", "examples/DEFAULT.yaml",
    ],
)  # fmt: skip
def test_publisher_refuses_a_file_that_not_every_system_can_hold(name: str) -> None:
    with pytest.raises(InvalidRequest):
        check_paths("t", {name: b"x"}, FILES)


def test_publisher_takes_other_files_and_removes_odd_ones() -> None:
    check_paths("t", {"template.mjml": b"y", "template.en.mjml": b"x", "_part.html": b"x", "CON.mjml": None}, FILES)
    check_paths("t", {"template.mjml": None, "Template.mjml": b"x"}, FILES)


@pytest.mark.parametrize("message", ["a\0b", "\x1b[31mred", "", "  \n", "a\x7f", "a\ud800"])
def test_publisher_refuses_a_message_that_git_can_not_keep(message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_message(message)
    assert [one.pointer for one in caught.value.problems] == ["/message"]


def test_publisher_takes_other_messages() -> None:
    for message in (None, "Nouveau texte\n\nÀ cause de « ça » : 100 %\t👩‍💻"):
        check_message(message)
