"""Review the snapshots of a template directory: compare, check what is expected, and take what is rendered now."""

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from service.errors import Finding
from service.templates.mails import Mail
from service.templates.runtime.sandbox import RenderLimits
from service.templates.snapshots import folder as snapshots
from service.templates.snapshots.compare import SnapshotComparison, compare_files, rendered_files
from service.templates.snapshots.expected_mails import expected_mails
from service.templates.snapshots.project_mails import project_mails
from service.templates.source.files import Files

#: Templates that are compiled and rendered at once, each in a child process.
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class SnapshotReview:
    """What was found. `contents` has both sides of the files that differ and can be compared, by path.

    After an update `compared` is what is left: what can't be rendered.
    """

    folder: Path
    templates: int
    mails: int
    compared: SnapshotComparison
    contents: Mapping[str, tuple[bytes, bytes]] = field(default_factory=dict)
    failures: Sequence[tuple[Mail, str]] = ()
    findings: Sequence[Finding] = ()
    updated: Sequence[str] = ()
    deleted: Sequence[str] = ()

    @property
    def is_right(self) -> bool:
        """Whether each mail is recorded and says what is expected, and nothing else is recorded."""
        return self.compared.is_equal and not self.failures and not self.findings


def review(
    files: Files, folder: Path, limits: RenderLimits, keys: Collection[str] = (), *, is_update: bool = False
) -> SnapshotReview:
    """Compare the mails of these templates (none means all) with the folder of snapshots.

    With `is_update` what is rendered now is written there, and orphans are deleted. Raises Conflict where a symbolic
    link keeps a file from being written.
    """
    wanted = [key for key in files.template_keys() if not keys or key in keys]
    recorded = {path: data for path, data in snapshots.read(folder).items() if not keys or _key_of(path) in keys}
    rendered: dict[str, bytes | None] = {}
    failures: list[tuple[Mail, str]] = []
    findings: list[Finding] = []
    count = 0
    with project_mails(files, limits) as mails, ThreadPoolExecutor(_AT_ONCE, "snapshots") as threads:
        for key, of_template in zip(wanted, threads.map(mails.of, wanted), strict=True):
            findings += of_template.errors
            if of_template.manifest is None:  # nobody knows which mails it would have
                count += len(expected_mails(files, key))
                recorded = {path: data for path, data in recorded.items() if _key_of(path) != key}
                continue
            count += len(of_template.mails)
            rendered |= rendered_files(of_template.mails, {key: of_template.manifest})
            for one in of_template.mails:
                findings += of_template.unmet(one)
                failures += [(one.mail, one.failure)] if one.failure else []
    compared = compare_files(recorded, rendered)
    changed = {path: (recorded[path], data) for path in compared.differing if (data := rendered[path]) is not None}
    found = SnapshotReview(folder, len(wanted), count, compared, changed, failures, findings)
    return _updated(found, rendered) if is_update else found


def _updated(found: SnapshotReview, rendered: Mapping[str, bytes | None]) -> SnapshotReview:
    compared = found.compared
    paths = (*compared.differing, *compared.missing)
    written = {path: data for path in paths if (data := rendered[path]) is not None}
    snapshots.write(found.folder, written)
    snapshots.delete(found.folder, compared.orphans)
    left = SnapshotComparison(
        equal=sorted((*compared.equal, *written)),
        differing=[path for path in compared.differing if path not in written],
        missing=[path for path in compared.missing if path not in written],
    )
    return replace(found, compared=left, updated=sorted(written), deleted=compared.orphans)


def _key_of(path: str) -> str:
    return path.split("/", 1)[0]
