"""preview: serve the template pages on this machine; needs no settings, no data directory and no database."""

import json
import webbrowser
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from service.bootstrap import build_preview_services
from service.cli.environment import template_settings
from service.config.settings import Settings
from service.errors import NotFound
from service.web import server
from service.web.preview_app import create_preview

_HOST = "127.0.0.1"


@click.command()
@click.argument("key", required=False)
@click.option(
    "--port",
    default=0,
    show_default="a free one",
    type=click.IntRange(0, 65535),
    help="Port to listen on, on the loopback interface.",
)
@click.option("--templates", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Template directory.")
def preview(key: str | None, port: int, templates: Path | None) -> None:
    """Serve the template pages on this machine; they reload when a file is saved. Ctrl-C ends it.

    \b
    Example:
      rgz-email preview billing_invoice_monthly --port 8001
    """
    _serve(template_settings(templates), f"/{key}" if key else "", key, port)


def open_page(
    settings: Settings, key: str, variables: Mapping[str, Any], *, example: str | None, locale: str | None
) -> None:
    """Open the page of a template in a browser and serve it until Ctrl-C. Raises NotFound."""
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in variables.items()}
    query = {"example": example, "locale": locale, **{f"v.{name}": text for name, text in texts.items()}}
    asked = urlencode({name: value for name, value in query.items() if value is not None})
    _serve(settings, f"/{key}" + (f"?{asked}" if asked else ""), key, 0, opens=True)


def _serve(settings: Settings, path: str, key: str | None, port: int, *, opens: bool = False) -> None:
    with closing(build_preview_services(settings)) as preview_services:
        if key is not None and key not in preview_services.catalogue.current.entries:
            raise NotFound(f"There is no template {key!r}.")
        listener = server.bind(_HOST, port)
        address = f"http://{_HOST}:{listener.getsockname()[1]}/admin/templates{path}"
        app = create_preview(preview_services)

        def ready() -> None:
            click.echo(f"Templates of {settings.email_templates_dir}, reloaded on save: {address}", err=True)
            if opens:
                webbrowser.open(address)

        server.run(app, [listener], on_ready=ready, on_end=app.state.streams.close)
