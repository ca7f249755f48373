"""snapshots: compare every mail with its recorded rendering; needs no pytest, no settings and no service."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from service.cli.environment import template_settings
from service.config.template_project import snapshots_of
from service.templates.build_tools import render_limits
from service.templates.log_line import log_line
from service.templates.snapshots.readable_diff import differences, printable, shortened
from service.templates.snapshots.review import SnapshotReview, review
from service.templates.source.files import read_files

#: Lines that are printed of one file that differs.
_MAX_LINES = 60


@click.command()
@click.argument("keys", metavar="[KEY]...", nargs=-1)
@click.option("--update", is_flag=True, help="Record what is rendered now, and delete what no mail has any more.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--templates", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Template directory.")
def snapshots(keys: tuple[str, ...], update: bool, as_json: bool, templates: Path | None) -> None:
    """Compare every mail with its snapshot, and with what `examples/NAME.expect.yaml` says of it.

    Prints the words that changed: [-was-]{+is+}. The exit code is 1 if a mail differs, has no snapshot, or does not say
    what is expected, or if a snapshot has no mail; 2 for wrong usage; else 0.

    \b
    Example:
      rgz-email snapshots
      rgz-email snapshots rma_confirmation --update
    """
    settings = template_settings(templates)
    root = settings.email_templates_dir
    if not root.is_dir():
        raise click.UsageError(f"There is no directory {root}; name the templates with --templates.")
    files = read_files(root)
    known = files.template_keys()
    if unknown := [key for key in keys if key not in known]:
        raise click.UsageError(
            f"There is no template {', '.join(map(repr, unknown))}; there are: {', '.join(known) or 'none'}."
        )
    found = review(files, snapshots_of(root), render_limits(settings), keys, is_update=update)
    if as_json:
        click.echo(json.dumps(_as_json(found), ensure_ascii=False))
    else:
        click.echo("\n".join(map(log_line, _lines(found, update=update))))
    raise SystemExit(0 if found.is_right else 1)


def _as_json(found: SnapshotReview) -> dict[str, object]:
    return {
        "templates": found.templates,
        "mails": found.mails,
        "equal": len(found.compared.equal),
        "differing": list(found.compared.differing),
        "missing": list(found.compared.missing),
        "orphans": list(found.compared.orphans),
        "failures": [{"mail": str(mail), "message": message} for mail, message in found.failures],
        "findings": [asdict(one) for one in found.findings],
        "updated": list(found.updated),
        "deleted": list(found.deleted),
    }


def _lines(found: SnapshotReview, *, update: bool) -> Sequence[str]:
    name = found.folder.name
    lines: list[str] = []
    for path, (old, new) in found.contents.items():
        before, after = (data.decode("utf-8", "backslashreplace") for data in (old, new))
        lines += [f"{name}/{path} differs:", *shortened(differences(before, after), _MAX_LINES)]
    lines += [f"{mail}: {printable(message)}" for mail, message in found.failures]
    lines += [f"{one} [{one.code}]" for one in found.findings]
    lines += [f"{name}/{path} is missing: no rendering is recorded" for path in found.compared.missing]
    lines += [f"{name}/{path} is an orphan: no mail has it any more" for path in found.compared.orphans]
    lines += [f"recorded {name}/{path}" for path in found.updated]
    lines += [f"deleted {name}/{path}" for path in found.deleted]
    compared = found.compared
    counts = f"{len(compared.equal)} equal, {len(compared.differing)} differ, {len(compared.missing)} missing"
    lines.append(
        f"{_count(found.mails, 'mail')} of {_count(found.templates, 'template')}, files: {counts},"
        f" {_count(len(compared.orphans), 'orphan')}."
    )
    if not compared.is_equal and not update:
        lines.append("To record what is rendered now: rgz-email snapshots --update")
    return list(map(printable, lines))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
