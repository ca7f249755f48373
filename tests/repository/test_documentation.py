"""Every setting, command and endpoint is documented, and the documents name nothing that is not there."""

import re
from pathlib import Path

import click
import pytest
from litestar.routes import HTTPRoute

from service.cli.main import main
from service.config.environment import load
from service.config.settings import Settings
from service.web.api import (
    dev_mailbox,
    health,
    messages,
    recipients,
    send,
    suppressions,
    templates,
    unsubscribe,
    webhook,
)
from service.web.pages.routes import CONTROLLERS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ENV_EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")


def test_the_readme_table_lists_every_setting_with_its_meaning() -> None:
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \|.*\| (.*) \|$", README, re.MULTILINE))
    assert rows == {name.upper(): field.description for name, field in Settings.model_fields.items()}


def test_env_example_names_every_setting_and_nothing_else() -> None:
    named = re.findall(r"^(?:# )?([A-Z][A-Z_]+)=", ENV_EXAMPLE, re.MULTILINE)
    assert sorted(named) == sorted(name.upper() for name in Settings.model_fields)


def test_env_example_is_taken_as_it_is() -> None:
    lines = [line.partition("=") for line in ENV_EXAMPLE.splitlines() if line and not line.startswith("#")]
    settings = load({name: value for name, _, value in lines})
    assert settings.smtp_host == "mail.rgz.bj"
    defaults = Settings()
    own = {"smtp_host", "smtp_user", "smtp_password", "email_templates_dir", "email_data_dir"}
    changed = {name for name in Settings.model_fields if getattr(settings, name) != getattr(defaults, name)}
    assert changed <= own


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    found: list[tuple[tuple[str, ...], click.Command]] = []
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        found.append(((*path, name), command))
        if isinstance(command, click.Group):
            found += commands(command, (*path, name))
    return found


@pytest.mark.parametrize(("path", "command"), commands(main), ids=str)
def test_every_command_has_an_example_and_stands_in_the_readme(path: tuple[str, ...], command: click.Command) -> None:
    assert "Example:" in (command.help or ""), "its --help needs an example"
    assert f"rgz-email {' '.join(path)}" in (command.help or "") + README
    assert f"`rgz-email {path[0]}" in README


def test_the_readme_lists_every_route() -> None:
    documented = set(re.findall(r"^\| `(GET|POST|PUT|DELETE) (/\S+)` \|", README, re.MULTILINE))
    served = set()
    for controller, prefix in (
        (send.SendController, "/api/v1/email"),
        (send.BatchController, "/api/v1/email"),
        (templates.TemplateController, "/api/v1/email"),
        (messages.MessageController, "/api/v1/email"),
        (suppressions.SuppressionController, "/api/v1/email"),
        (recipients.RecipientController, "/api/v1/email"),
        (unsubscribe.UnsubscribeController, "/api/v1/email"),
        (webhook.WebhookController, "/api/v1/email"),
        (health.HealthController, ""),
        (dev_mailbox.MailboxController, ""),
        *((controller, "") for controller in CONTROLLERS),
    ):
        for path, method in routes(controller):
            served.add((method, prefix + path))
    assert documented == served


def routes(controller: type) -> list[tuple[str, str]]:
    """(path, method) of every handler of a controller, the path as it stands in the documentation."""
    from litestar import Litestar

    app = Litestar([controller], openapi_config=None)
    found = []
    for route in app.routes:
        assert isinstance(route, HTTPRoute)
        path = re.sub(r":\w+\}", "}", route.path_format)
        found += [(path, method) for method in route.methods if method not in ("OPTIONS", "HEAD")]
    return found
