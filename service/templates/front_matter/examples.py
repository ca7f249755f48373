"""The examples of a template: `examples/<name>.yaml`, the front matter's, or the variables' own together."""

import re
from collections.abc import Mapping
from typing import Any

from service.templates.findings import CompileAborted
from service.templates.front_matter.expectations import example_name, read_expectations
from service.templates.front_matter.manifest import FrontMatter
from service.templates.front_matter.variables import VariablesCheck, default_example
from service.templates.front_matter.yaml_positions import Document, KeyPath, read_yaml
from service.templates.jinja.loader import SourceLoader
from service.templates.languages import languages_of
from service.templates.positions import Place
from service.templates.size_limits import MAX_EXAMPLES

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
Examples = dict[str, tuple[Mapping[str, Any], Place]]


def read_examples(key: str, front: FrontMatter, loader: SourceLoader, check: VariablesCheck) -> Examples:
    """The examples with the positions where they begin, `default` first; a wrong one is reported and left out."""
    found: Examples = {}
    names = _files_of_examples(key, loader)
    paths = list(names)
    if (count := len(paths) + len(front.examples)) > MAX_EXAMPLES:
        place = Place(paths[0], 1, 1) if paths else front.document.place(("examples",))
        loader.collector.error(place, "too-large", f"{count} examples; {MAX_EXAMPLES} are allowed", "delete some")
        raise CompileAborted
    first = _read_files(names, loader, check, found)
    for name, values in front.examples.items():
        if name in first:
            message = f'there is a second example "{name}", in {first[name]}'
            at = front.document.key_place(("examples", name))
            loader.collector.error(at, "duplicate-example", message, "rename one, or delete it")
        elif _is_valid(values, front.document, ("examples", name), loader, check, name):
            found[name] = (values, front.document.place(("examples", name)))
    if not paths and not front.examples:
        _default(front, loader, check, found)
    known = {*first, *front.examples, *found}
    languages = languages_of(loader.files, key, loader.files.text(f"{key}/template.mjml"))
    read_expectations(loader.files, key, known, languages, loader.collector)
    return dict(sorted(found.items(), key=lambda one: (one[0] != "default", one[0])))


def is_example_name(name: str) -> bool:
    """Whether an example may have this name."""
    return _NAME.fullmatch(name) is not None


def _files_of_examples(key: str, loader: SourceLoader) -> dict[str, str]:
    """The files of examples: path -> the example's name, as it is written."""
    folder = f"{key}/examples/"
    files = (path for path in loader.files.folder(key) if path.startswith(folder))
    return {path: path.removeprefix(folder).rsplit(".", 1)[0] for path in files if example_name(path) is not None}


def _read_files(
    names: Mapping[str, str], loader: SourceLoader, check: VariablesCheck, found: Examples
) -> dict[str, str]:
    """Read the files of examples into `found`; returns the names that they take, each with its file."""
    first: dict[str, str] = {}
    for path, name in names.items():
        place = Place(path, 1, 1)
        if not is_example_name(name):
            loader.collector.error(
                place, "bad-example", f'"{name}" is not a valid name for an example', "use a-z, 0-9, - and _"
            )
            continue
        if (other := first.setdefault(name, path)) != path:
            message = f'there is a second example "{name}", in {other}'
            loader.collector.error(place, "duplicate-example", message, "rename one, or delete it")
            continue
        try:
            text = loader.read(path)
            document = read_yaml(text or "", path, loader.collector)
        except CompileAborted:
            continue
        if _is_valid(document.data or {}, document, (), loader, check, name):
            found[name] = (document.data or {}, place)
    return first


def _default(front: FrontMatter, loader: SourceLoader, check: VariablesCheck, found: Examples) -> None:
    values, missing = default_example(front.manifest.schema)
    place = front.document.place(("variables",))
    if missing:
        loader.collector.warning(
            front.document.key_place(("variables", missing[0])),
            "no-example",
            f"no example for {', '.join(missing)}",
            "without one the template can't be shown or tested: add example: … or examples/default.yaml",
        )
        return
    wrong = False
    for problem in check.problems(values):
        name = problem.pointer.split("/")[1] if "/" in problem.pointer else ""
        place = front.document.place(("variables", name, "example"))
        loader.collector.error(place, "bad-example", f"the example is wrong: {problem.message}")
        wrong = True
    if not wrong:
        found["default"] = (values, place)


def _is_valid(
    values: Any, document: Document, prefix: KeyPath, loader: SourceLoader, check: VariablesCheck, name: str
) -> bool:
    if not isinstance(values, Mapping):
        loader.collector.error(
            document.place(prefix), "bad-example", f'example "{name}" must be a mapping of variables to values'
        )
        return False
    problems = check.problems(values)
    for problem in problems:
        path = (*prefix, *(int(part) if part.isdigit() else part for part in problem.pointer.split("/")[1:]))
        place = document.key_place(path) if problem.code == "unknown" else document.place(path)
        loader.collector.error(place, "bad-example", f'example "{name}": {problem.message}')
    return not problems
