"""What a change of a template's front matter means for its callers."""

import pytest

from service.templates.contract import BREAKING_CODES, REFUSING_CODES, contract_changes
from service.templates.source.files import Files

FRONT = """\
---
subject: Objet
description: A mail.
category: support
version: 1
{more}variables:
  name: {{type: string, maxLength: 20, example: Zoé}}
  note: {{type: string, required: false, example: x}}
---
<mjml><mj-body></mj-body></mjml>
"""


def files(text: str | None = None, *, more: str = "", languages: tuple[str, ...] = ()) -> Files:
    own = {"t/template.mjml": text or FRONT.format(more=more)}
    return Files.of({**own, **{f"t/template.{language}.mjml": "" for language in languages}})


def told(before: Files, after: Files) -> list[tuple[str, int, str]]:
    return [(one.code, one.place.line, one.message) for one in contract_changes(before, after, "t")]


TEXT = FRONT.format(more="")
OLD = files()
PDF = "attachments:\n  allowed: true\n  types: [pdf]\n"
CASES = {
    "a new required variable": (
        OLD,
        files(TEXT.replace("  note:", "  extra: {type: string, example: x}\n  note:")),
        [("breaking-variable", 8, 'variable "extra" is new and required')],
    ),
    "a new optional variable": (
        OLD,
        files(TEXT.replace("  note:", "  extra: {type: string, required: false, example: x}\n  note:")),
        [("new-variable", 8, 'variable "extra" is new and optional')],
    ),
    "a narrower variable": (
        OLD,
        files(TEXT.replace("maxLength: 20", "maxLength: 10")),
        [("breaking-variable", 7, 'variable "name" has a lower maxLength')],
    ),
    "a wider variable": (
        OLD,
        files(TEXT.replace("maxLength: 20", "maxLength: 30")),
        [("wider-variable", 7, 'variable "name" accepts more than before')],
    ),
    "a variable that became optional": (
        OLD,
        files(TEXT.replace("maxLength: 20", "maxLength: 20, required: false")),
        [("wider-variable", 7, 'variable "name" became optional')],
    ),
    "a variable that is gone": (
        OLD,
        files(TEXT.replace("  note: {type: string, required: false, example: x}\n", "")),
        [("breaking-variable", 6, 'variable "note" was removed, and a request that still has it is refused')],
    ),
    "an attachment that is required now": (
        files(more=PDF),
        files(more=PDF + "  required: [pdf]\n"),
        [("breaking-attachment", 9, "an attachment of type pdf is required now")],
    ),
    "any attachment that is required now": (
        files(more=PDF),
        files(more=PDF + "  required: true\n"),
        [("breaking-attachment", 9, "an attachment is required now")],
    ),
    "a type that is gone": (
        files(more=PDF.replace("[pdf]", "[pdf, csv]")),
        files(more=PDF),
        [("breaking-attachment", 8, "attachments of type csv are not accepted any more")],
    ),
    "types where all were accepted": (
        files(more="attachments:\n  allowed: true\n"),
        files(more=PDF),
        [("breaking-attachment", 8, "attachments are restricted to pdf now")],
    ),
    "attachments that are refused now": (
        files(more=PDF),
        OLD,
        [("breaking-attachment", 2, "attachments are not accepted any more")],
    ),
    "attachments that are accepted now": (
        OLD,
        files(more=PDF),
        [("wider-attachment", 6, "attachments: more is accepted than before")],
    ),
    "an inactive template": (
        OLD,
        files(more="active: false\n"),
        [("template-inactive", 6, "the template is inactive: every send is refused")],
    ),
    "an active template": (
        files(more="active: false\n"),
        OLD,
        [("template-active", 2, "the template is active again")],
    ),
    "a language that is gone": (
        files(languages=("en", "yo")),
        files(languages=("yo",)),
        [("language-gone", 1, 'the language "en" is gone: who asks for it gets "fr"')],
    ),
    "a new language": (OLD, files(languages=("en",)), [("language-new", 1, 'the language "en" is new')]),
    "a template that is gone": (OLD, Files({}), [("template-removed", 1, "the template was removed")]),
    "a new template": (Files({}), OLD, [("template-new", 1, "the template is new")]),
    "another text": (OLD, files(TEXT.replace("A mail", "Another mail")), []),
    "a front matter that can't be read": (OLD, files("---\nsubject: [\n---\n"), []),
}


@pytest.mark.parametrize("name", CASES)
def test_contract_changes_name_what_callers_notice_at_its_line(name: str) -> None:
    before, after, wanted = CASES[name]
    assert told(before, after) == wanted


def test_contract_changes_put_breaks_first_when_there_are_both() -> None:
    after = FRONT.format(more=PDF).replace("maxLength: 20", "maxLength: 10")
    assert [code for code, _, _ in told(OLD, files(after))] == ["breaking-variable", "wider-attachment"]


def test_contract_changes_are_breaking_by_code() -> None:
    breaking = {
        one.code for old, new, _ in CASES.values() for one in contract_changes(old, new, "t") if one.is_breaking
    }
    assert breaking == BREAKING_CODES
    assert breaking > REFUSING_CODES
