"""The contract of a template with its callers: what a change makes them send, and what it refuses from now on."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from service.templates.findings import CompileAborted, FindingCollector
from service.templates.front_matter.manifest import AttachmentPolicy, FrontMatter, read_front_matter
from service.templates.front_matter.schema_breaks import breaking_changes
from service.templates.languages import languages_of
from service.templates.positions import Place, Source, normalise_newlines
from service.templates.source.files import Files

#: Changes by which requests that were accepted are refused.
REFUSING_CODES = frozenset({"breaking-variable", "breaking-attachment"})
#: Every change that breaks callers.
BREAKING_CODES = REFUSING_CODES | {"template-inactive", "language-gone", "template-removed"}


@dataclass(frozen=True, slots=True)
class ContractChange:
    """One change of the contract, at its line after the change; a template that is gone has the line that it had.

    `message` is a clause without a period.
    """

    key: str
    code: str
    place: Place
    message: str
    hint: str = ""

    @property
    def is_breaking(self) -> bool:
        """Whether callers must change what they send, or stop sending it."""
        return self.code in BREAKING_CODES


class _Contract(NamedTuple):
    front: FrontMatter
    languages: list[str]


def contract_changes(before: Files, after: Files, key: str) -> list[ContractChange]:
    """The changes of one template's contract; [] where one of its front matters can't be read, which is a finding."""
    path = f"{key}/template.mjml"
    start = Place(path, 1, 1)
    if path not in before:
        return [ContractChange(key, "template-new", start, "the template is new")] if path in after else []
    if path not in after:
        hint = "make sure that no caller sends it any more"
        return [ContractChange(key, "template-removed", start, "the template was removed", hint)]
    old, new = _read(before, key), _read(after, key)
    if old is None or new is None:
        return []
    changes = [
        *_variables(key, old.front, new.front),
        *_attachments(key, old.front, new.front),
        *_active(key, old.front, new.front),
        *_languages(key, old.languages, new.languages),
    ]
    return sorted(changes, key=lambda one: (not one.is_breaking, one.place, one.message))


def _read(files: Files, key: str) -> _Contract | None:
    path = f"{key}/template.mjml"
    try:
        source = Source(path, normalise_newlines(files.text(path)))
        front = read_front_matter(source, FindingCollector())
    except (CompileAborted, UnicodeDecodeError):
        return None
    return _Contract(front, list(languages_of(files, key, source.text)))


def _variables(key: str, old: FrontMatter, new: FrontMatter) -> Iterator[ContractChange]:
    before, after = old.manifest.schema, new.manifest.schema
    document = new.document
    told = set()
    for one in breaking_changes(before, after):
        told.add(one.variable)
        place = document.key_place(_nearest(one.path, document.keys))
        hint = "this breaks callers: keep accepting what they send, or use a new key"
        yield ContractChange(key, "breaking-variable", place, f'variable "{one.variable}" {one.clause}', hint)
    known, declared = before["properties"], after["properties"]
    for name in declared.keys() - known.keys():
        if name not in after.get("required", ()):
            place = document.key_place(("variables", name))
            yield ContractChange(key, "new-variable", place, f'variable "{name}" is new and optional')
    # What the old schema would refuse of the new one is what is accepted in addition.
    for one in breaking_changes(after, before):
        if one.variable not in told and one.path[1] in known and one.path[1] in declared:
            clause = "became optional" if one.clause == "became required" else "accepts more than before"
            place = document.key_place(_nearest(one.path, document.keys))
            told.add(one.variable)
            yield ContractChange(key, "wider-variable", place, f'variable "{one.variable}" {clause}')


def _attachments(key: str, old: FrontMatter, new: FrontMatter) -> Iterator[ContractChange]:
    before, after = old.manifest.attachments, new.manifest.attachments
    document = new.document
    hint = "this breaks callers: keep accepting what they send, or use a new key"
    narrower = list(_narrower(before, after))
    for name, clause in narrower:
        place = document.key_place(_nearest(("attachments", name), document.keys))
        yield ContractChange(key, "breaking-attachment", place, clause, hint)
    if not narrower and before != after:
        place = document.key_place(_nearest(("attachments",), document.keys))
        yield ContractChange(key, "wider-attachment", place, "attachments: more is accepted than before")


def _narrower(before: AttachmentPolicy, after: AttachmentPolicy) -> Iterator[tuple[str, str]]:
    """What attachments `after` refuses and `before` accepted: the field of the front matter, and a clause."""
    if before.allowed and not after.allowed:
        yield "allowed", "attachments are not accepted any more"
        return
    if after.required and not before.required:
        which = f" of type {' and '.join(after.required)}" if isinstance(after.required, tuple) else ""
        yield "required", f"an attachment{which} is required now"
    elif isinstance(after.required, tuple):
        were = before.required if isinstance(before.required, tuple) else ()
        if added := [one for one in after.required if one not in were]:
            yield "required", f"an attachment of type {' and '.join(added)} is required now"
    if before.allowed and after.types:
        if not before.types:
            yield "types", f"attachments are restricted to {', '.join(after.types)} now"
        elif gone := [one for one in before.types if one not in after.types]:
            yield "types", f"attachments of type {' or '.join(gone)} are not accepted any more"


def _active(key: str, old: FrontMatter, new: FrontMatter) -> Iterator[ContractChange]:
    was, is_now = old.manifest.active, new.manifest.active
    place = new.document.key_place(_nearest(("active",), new.document.keys))
    if was and not is_now:
        hint = "this breaks callers: make sure that none sends it any more"
        yield ContractChange(key, "template-inactive", place, "the template is inactive: every send is refused", hint)
    elif is_now and not was:
        yield ContractChange(key, "template-active", place, "the template is active again")


def _languages(key: str, before: list[str], after: list[str]) -> Iterator[ContractChange]:
    for language in before:
        if language not in after:
            place = Place(f"{key}/template.mjml", 1, 1)
            message = f'the language "{language}" is gone: who asks for it gets "{after[0]}"'
            yield ContractChange(key, "language-gone", place, message, f"keep template.{language}.mjml")
    for language in after:
        if language not in before:
            path = f"{key}/template.mjml" if language == after[0] else f"{key}/template.{language}.mjml"
            yield ContractChange(key, "language-new", Place(path, 1, 1), f'the language "{language}" is new')


def _nearest(path: tuple[str, ...], keys: Iterable[tuple[str | int, ...]]) -> tuple[str, ...]:
    """The path itself, or its innermost ancestor among `keys`; () is the beginning."""
    known = set(keys)
    while path and path not in known:
        path = path[:-1]
    return path
