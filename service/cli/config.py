"""migrate, config: bring the database schema up to date, and show the settings."""

import json

import click

from service.bootstrap import build
from service.cli.environment import read_settings
from service.config.settings import Settings


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def migrate(as_json: bool) -> None:
    """Bring the database schema up to date; `serve`, `api` and `worker` do this at start, too.

    \b
    Example:
      DATABASE_URL=postgresql://rgz@db/rgz rgz-email migrate
    """
    services = build(read_settings(), mailbox_port=None)
    applied = services.migrations
    services.close()
    if as_json:
        click.echo(json.dumps({"applied": list(applied)}))
    else:
        click.echo("\n".join(f"applied {name}" for name in applied) or "The database is up to date.")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def config(as_json: bool) -> None:
    """Show every setting with its value, origin and meaning; secrets are hidden.

    With invalid settings it lists every mistake and exits with 2.

    \b
    Example:
      SMTP_PORT=465 rgz-email config
    """
    settings = read_settings()
    rows = [
        {
            "name": name.upper(),
            "value": _as_text(settings, name),
            "given": name in settings.model_fields_set,
            "description": field.description,
        }
        for name, field in Settings.model_fields.items()
    ]
    if as_json:
        click.echo(json.dumps({"settings": rows}, ensure_ascii=False))
        return
    for row in rows:
        origin = "set" if row["given"] else "default"
        click.echo(
            f"{row['name']}={row['value'] if row['value'] is not None else ''}  # {origin}. {row['description']}"
        )


def _as_text(settings: Settings, name: str) -> str | None:
    value = settings.model_dump(mode="json")[name]
    if name in ("email_rate_limit_marketing", "email_rate_limit_transactional"):
        return str(getattr(settings, name))
    if isinstance(value, list):
        return ",".join(value)
    return None if value is None else str(value)
