"""send, messages: send a template from the command line, list messages and show their timelines."""

import base64
import json
import mimetypes
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from service.bootstrap import build
from service.cli.assignments import assignment
from service.cli.environment import read_settings
from service.errors import InvalidRequest, Problem
from service.messages.search import MessageDetail, MessageFilter
from service.models import OPERATOR, Message, Origin
from service.models.requests import BatchRequest, SendRequest, parse

#: Commands run with all rights: who can run them can read the database file anyway.


@click.command()
@click.argument("key")
@click.option("--to", help="One address, or several, comma-separated.")
@click.option("--cc", help="Addresses that get a copy and are seen, comma-separated.")
@click.option("--bcc", help="Addresses that get a copy and are not seen, comma-separated.")
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="A variable; VALUE is JSON or text.")
@click.option("--variables", type=click.File("r"), help="A JSON file with the variables; - is standard input.")
@click.option(
    "--attach", type=click.Path(exists=True, dir_okay=False, path_type=Path), multiple=True, help="A file to attach."
)
@click.option(
    "--batch",
    type=click.File("r"),
    help='A JSON file instead of --to: an array of up to 1,000 {"to", "cc", "bcc", "variables"}.',
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def send(
    key: str,
    as_json: bool,
    batch: Any,
    assignments: tuple[str, ...],
    variables: Any,
    attach: tuple[Path, ...],
    **addressees: str | None,
) -> None:
    """Send a template, as POST /send does; a worker delivers it.

    \b
    Example:
      rgz-email send rma_confirmation --to ops@example.com --set rma_number=RMA-7 --set serial_number=SN-1 \\
        --set status=reçu --set link_tracking=https://example.com/rma/7
      rgz-email send cutover_reminder --batch messages.json
    """
    is_single = any(addressees.values()) or assignments or variables or attach
    if bool(is_single) == bool(batch) or not (batch or addressees["to"]):
        raise click.UsageError("Give either --to (with variables, attachments and copies) or --batch.")
    services = build(read_settings(), mailbox_port=None)
    try:
        body = _batch(key, batch.read()) if batch else _single(key, addressees, assignments, variables, attach)
        accepted = services.sending.acceptor.send(body, OPERATOR)
    finally:
        services.close()
    rows = [{"id": item.id, "to": item.to, "role": item.role, "status": item.status} for item in accepted.messages]
    if as_json:
        click.echo(json.dumps({"id": accepted.id, "messages": rows}, ensure_ascii=False))
        return
    for row in rows:
        click.echo(f"{row['id']}  {row['to']}  {row['status']}{'' if row['role'] == 'to' else '  ' + row['role']}")


def _single(
    key: str,
    addressees: Mapping[str, str | None],
    assignments: tuple[str, ...],
    variables: Any,
    attach: tuple[Path, ...],
) -> SendRequest:
    values = _json_object(variables.read()) if variables else {}
    values |= dict(assignment(text) for text in assignments)
    files = [_attachment(path) for path in attach]
    body = {**addressees, "template_key": key, "variables": values, "attachments": files}
    return parse(json.dumps(body).encode(), SendRequest)


def _batch(key: str, text: str) -> BatchRequest:
    """The request of a batch, which is accepted as a whole or not at all."""
    try:
        items = json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint="--batch") from None
    return parse(json.dumps({"template_key": key, "messages": items}).encode(), BatchRequest)


@click.group(invoke_without_command=True)
@click.option("--to", help="Only messages to this address.")
@click.option("--status", help="Only messages in this state.")
@click.option("--reason", help="Only suppressed messages of this reason: environment, bounce, …")
@click.option("--template", "template_key", help="Only messages of this template.")
@click.option("--source", "source_endpoint", help="Only messages from this source (source_endpoint).")
@click.option(
    "--revision",
    "template_revision",
    help="Only messages of this revision: at least its first 12 digits, or a mail's X-RGZ-Template as it is.",
)
@click.option("--deployment", help="Only messages of this deployment: its id, or how it begins.")
@click.option("--commit", help="Only messages of this commit of the templates: its name, or how it begins.")
@click.option("--since", help="Only messages accepted since this ISO 8601 time.")
@click.option(
    "--late", is_flag=True, help="Only messages that missed their template's SLA in the last 30 days, or miss it now."
)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="Messages to show.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def messages(context: click.Context, /, late: bool, limit: int, as_json: bool, **filters: str | None) -> None:
    """List messages, newest first.

    \b
    Example:
      rgz-email messages --to reseller@techconnect.bj
      rgz-email messages --late
      rgz-email messages --revision "billing_invoice_monthly/3 0da2874f11c2"
      rgz-email messages show 0199c2ab-...
    """
    if context.invoked_subcommand is not None:
        return
    if late and any(filters.values()):
        raise click.UsageError("--late can be combined with --limit and --json only.")
    services = build(read_settings(), mailbox_port=None)
    try:
        if late:
            _print_late(services.messages.message_search.late(limit=limit), as_json=as_json)
            return
        if filters["to"] is not None:
            services.admin_actions.person_shown(filters["to"], OPERATOR)
        page = services.messages.message_search.search(MessageFilter(**filters), limit=limit)
    finally:
        services.close()
    if as_json:
        items = [_row(message) for message in page.items]
        click.echo(json.dumps({"items": items, "total": page.total, "next": page.next}, ensure_ascii=False))
        return
    for message in page.items:
        click.echo(f"{message.created_at:%Y-%m-%d %H:%M:%S}  {message.id}  {message.status:<12} {message.recipient}")
        click.echo(f"{'':21}{message.subject}")
    click.echo(f"{len(page.items)} of {page.total}{' or more' if page.total_capped else ''}")


