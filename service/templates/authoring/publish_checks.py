"""Checks before a change of a template is written, wherever it goes, and its author in git."""

import re
import unicodedata

from service.errors import InvalidRequest, Problem
from service.models import Caller
from service.templates.authoring.publish_changes import problem_at
from service.templates.compiler import TemplateCompiler
from service.templates.source import atomic_write
from service.templates.source.atomic_write import KEY, KEY_RULE, Changes
from service.templates.source.files import Files
from service.templates.source.git import Author
from service.templates.template import Template


def compiled(compiler: TemplateCompiler, key: str, files: Files, changes: Changes) -> Template:
    """The template as the changes make it. Raises InvalidRequest for its mistakes and those of others with parts of it.

    `changes` are of its folder: path in it -> content, None to remove it.
    """
    after = files.with_changes({f"{key}/{name}": data for name, data in changes.items()})
    compilation = compiler.compile(after, key)
    if compilation.template is None:
        problems = [problem_at(key, finding) for finding in compilation.findings if finding.is_error]
        raise InvalidRequest("The template has mistakes; nothing was changed.", problems)
    check_others(compiler, key, files, after)
    return compilation.template


def check_others(compiler: TemplateCompiler, key: str, before: Files, after: Files) -> None:
    """Refuse a change that breaks templates which include parts of this one.

    Hardly one does, so a search for the folder's name saves compiling them all.
    """
    mention = f"/{key}/".encode()
    if not any(mention in file.data for path, file in before.by_path.items() if not path.startswith(f"{key}/")):
        return
    problems: list[Problem] = []
    for other in after.template_keys():
        if other == key or compiler.compile(before, other).template is None:
            continue
        found = compiler.compile(after, other).findings
        problems += [problem_at(key, finding) for finding in found if finding.is_error]
    if problems:
        raise InvalidRequest("Another template takes this one in, and would break; nothing was changed.", problems)


def author_of(caller: Caller, mail_domain: str) -> Author:
    """The author of the caller's commits."""
    name = re.sub(r"[\s\x00-\x1f\x7f<>]+", " ", caller.name).strip(" .,:;\"'") or caller.id
    local = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-.") or "caller"
    return Author(name, f"{local}@noreply.{mail_domain}")


def check_key(key: str) -> None:
    """Raise InvalidRequest unless `key` is a valid template key."""
    if not KEY.fullmatch(key):
        raise InvalidRequest(f"{key!r} can't be a key: {KEY_RULE}.", [Problem("", "key", KEY_RULE)])


def check_message(message: str | None) -> None:
    """Raise InvalidRequest for a commit message that is empty, or holds what git and terminals can't show."""
    if message is not None and (not message.strip() or any(map(_is_control, message))):
        rule = "a text without control characters"
        raise InvalidRequest("The message can't be a commit's.", [Problem("/message", "message", rule)])


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\r\t"


def check_paths(key: str, changes: Changes, files: Files) -> None:
    """Raise InvalidRequest for names of new files that some file systems can't hold, or can't tell apart."""
    kept = {path.removeprefix(f"{key}/") for path in files.folder(key)} - {
        name for name, data in changes.items() if data is None
    }
    known = {name.lower(): name for name in kept}
    problems = [
        Problem("", "file", f"{name}: no name on every system; begin it with a letter, and avoid con, nul and the like")
        for name, data in changes.items()
        if data is not None and not atomic_write.is_portable(name)
    ]
    problems += [
        Problem("", "file", f"{name}: differs from {known[name.lower()]} in capital letters alone")
        for name, data in changes.items()
        if data is not None and known.get(name.lower(), name) != name
    ]
    if problems:
        raise InvalidRequest("A file can't have this name.", problems)
