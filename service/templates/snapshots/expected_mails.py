"""The mails that a template directory has, by the names of its files: nothing is compiled for it."""

import re

from service.templates.findings import CompileAborted, FindingCollector
from service.templates.front_matter.examples import is_example_name
from service.templates.front_matter.expectations import example_name
from service.templates.front_matter.manifest import read_front_matter
from service.templates.front_matter.variables import default_example
from service.templates.languages import languages_of
from service.templates.mails import Mail
from service.templates.positions import Source, normalise_newlines
from service.templates.source.files import Files

_EXAMPLES = re.compile(r"^[\"']?examples[\"']?[ \t]*:", re.MULTILINE)


def expected_mails(files: Files, key: str) -> list[Mail]:
    """The mails of a template, as compiling it would find them; those of a broken template are a guess."""
    path = f"{key}/template.mjml"
    text = normalise_newlines(files.by_path[path].data.decode("utf-8", "replace"))
    folder = f"{key}/examples/"
    names = {name for one in files.folder(key) if one.startswith(folder) and (name := example_name(one))}
    if not names or _EXAMPLES.search(text):
        names |= _examples_of_front_matter(Source(path, text), has_files=bool(names))
    in_order = sorted(filter(is_example_name, names), key=lambda name: (name != "default", name))
    return [Mail(key, locale, name) for locale in languages_of(files, key, text) for name in in_order]


def _examples_of_front_matter(source: Source, *, has_files: bool) -> set[str]:
    """The examples that the front matter names; without any, the one that its variables' own examples make."""
    try:
        front = read_front_matter(source, FindingCollector())
    except CompileAborted:
        return set() if has_files else {"default"}
    if front.examples or has_files:
        return set(front.examples)
    _, missing = default_example(front.manifest.schema)
    return set() if missing else {"default"}
