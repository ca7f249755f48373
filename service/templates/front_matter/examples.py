"""The examples of a template: `examples/<name>.yaml`, the front matter's, or the variables' own together."""

import re
from collections.abc import Mapping
from typing import Any

from service.templates.findings import CompileAborted
from service.templates.front_matter.manifest import FrontMatter
from service.templates.front_matter.variables import VariablesCheck, default_example
from service.templates.front_matter.yaml_positions import Document, KeyPath, read_yaml
from service.templates.jinja.loader import SourceLoader
from service.templates.positions import Place
from service.templates.size_limits import MAX_EXAMPLES

_ENDINGS = (".yaml", ".yml")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
Examples = dict[str, tuple[Mapping[str, Any], Place]]


def read_examples(key: str, front: FrontMatter, loader: SourceLoader, check: VariablesCheck) -> Examples:
    """The examples with the positions where they begin, `default` first; a wrong one is reported and left out."""
    found: Examples = {}
    folder = f"{key}/examples/"
    paths = [path for path in loader.files.folder(key) if path.startswith(folder) and path.endswith((".yaml", ".yml"))]
    if (count := len(paths) + len(front.examples)) > MAX_EXAMPLES:
        place = Place(paths[0], 1, 1) if paths else front.document.place(("examples",))
        loader.collector.error(place, "too-large", f"{count} examples; {MAX_EXAMPLES} are allowed", "delete some")
        raise CompileAborted
    for path in paths:
        name = path.removeprefix(folder).rsplit(".", 1)[0]
        place = Place(path, 1, 1)
        if not _NAME.fullmatch(name):
            loader.collector.error(
                place, "bad-example", f'"{name}" is not a valid name for an example', "use a-z, 0-9, - and _"
            )
            continue
        try:
            text = loader.read(path)
            document = read_yaml(text or "", path, loader.collector)
        except CompileAborted:
            continue
        if _is_valid(document.data or {}, document, (), loader, check, name):
            found[name] = (document.data or {}, place)
    for name, values in front.examples.items():
        if _is_valid(values, front.document, ("examples", name), loader, check, name):
            found[name] = (values, front.document.place(("examples", name)))
    if not paths and not front.examples:
        _default(front, loader, check, found)
    return dict(sorted(found.items(), key=lambda one: (one[0] != "default", one[0])))


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
