"""render: print a rendered template; needs no settings, no data directory and no service."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from service.cli.assignments import assignment
from service.cli.environment import template_settings
from service.templates.build_tools import previewer_of_its_own

_ENVIRONMENT = "rgz-email.environment"


@click.command()
@click.argument("key")
@click.option("--templates", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Template directory.")
@click.option("--example", help="The example to fill in; `default` if not given.")
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="A variable; VALUE is JSON or text.")
@click.option("--locale", help="The language, if the template has several.")
@click.option("--html", "form", flag_value="html", default=True, help="The HTML part (the default).")
@click.option("--text", "form", flag_value="text", help="The plain text part.")
@click.option("--eml", "form", flag_value="eml", help="The whole mail (RFC 5322).")
@click.option(
    "--environment",
    metavar="NAME",
    expose_value=False,
    callback=lambda context, _, name: context.meta.update({_ENVIRONMENT: name}),
    help="Values as in this environment; without it, examples fill gaps.",
)
@click.option("--open", "in_browser", is_flag=True, help="Show its page in a browser until Ctrl-C.")
def render(
    key: str,
    templates: Path | None,
    example: str | None,
    assignments: tuple[str, ...],
    locale: str | None,
    form: str,
    in_browser: bool,
) -> None:
    """Print a template rendered with its example, byte for byte as a send would carry it.

    With --set, the example supplies only the required variables that are not set.

    \b
    Example:
      rgz-email render billing_invoice_monthly --set month=mars --text
    """
    settings = template_settings(templates)
    environment: str | None = click.get_current_context().meta[_ENVIRONMENT]
    values: dict[str, Any] | None = dict(assignment(text) for text in assignments) or None
    if in_browser:
        from service.cli.preview import open_page  # a web server, which nothing else here needs

        open_page(settings, key, values or {}, example=example, locale=locale)
        return
    with previewer_of_its_own(settings, environment) as previewer:
        preview = previewer.render(key, variables=values, example=example, locale=locale)
    rendered = preview.rendered
    parts: dict[str, Callable[[], bytes]] = {
        "html": lambda: rendered.html.encode(),
        "text": lambda: rendered.text.encode(),
        "eml": lambda: previewer.eml(preview, now=datetime.now(UTC)),
    }
    sys.stdout.buffer.write(parts[form]())
