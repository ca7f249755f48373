"""Changes of a template's folder by a publish request or by edited files; findings as problems of the request."""

import re
from collections.abc import Mapping, Sequence

from service.errors import Finding, InvalidRequest, Problem, pointer
from service.models.requests import PublishRequest
from service.templates.catalogue import Entry
from service.templates.front_matter.expectations import example_name, expectation_name
from service.templates.source import atomic_write
from service.templates.source.atomic_write import Changes
from service.templates.source.files import Files


def changes_of(key: str, request: PublishRequest, files: Files, entry: Entry | None) -> Changes:
    """The changes of a publish request: path in the folder -> content, None to remove it; only what differs."""
    given = request.model_fields_set
    wanted: dict[str, bytes | None] = {"template.mjml": request.source.encode()}
    there = [path.removeprefix(f"{key}/") for path in files.folder(key)]
    if "text" in given:
        wanted["template.txt"] = request.text.encode() if request.text is not None else None
    if "locales" in given:
        wanted |= dict.fromkeys(name for name in there if _locale_of(name) not in (None, *request.locales))
        wanted |= {f"template.{locale}.mjml": text.encode() for locale, text in request.locales.items()}
    if "locale_texts" in given:
        texts = [name for name in there if name.endswith(".txt")]
        wanted |= dict.fromkeys(name for name in texts if _locale_of(name) not in (None, *request.locale_texts))
        wanted |= {f"template.{locale}.txt": text.encode() for locale, text in request.locale_texts.items()}
    if "examples" in given:
        wanted |= _examples(request.examples, there, entry)
    now = {name: files.by_path[f"{key}/{name}"].data for name in there}
    return {name: data for name, data in wanted.items() if data != now.get(name)}


def _examples(examples: Mapping[str, Mapping[str, object]], there: Sequence[str], entry: Entry | None) -> Changes:
    """The changes of the examples; the file of an unchanged example is kept, with its comments."""
    inside = (name for name in there if re.fullmatch(r"examples/[^/]+", name))
    files = {example: name for name in inside if (example := example_name(name))}
    known = entry.template.examples if entry and entry.template and not entry.is_degraded else {}
    wanted: dict[str, bytes | None] = {file: None for name, file in files.items() if name not in examples}
    wanted |= dict.fromkeys(one for one in there if expectation_name(one) in files.keys() - examples.keys())
    problems: list[Problem] = []
    for name, values in examples.items():
        if name in files and known.get(name) == values:
            continue
        try:
            wanted[files.get(name, f"examples/{name}.yaml")] = atomic_write.example_file(values)
        except RecursionError:
            problems.append(Problem(pointer("examples", name), "too_deep", "too many levels inside each other"))
    if problems:
        raise InvalidRequest("The request breaks rules of this endpoint.", problems)
    return wanted


def _locale_of(name: str) -> str | None:
    found = re.fullmatch(r"template\.([A-Za-z0-9-]+)\.(?:mjml|txt)", name)
    return found[1] if found else None


def problem_at(key: str, finding: Finding) -> Problem:
    """A finding as a problem, at the part of the request that became its file."""
    name = finding.file.removeprefix(f"{key}/")
    place = {"template.mjml": "/source", "template.txt": "/text"}.get(name, "")
    if locale := _locale_of(name):
        place = pointer("locale_texts" if name.endswith(".txt") else "locales", locale)
    elif name.startswith("examples/") and (example := example_name(name)):
        place = pointer("examples", example)
    return Problem(place if finding.file.startswith(f"{key}/") else "", finding.code, str(finding))


#: The largest file, characters; the JSON request has this bound, too.
MAX_TEXT = 500_000
#: A path in a template's folder: at most one folder deep, with an ending that `source.files` reads.
_NAME = r"[A-Za-z0-9_-][A-Za-z0-9_.-]*"
_PATH = re.compile(rf"(?:{_NAME}/)?{_NAME}\.(?:mjml|txt|ya?ml|html|css|j2|jinja|svg)")


def changed_files(key: str, texts: Mapping[str, str | None], files: Files) -> Changes:
    """The changes of edited files, apart from newlines. Raises InvalidRequest for an invalid path."""
    wrong = [name for name in texts if not _PATH.fullmatch(name) or len(name) > 100]
    if wrong:
        rule = "write such as template.en.mjml, template.txt or examples/long_name.yaml"
        raise InvalidRequest("A file can't have this name.", [Problem("", "file", f"{name}: {rule}") for name in wrong])
    large = [name for name, text in texts.items() if text is not None and len(text) > MAX_TEXT]
    if large:
        rule = f"over {MAX_TEXT} characters"
        raise InvalidRequest("A file is too large.", [Problem("", "file", f"{name}: {rule}") for name in large])
    there = {path.removeprefix(f"{key}/"): files.by_path[path].data for path in files.folder(key)}
    changes: dict[str, bytes | None] = {}
    for name, text in texts.items():
        data = text.replace("\r\n", "\n").encode("utf-8", "replace") if text is not None else None
        before = there.get(name)
        if data is None and before is not None:
            changes[name] = None
        elif data is not None and (before is None or before.replace(b"\r\n", b"\n") != data):
            changes[name] = data
    return changes
