"""Compare the mails of a commit's changed templates with the snapshots that the commit holds.

Equal says that what was reviewed is what is sent: by the same compiler and libraries, with the same shared parts.
"""

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from service.models import DeployedSnapshots
from service.templates.mails import MailRenderer, RenderedMail
from service.templates.site_values import declared_examples
from service.templates.snapshots.compare import compare_files, rendered_files
from service.templates.source.files import Files
from service.templates.source.remote_project import CommitProject
from service.templates.template import Template

#: So many mails of a kind are named in the deployment, and in the reason why a commit is held.
_MAX_NAMED = 100
_MAX_IN_REASON = 10
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class ComparedMails:
    """How many mails are as recorded, and those that differ or have no snapshot, as KEY/LOCALE.EXAMPLE."""

    equal: int
    differing: Sequence[str]
    missing: Sequence[str]

    def stored(self) -> DeployedSnapshots:
        """What is kept of it: all counts, and the first names."""
        return DeployedSnapshots(
            equal=self.equal,
            differing=len(self.differing),
            missing=len(self.missing),
            differing_mails=self.differing[:_MAX_NAMED],
            missing_mails=self.missing[:_MAX_NAMED],
        )


@dataclass(frozen=True, slots=True)
class SnapshotCheck:
    """Renders and compares. With `is_required` a commit without equal snapshots of what it changes is held."""

    renderer: MailRenderer
    is_required: bool

    def of(self, project: CommitProject, files: Files, changed: Sequence[Template]) -> ComparedMails | None:
        """Compare the mails of the changed templates. None: none changed, or no snapshots are kept nor required."""
        if not changed or not (project.snapshots or self.is_required):
            return None
        site = declared_examples(files)
        with ThreadPoolExecutor(_AT_ONCE, "snapshots") as threads:
            rendered = list(threads.map(lambda template: self.renderer.render(template, site), changed))
        manifests = {template.key: template.manifest for template in changed}
        mails = [mail for of_template in rendered for mail in of_template]
        made = {
            path: project.name_of(data) if data is not None else None
            for path, data in rendered_files(mails, manifests).items()
        }
        compared = compare_files(project.snapshots, made)
        missing = _mails(compared.missing, mails)
        without = set(missing)
        differing = [mail for mail in _mails(compared.differing, mails) if mail not in without]
        return ComparedMails(len(mails) - len(missing) - len(differing), differing, missing)

    def refusals(self, found: ComparedMails | None, excused: Collection[str]) -> Iterator[str]:
        """Sentences that speak against serving a commit whose snapshots are required; `excused` are keys."""
        if found is None or not self.is_required:
            return
        what = "EMAIL_TEMPLATES_REQUIRE_SNAPSHOTS: in this commit"
        mend = "Render with the versions that are installed here (rgz-email snapshots --update), review, and commit it."
        if differing := [mail for mail in found.differing if mail.split("/", 1)[0] not in excused]:
            yield f"{what} the snapshots of {_named(differing)} differ from what is rendered. {mend}"
        if missing := [mail for mail in found.missing if mail.split("/", 1)[0] not in excused]:
            yield f"{what} there are no snapshots of {_named(missing)}. {mend}"


def _mails(paths: Sequence[str], mails: Sequence[RenderedMail]) -> list[str]:
    """The mails to which these files belong."""
    wanted = {path.rpartition(".")[0] for path in paths}
    return [name for one in mails if (name := str(one.mail)) in wanted]


def _named(mails: Sequence[str]) -> str:
    more = len(mails) - _MAX_IN_REASON
    return ", ".join(mails[:_MAX_IN_REASON]) + (f" and {more} more" if more > 0 else "")
