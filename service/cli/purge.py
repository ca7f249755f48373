"""purge: what has had its time goes."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict

import click

from service.bootstrap import build
from service.cli.environment import read_settings
from service.recipients.retention import Due, PurgeResult


@click.command()
@click.option("--dry-run", is_flag=True, help="Only count what would be done.")
@click.option("--rewrite", "rewrites", is_flag=True, help="Write tables of any size anew, which locks them meanwhile.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def purge(dry_run: bool, rewrites: bool, as_json: bool) -> None:
    """Take persons out of old messages, and delete the oldest; workers do it by themselves, every night.

    In small steps, while mail is taken and sent. EMAIL_AUTO_ANONYMIZE_AFTER_DAYS and EMAIL_AUDIT_RETENTION_DAYS say
    what is old. Files of up to 128 MiB are written anew at the end; of larger ones only --rewrite takes the last bytes.

    \b
    Example:
      rgz-email purge --dry-run
    """
    services = build(read_settings(), delivers=False)
    try:
        if dry_run:
            due = asdict(services.retention_purge.due())
            click.echo(json.dumps({"dry_run": True, **due}) if as_json else _due(due))
            return
        told = _progress_of(services.retention_purge.due()) if sys.stderr.isatty() else None
        done = services.retention_purge.purge(on_progress=told, rewrites=rewrites)
    finally:
        services.close()
    if as_json:
        click.echo(json.dumps({"dry_run": False, **asdict(done)}))
    else:
        click.echo(_told(done))


def _progress_of(due: Due) -> Callable[[PurgeResult], None]:
    """A line for people that grows older and is written over."""
    total = due.messages_to_delete + due.messages_to_anonymise

    def tell(done: PurgeResult) -> None:
        reached = done.messages_deleted + done.messages_anonymised
        end = "\n" if done.is_finished else ""
        click.echo(f"\r{reached:,} of {total:,} messages, {done.files_deleted:,} files{end}", nl=False, err=True)

    return tell


def _due(due: dict[str, int]) -> str:
    return (
        f"{due['messages_to_anonymise']} messages and {due['suppressions_to_anonymise']} suppressions to anonymise,"
        f" {due['messages_to_delete']} messages to delete."
    )


def _told(done: PurgeResult) -> str:
    left = " The last bytes are still on the disk: rgz-email purge --rewrite, at a quiet hour."
    return (
        f"{done.messages_anonymised} messages and {done.suppressions_anonymised} suppressions anonymised,"
        f" {done.messages_deleted} messages deleted, {done.files_deleted} files of attachments deleted."
        f"{'' if done.is_scrubbed else left}"
    )