def _print_late(found: Sequence[Message], *, as_json: bool) -> None:
    if as_json:
        rows = [_row(message) | {"sla_due_at": str(message.sla_due_at)} for message in found]
        click.echo(json.dumps({"items": rows, "total": len(rows)}, ensure_ascii=False))
        return
    for message in found:
        end = f"sent {message.sent_at:%Y-%m-%d %H:%M:%S}" if message.sent_at else str(message.status)
        click.echo(f"{message.id}  {message.template_key}  due {message.sla_due_at:%Y-%m-%d %H:%M:%S}  {end}")
    click.echo(f"{len(found)} late")


@messages.command()
@click.argument("message_id")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(message_id: str, as_json: bool) -> None:
    """Show one message with its timeline and attachments.

    \b
    Example:
      rgz-email messages show 0199c2ab-7d1e-7c3a-9b1f-2d3c4e5f6a7b
    """
    services = build(read_settings(), mailbox_port=None)
    try:
        found = services.messages.message_search.detail(message_id, OPERATOR)
    finally:
        services.close()
    if as_json:
        events = [{"type": item.type, "at": item.at.isoformat(), "detail": item.detail} for item in found.events]
        click.echo(json.dumps(_row(found.message) | _origin_row(found) | {"events": events}, ensure_ascii=False))
        return
    click.echo("\n".join(_as_text(found)))


def _as_text(found: MessageDetail) -> list[str]:
    message = found.message
    lines = [
        f"{message.subject}",
        f"{message.role} {message.recipient}, {message.template_key} version {message.template_version},"
        f" {message.status}" + (f" (waits for {message.waiting_for})" if message.waiting_for else ""),
        f"revision {message.template_revision}",
        *([f"preview {message.template_ref}"] if message.template_ref else []),
        *_origin(found.origin),
        *([f"redirected to {message.redirected_to}"] if message.redirected_to else []),
        "",
    ]
    lines += [f"{item.at:%Y-%m-%d %H:%M:%S}  {item.type:<12} {item.detail or ''}".rstrip() for item in found.events]
    for file in found.attachments:
        lines.append(f"attachment {file.n}: {file.filename}, {file.content_type}, {file.size_bytes} bytes")
    return lines


def _origin(origin: Origin) -> Iterator[str]:
    if origin.commit is not None:
        yield " ".join(filter(None, ["commit", origin.commit, origin.author, origin.first_line]))
    if origin.deployment_id is not None:
        live = f", live since {origin.live_at:%Y-%m-%d %H:%M:%S}" if origin.live_at else ""
        yield f"deployment {origin.deployment_id}{live}"


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint="--variables") from None
    if not isinstance(value, dict):
        raise InvalidRequest(
            "--variables must be a JSON object.", [Problem("/variables", "object_type", "expected an object")]
        )
    return value


def _origin_row(found: MessageDetail) -> dict[str, Any]:
    origin, live_at = found.origin, found.origin.live_at
    deployment = {
        "id": origin.deployment_id,
        "commit": origin.commit,
        "author": origin.author,
        "first_line": origin.first_line,
        "live_at": live_at.isoformat() if live_at else None,
    }
    return {
        "template_revision": found.message.template_revision,
        "template_ref": found.message.template_ref,
        "git_commit": origin.commit,
        "deployment": deployment if origin.deployment_id else None,
    }


def _attachment(path: Path) -> dict[str, str]:
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return {"filename": path.name, "content_type": kind, "data_base64": base64.b64encode(path.read_bytes()).decode()}


def _row(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "to": message.recipient,
        "role": message.role,
        "template_key": message.template_key,
        "template_version": message.template_version,
        "subject": message.subject,
        "status": message.status,
        "created_at": message.created_at.isoformat(),
        "sent_at": message.sent_at.isoformat() if message.sent_at else None,
        "error_message": message.error_message,
        "suppressed_reason": message.suppressed_reason,
        "redirected_to": message.redirected_to,
    }
