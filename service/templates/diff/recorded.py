"""The recorded mails of the head, compared with what it renders by the names of git's objects: none is read."""

from collections.abc import Iterable, Mapping, Sequence

from service.templates.compiler import Compilation
from service.templates.diff.report import MAX_NAMES, Snapshots, cut
from service.templates.diff.sides import DiffSides
from service.templates.mails import RenderedMail, headers_text


def recorded(
    sides: DiffSides, compiled: Mapping[str, Compilation], rendered: Mapping[str, Sequence[RenderedMail]]
) -> Snapshots:
    """Compare the recorded mails of all templates that were rendered; orphans are those of no template too.

    A template without its recorded mails, where none at all are kept, misses nothing.
    """
    there, before = sides.head.snapshots, sides.base.snapshots
    if not there and not before:
        return Snapshots()
    wanted: dict[str, str] = {}
    for key, mails in rendered.items():
        template = compiled[key].template
        for one in mails:
            if template is None or one.rendered is None:
                continue
            headers = headers_text(template.manifest, one.rendered)
            parts = {"html": one.rendered.html, "txt": one.rendered.text, "headers": headers}
            for ending, text in parts.items():
                wanted[f"{key}/{one.mail.name}.{ending}"] = sides.repository.blob_name(text.encode())
    keys = set(sides.head.files.template_keys())
    unknown = [path for path in there if path.split("/", 1)[0] not in keys]
    whole = {key for key, mails in rendered.items() if all(one.rendered for one in mails)}
    of_rendered = [path for path in there if path.split("/", 1)[0] in whole and path not in wanted]
    right = {path for path, name in wanted.items() if there.get(path) == name}
    return Snapshots(
        committed=_names(path for path in right if before.get(path) != there[path]),
        wrong=_names(path for path in wanted.keys() - right if path in there),
        missing=_names(path for path in wanted if path not in there),
        orphans=_names((*unknown, *of_rendered)),
    )


def _names(paths: Iterable[str]) -> list[str]:
    return [cut(path, 300) for path in sorted(paths)][:MAX_NAMES]
