"""Compare recorded mails with what is rendered now, by their bytes or by digests of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from service.models import Rendered
from service.templates.front_matter.manifest import Manifest
from service.templates.mails import Mail, RenderedMail, headers_text

#: Endings of the files of a recorded mail: its two parts, and what it says beside them.
ENDINGS = ("html", "txt", "headers")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SnapshotComparison:
    """Paths below the folder of snapshots, such as billing/fr.default.html, in order.

    `orphans` belong to no mail. A mail that can't be rendered differs, or is missing.
    """

    equal: Sequence[str] = ()
    differing: Sequence[str] = ()
    missing: Sequence[str] = ()
    orphans: Sequence[str] = ()

    @property
    def is_equal(self) -> bool:
        """Whether each mail is recorded as it is rendered, and nothing else is."""
        return not (self.differing or self.missing or self.orphans)


def is_snapshot(path: str) -> bool:
    """Whether a file in the folder of snapshots is a recorded mail, by its ending; hidden files are none."""
    return path.rpartition(".")[2] in ENDINGS and not any(part.startswith(".") for part in path.split("/"))


def paths_of(mail: Mail) -> tuple[str, ...]:
    """The paths of a mail's files, in the order of ENDINGS."""
    return tuple(f"{mail}.{ending}" for ending in ENDINGS)


def parts_of(manifest: Manifest, rendered: Rendered) -> tuple[bytes, ...]:
    """The contents of a mail's files, in the order of ENDINGS."""
    texts = (rendered.html, rendered.text, headers_text(manifest, rendered))
    return tuple(text.encode("utf-8", "surrogatepass") for text in texts)


def rendered_files(mails: Sequence[RenderedMail], manifests: Mapping[str, Manifest]) -> dict[str, bytes | None]:
    """The files of these mails, by path; None where one can't be rendered. `manifests` are by key."""
    files: dict[str, bytes | None] = {}
    for one in mails:
        parts = parts_of(manifests[one.mail.key], one.rendered) if one.rendered else (None,) * len(ENDINGS)
        files |= zip(paths_of(one.mail), parts, strict=True)
    return files


def compare_files(recorded: Mapping[str, T], rendered: Mapping[str, T | None]) -> SnapshotComparison:
    """Compare files by contents, or by anything that is equal where they are; None: a mail that can't be rendered."""
    wanted = sorted(rendered)
    there = [path for path in wanted if path in recorded]
    equal = [path for path in there if is_same(recorded[path], rendered[path])]
    return SnapshotComparison(
        equal=equal,
        differing=_without(there, equal),
        missing=[path for path in wanted if path not in recorded],
        orphans=sorted(path for path in recorded if is_snapshot(path) and path not in rendered),
    )


def is_same(recorded: object, rendered: object) -> bool:
    """Whether contents are the same, apart from line ends that a checkout of git made of LF."""
    if recorded == rendered:
        return True
    return isinstance(recorded, bytes) and recorded.replace(b"\r\n", b"\n") == rendered


def _without(paths: Sequence[str], others: Collection[str]) -> list[str]:
    left_out = set(others)
    return [path for path in paths if path not in left_out]
