"""The recorded mails of the head, compared with what it renders by the names of git's objects: none is read."""

from collections.abc import Iterable, Mapping, Sequence

from service.templates.compiler import Compilation
from service.templates.diff.report import MAX_NAMES, Snapshots, cut
from service.templates.diff.sides import DiffSides
from service.templates.mails import RenderedMail
from service.templates.snapshots.compare import compare_files, rendered_files


def recorded(
    sides: DiffSides, compiled: Mapping[str, Compilation], rendered: Mapping[str, Sequence[RenderedMail]]
) -> Snapshots:
    """Compare the recorded mails of all templates that were rendered; orphans are those of no template too.

    A template without its recorded mails, where none at all are kept, misses nothing.
    """
    there, before = sides.head.snapshots, sides.base.snapshots
    if not there and not before:
        return Snapshots()
    keys = set(sides.head.files.template_keys())
    manifests = {key: template.manifest for key in rendered if (template := compiled[key].template)}
    wanted = {
        path: sides.repository.blob_name(data) if data is not None else None
        for path, data in rendered_files([one for key in manifests for one in rendered[key]], manifests).items()
    }
    known = {
        path: name for path, name in there.items() if (key := path.split("/", 1)[0]) in manifests or key not in keys
    }
    compared = compare_files(known, wanted)
    return Snapshots(
        committed=_names(path for path in compared.equal if before.get(path) != there[path]),
        wrong=_names(compared.differing),
        missing=_names(compared.missing),
        orphans=_names(compared.orphans),
    )


def _names(paths: Iterable[str]) -> list[str]:
    return [cut(path, 300) for path in sorted(paths)][:MAX_NAMES]
