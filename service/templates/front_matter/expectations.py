"""Expectations of a mail's words and links: `examples/NAME.expect.yaml` beside the example NAME."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

from service.templates.findings import CompileAborted, FindingCollector, did_you_mean
from service.templates.front_matter.yaml_positions import Document, KeyPath, read_yaml
from service.templates.positions import Place
from service.templates.source.files import Files

Kind = Literal["contains", "absent", "links"]
_KINDS: tuple[Kind, ...] = get_args(Kind)
_ENDINGS = (".expect.yaml", ".expect.yml")
_EXAMPLE_ENDINGS = (".yaml", ".yml")
_MAX_TEXTS = 500
_MAX_LENGTH = 2_000


@dataclass(frozen=True, slots=True)
class Expected:
    """A text that a mail contains, one that is absent from it, or a link in it. `locale` None: in every language."""

    kind: Kind
    text: str
    place: Place
    locale: str | None = None


def example_name(path: str) -> str | None:
    """The name of the example in a file of the folder `examples`; None for a file that is none."""
    if path.endswith(_ENDINGS) or not path.endswith(_EXAMPLE_ENDINGS):
        return None
    return path.rpartition("/")[2].rpartition(".")[0]


def expectation_name(path: str) -> str | None:
    """The name of the example that a file says what to expect of; None for any other file."""
    ending = next((one for one in _ENDINGS if path.endswith(one)), None)
    return path.rpartition("/")[2].removesuffix(ending) if ending else None


def read_expectations(
    files: Files, key: str, examples: Collection[str], locales: Collection[str], collector: FindingCollector
) -> dict[str, tuple[Expected, ...]]:
    """What the template's mails must say, by example. A mistake in a file is reported and left out."""
    found: dict[str, tuple[Expected, ...]] = {}
    for path in files.folder(key):
        name = expectation_name(path) if path.startswith(f"{key}/examples/") else None
        if name is None:
            continue
        start = Place(path, 1, 1)
        if name not in examples:
            hint = did_you_mean(name, examples) or "delete it, or add that example"
            collector.error(
                start, "bad-expectation", f'there is no example "{name}" whose mail this could be about', hint
            )
        elif name in found:
            collector.error(start, "bad-expectation", f'a second file about the example "{name}"', "put both into one")
        else:
            found[name] = tuple(_expected(files, path, locales, collector))
    return found


def _expected(files: Files, path: str, locales: Collection[str], collector: FindingCollector) -> Iterator[Expected]:
    try:
        text = files.text(path)
    except UnicodeDecodeError:
        collector.error(Place(path, 1, 1), "not-utf-8", "the file is not UTF-8", "save it as UTF-8")
        return
    try:
        document = read_yaml(text, path, collector)
    except CompileAborted:
        return
    if document.data is None:
        return
    if not isinstance(document.data, dict):
        collector.error(document.place(()), "bad-expectation", "the file must be a mapping", "begin it with contains:")
        return
    for index, one in enumerate(_of_mapping(document, (), document.data, locales, collector)):
        if index == _MAX_TEXTS:
            collector.error(one.place, "bad-expectation", f"more than {_MAX_TEXTS} texts", "leave some out")
            return
        yield one


def _of_mapping(
    document: Document, path: KeyPath, data: dict[str, Any], locales: Collection[str], collector: FindingCollector
) -> Iterator[Expected]:
    """The texts of a mapping, and without `path` of those below its languages."""
    locale = str(path[0]) if path else None
    for name, value in data.items():
        here = (*path, name)
        if name in _KINDS:
            yield from _of_list(document, here, value, locale, collector)
        elif not path and name in locales:
            if isinstance(value, dict):
                yield from _of_mapping(document, here, value, locales, collector)
            elif value is not None:
                hint = "write contains:, absent: or links: below it"
                collector.error(document.place(here), "bad-expectation", f"{name} must be a mapping", hint)
        else:
            known = _KINDS if path else (*_KINDS, *locales)
            hint = did_you_mean(name, known) or f"it knows {', '.join(known)}"
            collector.error(document.key_place(here), "bad-expectation", f'"{name[:80]}" is unknown here', hint)


def _of_list(
    document: Document, path: KeyPath, value: Any, locale: str | None, collector: FindingCollector
) -> Iterator[Expected]:
    kind: Kind = path[-1]  # type: ignore[assignment]  # one of them, as the caller looked it up
    if value is None:
        return
    if not isinstance(value, list):
        collector.error(
            document.place(path), "bad-expectation", f"{kind} must be a list of texts", "begin each with - "
        )
        return
    for index, text in enumerate(value):
        place = document.place((*path, index))
        if not isinstance(text, str):
            collector.error(place, "bad-expectation", f"an entry of {kind} must be a text", "put it into quotes")
        elif not text.strip() or len(text) > _MAX_LENGTH:
            collector.error(
                place, "bad-expectation", f"an entry of {kind} must have 1 to {_MAX_LENGTH} characters", "shorten it"
            )
        else:
            yield Expected(kind, text, place, locale)
