"""keys: create, list and revoke API keys, and renew the secret key."""

import json
from datetime import datetime

import click

from service.bootstrap import build
from service.cli.environment import read_settings
from service.cli.secret_key import accept_new_secret, rotate_secret
from service.models import Scope


@click.group()
def keys() -> None:
    """Create, list and revoke API keys, and renew the secret key.

    \b
    Example:
      rgz-email keys create billing --scopes send,read
    """


keys.add_command(rotate_secret)
keys.add_command(accept_new_secret)


@keys.command()
@click.argument("name")
@click.option("--scopes", default="send", show_default=True, help="send, read, deploy and admin, comma-separated.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def create(name: str, scopes: str, as_json: bool) -> None:
    """Create a key; it is shown once, and only its digest is stored.

    \b
    Example:
      rgz-email keys create billing --scopes send,read --json
    """
    wanted = _scopes(scopes)
    services = build(read_settings(), mailbox_port=None)
    made, key = services.api_keys.create(name, wanted, services.clock())
    services.close()
    listed = sorted(scope.value for scope in made.scopes)
    if as_json:
        click.echo(json.dumps({"id": made.id, "name": made.name, "scopes": listed, "key": key}))
        return
    click.echo(f"Key {made.id} for {made.name}, scopes {', '.join(listed)}. It is shown only once:\n\n  {key}")


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_keys(as_json: bool) -> None:
    """List all keys, without their secrets.

    \b
    Example:
      rgz-email keys list
    """
    services = build(read_settings(), mailbox_port=None)
    found = services.api_keys.list_keys()
    services.close()
    rows = [
        {
            "id": item.id,
            "name": item.name,
            "scopes": sorted(scope.value for scope in item.scopes),
            "created_at": _time(item.created_at),
            "revoked_at": _time(item.revoked_at),
        }
        for item in found
    ]
    if as_json:
        click.echo(json.dumps({"items": rows, "total": len(rows)}))
        return
    if not rows:
        click.echo("There are no keys yet. Create one: rgz-email keys create NAME --scopes send,read")
    for row in rows:
        state = f"revoked {row['revoked_at']}" if row["revoked_at"] else "active"
        click.echo(f"{row['id']}  {row['name']:<24} {','.join(row['scopes'] or ()):<16} {row['created_at']}  {state}")


@keys.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """Revoke a key: requests with it are answered 401 from then on.

    \b
    Example:
      rgz-email keys revoke 0199c2ab
    """
    services = build(read_settings(), mailbox_port=None)
    revoked = services.api_keys.revoke(key_id, services.clock())
    services.close()
    if not revoked:
        raise click.ClickException(f"There is no active key {key_id}; see rgz-email keys list.")
    click.echo(f"Key {key_id} has been revoked.")


def _scopes(text: str) -> frozenset[Scope]:
    try:
        wanted = frozenset(Scope(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise click.BadParameter(f"{error}; the scopes are {', '.join(Scope)}", param_hint="--scopes") from None
    if not wanted:
        raise click.BadParameter("name at least one scope", param_hint="--scopes")
    return wanted


def _time(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None
