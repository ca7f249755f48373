"""suppressions: list, add, lift, import and export suppressed addresses."""

import json
import sys
from typing import Any, BinaryIO

import click

from service.bootstrap import Services, build
from service.cli.environment import read_settings
from service.errors import InvalidRequest, Problem
from service.models import OPERATOR
from service.models.requests import SuppressionRequest, parse
from service.recipients import suppression_csv
from service.recipients.suppressions import Suppression, reason_of

_SOURCE = "command line"

_scope = click.option(
    "--scope", type=click.Choice(["all", "marketing"]), default=None, help="Only suppressions of this scope."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def suppressions() -> None:
    """Manage the addresses that must not be written to.

    \b
    Example:
      rgz-email suppressions add ops@example.com --reason "asked by telephone"
    """


@suppressions.command("list")
@click.option("--address", help="Only suppressions of this address.")
@_scope
@click.option("--lifted", is_flag=True, help="Include lifted ones.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000), help="Suppressions to show.")
@click.option("--cursor", help="The `next` of the previous page.")
@_json
def list_suppressions(
    address: str | None, scope: str | None, lifted: bool, limit: int, cursor: str | None, as_json: bool
) -> None:
    """List suppressions, newest first.

    \b
    Example:
      rgz-email suppressions list --address ops@example.com --lifted
    """
    services = _services()
    try:
        page = services.recipients.suppressions.search(
            address=address, scope=scope, lifted=lifted, limit=limit, cursor=cursor
        )
    finally:
        services.close()
    if as_json:
        items = [_row(item) for item in page.items]
        click.echo(json.dumps({"items": items, "total": page.total, "next": page.next}, ensure_ascii=False))
        return
    for item in page.items:
        click.echo(_as_text(item))
    click.echo(f"{len(page.items)} of {page.total}")


@suppressions.command()
@click.argument("address")
@click.option(
    "--scope",
    type=click.Choice(["all", "marketing"]),
    default="all",
    show_default=True,
    help="All mail, or marketing only.",
)
@click.option("--reason", default="manual", show_default=True, help="A word or a sentence.")
@_json
def add(address: str, scope: str, reason: str, as_json: bool) -> None:
    """Suppress an address; if it is suppressed already, the first reason stays.

    \b
    Example:
      rgz-email suppressions add ops@example.com --scope marketing --reason "asked by telephone"
    """
    body = json.dumps({"address": address, "scope": scope, "reason": reason}).encode()
    services = _services()
    try:
        item, is_new = services.recipients.suppressions.add(parse(body, SuppressionRequest), OPERATOR, source=_SOURCE)
    finally:
        services.close()
    if as_json:
        click.echo(json.dumps(_row(item) | {"new": is_new}, ensure_ascii=False))
        return
    click.echo(_as_text(item) if is_new else f"Already suppressed:\n{_as_text(item)}")


@suppressions.command()
@click.argument("address_or_id")
@_scope
@click.option("--reason", help="Why; stored with the suppression.")
@_json
def lift(address_or_id: str, scope: str | None, reason: str | None, as_json: bool) -> None:
    """Lift the suppressions of an address, or one by its id; they stay on record.

    \b
    Example:
      rgz-email suppressions lift ops@example.com --reason "the mailbox works again"
    """
    services = _services()
    try:
        if "@" in address_or_id:
            ended = services.recipients.suppressions.lift_address(address_or_id, OPERATOR, scope=scope, reason=reason)
        else:
            ended = [services.recipients.suppressions.lift(address_or_id, OPERATOR, reason=reason)]
    finally:
        services.close()
    if not ended:
        raise click.ClickException("This address is not suppressed; see rgz-email suppressions list.")
    if as_json:
        click.echo(json.dumps({"items": [_row(item) for item in ended]}, ensure_ascii=False))
        return
    click.echo("\n".join(_as_text(item) for item in ended))


@suppressions.command("import")
@click.argument("file", type=click.File("rb"))
@_json
def import_file(file: BinaryIO, as_json: bool) -> None:
    """Suppress the addresses of a CSV file: all of them, or none if a line has a mistake.

    The first line names the columns: address, and optionally scope, reason, since, source, event_id, recipient_hash.
    - is standard input. Every line with a mistake is named.

    \b
    Example:
      rgz-email suppressions import unsubscribed.csv
    """
    lines = suppression_csv.read(_decoded(file.read()))
    services = _services()
    try:
        done = services.recipients.suppressions.import_rows(lines, OPERATOR)
    finally:
        services.close()
    if as_json:
        click.echo(json.dumps({"added": done.added, "known": done.known}))
        return
    click.echo(f"{done.added} suppressed, {done.known} were suppressed already.")


@suppressions.command()
@_json
def export(as_json: bool) -> None:
    """Print all active suppressions as CSV that `import` reads.

    \b
    Example:
      rgz-email suppressions export > suppressions.csv
    """
    services = _services()
    try:
        rows = [
            _row(item) | {"recipient_hash": item.recipient_hash}
            for item in services.recipients.suppressions.all_active()
        ]
    finally:
        services.close()
    if as_json:
        click.echo(json.dumps({"items": rows, "total": len(rows)}, ensure_ascii=False))
        return
    for line in suppression_csv.write(rows):
        sys.stdout.buffer.write(line.encode())
    sys.stdout.buffer.flush()


def _services() -> Services:
    return build(read_settings(), mailbox_port=None)


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = Problem("", "utf8", f"line {line}: not UTF-8; save the file as CSV UTF-8")
        raise InvalidRequest("Nothing was imported: the file has mistakes.", [problem]) from None


def _row(item: Suppression) -> dict[str, Any]:
    return {
        "id": item.id,
        "address": item.address,
        "scope": item.scope,
        "reason": reason_of(item),
        "since": item.since.isoformat(),
        "source": item.source,
        "event_id": item.event_id,
        "created_by": item.created_by,
        "lifted_at": item.lifted_at.isoformat() if item.lifted_at else None,
        "lifted_by": item.lifted_by,
        "lift_reason": item.lift_reason,
    }


def _as_text(item: Suppression) -> str:
    ended = f", lifted {item.lifted_at:%Y-%m-%d} by {item.lifted_by}" if item.lifted_at else ""
    who = item.address or f"(anonymised, {item.recipient_hash[:12]})"
    return f"{item.id}  {item.since:%Y-%m-%d %H:%M}  {item.scope:<9}  {who}  {reason_of(item)} ({item.source}){ended}"
