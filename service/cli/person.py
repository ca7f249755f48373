"""person: export or erase the personal data stored for one address."""

import base64
import json
from dataclasses import asdict
from typing import Any

import click

from service.bootstrap import Services, build
from service.cli.environment import read_settings
from service.models import OPERATOR, Event
from service.recipients.data_requests import ErasureResult, MessageRecord, RecipientData
from service.recipients.suppressions import reason_of

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def person() -> None:
    """Export or erase the data stored about one person.

    \b
    Example:
      rgz-email person export ada@example.com --json > ada.json
    """


@person.command()
@click.argument("address")
@click.option("--attachments", is_flag=True, help="Include the content of attachments (base64, in JSON only).")
@_json
def export(address: str, attachments: bool, as_json: bool) -> None:
    """Print every message to this address, with timeline, content and variables, and every suppression.

    \b
    Example:
      rgz-email person export ada@example.com --json --attachments > ada.json
    """
    services = build(read_settings(), mailbox_port=None)
    try:
        found = services.recipients.data_requests.export(address)
        services.admin_actions.person_exported(address, OPERATOR)
        rows = [_row(item) | {"attachments": _files(services, item, attachments)} for item in found.messages]
    finally:
        services.close()
    if as_json:
        suppressions = [asdict(item) | {"reason": reason_of(item)} for item in found.suppressions]
        everything = {"address": address, "messages": rows, "suppressions": suppressions}
        click.echo(json.dumps(everything, ensure_ascii=False, default=str))
    else:
        click.echo("\n".join(_as_text(found)))


@person.command()
@click.argument("address")
@click.option("--dry-run", is_flag=True, help="Only count what would be changed.")
@click.option(
    "--no-suppress", "suppresses", flag_value=False, default=True, help="Do not suppress the address afterwards."
)
@_json
def erase(address: str, dry_run: bool, suppresses: bool, as_json: bool) -> None:
    """Erase this person's data from every message and suppression now; queued messages are cancelled.

    A keyed hash of the address stays suppressed, so that no mail is sent there again. The exit code is 1 if a message
    was being sent at that moment, or deleted bytes are still on the disk: then repeat the command in a minute.

    \b
    Example:
      rgz-email person erase ada@example.com --dry-run
    """
    services = build(read_settings(), mailbox_port=None)
    try:
        persons = services.recipients.data_requests
        done = persons.preview_erasure(address) if dry_run else persons.erase(address, OPERATOR, suppresses=suppresses)
    finally:
        services.close()
    if as_json:
        click.echo(json.dumps({"dry_run": dry_run, **asdict(done)}))
    else:
        click.echo(_counted(done, dry_run))
    raise SystemExit(0 if dry_run or (done.is_scrubbed and not done.messages_leaving) else 1)


#: Scripts read the export, so this field keeps its first name.
_EXPORTED_NAMES = {"rfc_message_id": "message_id"}


def _row(item: MessageRecord) -> dict[str, Any]:
    return {
        **{_EXPORTED_NAMES.get(name, name): value for name, value in asdict(item.message).items()},
        "variables": item.variables,
        "html": item.body.html if item.body else None,
        "text": item.body.text if item.body else None,
        "events": [_event(event) for event in item.events],
    }


def _event(event: Event) -> dict[str, Any]:
    return {**asdict(event), "at": event.at.isoformat()}


def _files(services: Services, item: MessageRecord, with_content: bool) -> list[dict[str, Any]]:
    rows = []
    for info in item.attachments:
        row = asdict(info)
        if with_content:
            data = services.messages.message_search.attachment(item.message.id, info.n).data
            row["data_base64"] = base64.b64encode(data).decode()
        rows.append(row)
    return rows


def _as_text(found: RecipientData) -> list[str]:
    lines = [f"{found.address}: {len(found.messages)} messages, {len(found.suppressions)} suppressions"]
    for item in found.messages:
        message = item.message
        lines.append(f"{message.created_at:%Y-%m-%d %H:%M}  {message.id}  {message.status:<12} {message.subject}")
    for suppression in found.suppressions:
        ended = ", lifted" if suppression.lifted_at else ""
        lines.append(f"{suppression.since:%Y-%m-%d %H:%M}  {suppression.scope}: {reason_of(suppression)}{ended}")
    return lines


def _counted(done: ErasureResult, dry_run: bool) -> str:
    lines = [
        f"{done.messages_anonymised} messages and {done.suppressions_anonymised} suppressions anonymised,"
        f" {done.messages_cancelled} of the messages cancelled, {done.files_deleted} attachment files deleted."
    ]
    if dry_run:
        return f"Dry run: {lines[0]}"
    if done.files_waiting:
        lines.append(f"{done.files_waiting} attachment files are in a request that is being accepted; they go with it.")
    if done.messages_leaving:
        lines.append(f"{done.messages_leaving} messages were being sent just now: run this command again in a minute.")
    if not done.is_scrubbed:
        lines.append(
            "Deleted bytes are still on the disk; to remove them, run rgz-email purge --rewrite at a quiet hour."
        )
    return "\n".join(lines)
