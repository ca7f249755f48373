"""purge: anonymise and delete messages whose retention has ended."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict

import click

from service.bootstrap import build
from service.cli.environment import read_settings
from service.recipients.retention import Due, PurgeResult


@click.command()
@click.option("--dry-run", is_flag=True, help="Only count what would be changed.")
@click.option("--rewrite", "rewrites", is_flag=True, help="Rewrite tables of any size; they are locked meanwhile.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def purge(dry_run: bool, rewrites: bool, as_json: bool) -> None:
    """Anonymise old messages and delete the oldest; workers do this every night.

    Works in small steps while mail is accepted and sent. EMAIL_AUTO_ANONYMIZE_AFTER_DAYS and EMAIL_AUDIT_RETENTION_DAYS
    set the ages. At the end, a database of up to 128 MiB is rewritten, so that deleted bytes leave the disk; a larger
    one is rewritten only with --rewrite.

    \b
    Example:
      rgz-email purge --dry-run
    """
    services = build(read_settings(), mailbox_port=None)
    try:
        if dry_run:
            due = asdict(services.recipients.retention_purge.due())
            click.echo(json.dumps({"dry_run": True, **due}) if as_json else _due(due))
            return
        on_progress = _progress_of(services.recipients.retention_purge.due()) if sys.stderr.isatty() else None
        done = services.recipients.retention_purge.purge(on_progress=on_progress, rewrites=rewrites)
    finally:
        services.close()
    if as_json:
        click.echo(json.dumps({"dry_run": False, **asdict(done)}))
    else:
        click.echo(_as_text(done))


def _progress_of(due: Due) -> Callable[[PurgeResult], None]:
    """Return a callback that shows the progress in one line on standard error."""
    total = due.messages_to_delete + due.messages_to_anonymise

    def show(done: PurgeResult) -> None:
        reached = done.messages_deleted + done.messages_anonymised
        end = "\n" if done.is_finished else ""
        click.echo(f"\r{reached:,} of {total:,} messages, {done.files_deleted:,} files{end}", nl=False, err=True)

    return show


def _due(due: dict[str, int]) -> str:
    return (
        f"{due['messages_to_anonymise']} messages and {due['suppressions_to_anonymise']} suppressions to anonymise,"
        f" {due['messages_to_delete']} messages to delete."
    )


def _as_text(done: PurgeResult) -> str:
    left = " Deleted bytes are still on the disk; to remove them, run rgz-email purge --rewrite at a quiet hour."
    return (
        f"{done.messages_anonymised} messages and {done.suppressions_anonymised} suppressions anonymised,"
        f" {done.messages_deleted} messages deleted, {done.files_deleted} attachment files deleted."
        f"{'' if done.is_scrubbed else left}"
    )
