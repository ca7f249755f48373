"""actions: list what admins did, and who was refused."""

import json
from typing import Any

import click

from service.auth.admin_actions import ActionFilter
from service.bootstrap import build
from service.cli.environment import read_settings
from service.models import ActionKind, AdminAction


@click.command()
@click.option("--kind", type=click.Choice(list(ActionKind)), help="Only actions of this kind.")
@click.option("--actor", help="Only actions of this key, by its name or id; admin is the admin token.")
@click.option("--person", help="Only actions on the data of the person with this address.")
@click.option("--since", help="Only then or later, ISO 8601.")
@click.option("--until", help="Only before then, ISO 8601.")
@click.option("--limit", default=50, show_default=True, help="Number of actions, 1 to 1000.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def actions(limit: int, as_json: bool, **filters: str | None) -> None:
    """List what admins did, and who was refused, newest first.

    Persons and clients are shown as pseudonyms. Refusals are counted; a row tells how often.

    \b
    Example:
      rgz-email actions --person ada@example.com
      rgz-email actions --kind key_refused --since 2026-11-01T00:00:00Z
    """
    services = build(read_settings(), mailbox_port=None)
    try:
        page = services.admin_actions.search(ActionFilter(**filters), limit=limit)
    finally:
        services.close()
    if as_json:
        items = [_row(item) for item in page.items]
        click.echo(json.dumps({"items": items, "total": page.total, "next": page.next}, ensure_ascii=False))
        return
    for item in page.items:
        click.echo(_as_text(item))
    click.echo(f"{len(page.items)} of {page.total}{' or more' if page.total_capped else ''}")


def _row(item: AdminAction) -> dict[str, Any]:
    return {
        "id": item.id,
        "created_at": item.created_at.isoformat(),
        "kind": item.kind.value,
        "actor_id": item.actor_id,
        "actor_name": item.actor_name,
        "via": item.via,
        "subject": item.subject,
        "person": item.recipient_hash,
        "client": item.client,
        "detail": item.detail,
        "count": item.count,
    }


def _as_text(item: AdminAction) -> str:
    person = f"person {item.recipient_hash[:12]}" if item.recipient_hash else None
    client = f"client {item.client}" if item.client else None
    times = f"{item.count} times" if item.count > 1 else None
    facts = [fact for fact in (item.subject, person, item.detail, client, times) if fact]
    actor = item.actor_name or "unknown"
    return f"{item.created_at:%Y-%m-%d %H:%M:%S}  {item.kind:<22}  {actor} ({item.via})  {', '.join(facts)}".rstrip()
