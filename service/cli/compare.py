"""deployments compare: whether another environment serves the same revisions."""

import http.client
import json
import os
import ssl
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import click

from service.cli.deployed import as_json_option, print_json, services_for_a_call

_PATH = "/api/v1/email/deployments/current"
_TIMEOUT_S = 15.0
#: An answer about 10,000 templates has some 3 MB.
_MAX_ANSWER_BYTES = 16 * 1024 * 1024
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_TOKEN = "RGZ_EMAIL_COMPARE_TOKEN"  # noqa: S105  # a name


@dataclass(frozen=True, slots=True)
class _Difference:
    """A template whose revisions differ; None where an environment serves none."""

    key: str
    here: str | None
    there: str | None


@click.command()
@click.argument("url")
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help=f"A file with a key of the other environment, of the scope deploy; without it ${_TOKEN}.",
)
@as_json_option
def compare(url: str, token_file: Path | None, as_json: bool) -> None:
    """Say for each template whether the environment at URL serves the same revision as this one.

    Revisions are digests of everything that a mail is made of but the installation's own values, so equal ones give
    equal mails. Exits with 0 where all are equal, with 1 where some differ or the other one does not answer.

    \b
    Example:
      rgz-email deployments compare https://mail.staging.example --token-file staging-key
    """
    address = _address(url)
    there = _revisions(_current(address, _token(token_file)))
    with services_for_a_call() as services:
        live = services.deployments.deployment_status.report().live
        items = services.deployments.deployment_history.items(live) if live else []
    here = {item.key: item.revision for item in items if item.revision is not None}
    keys = sorted(here.keys() | there.keys())
    differing = [_Difference(key, here.get(key), there.get(key)) for key in keys if here.get(key) != there.get(key)]
    if as_json:
        rows = [{"key": key, "equal": here.get(key) == there.get(key), "here": here.get(key), "there": there.get(key)}
                for key in keys]  # fmt: skip
        print_json({"equal": not differing, "items": rows, "total": len(rows)})
    else:
        for one in differing:
            click.echo(f"differs  {one.key}  here {_short(one.here)}, there {_short(one.there)}")
        click.echo(f"{len(keys) - len(differing)} of {len(keys)} templates are equal.")
    sys.exit(1 if differing else 0)


def _short(revision: str | None) -> str:
    return revision[:12] if revision else "none"


def _address(url: str) -> SplitResult:
    """The address to ask. A key must not travel in the clear, so http is for this machine alone."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="URL") from None
    if parts.scheme not in ("https", "http") or not host or parts.username is not None:
        raise click.BadParameter("write https://HOST", param_hint="URL")
    if parts.scheme == "http" and host not in _LOOPBACK:
        raise click.BadParameter("write https://: a key must not travel in the clear", param_hint="URL")
    return parts


def _token(file: Path | None) -> str:
    token = file.read_text(encoding="utf-8").strip() if file else os.environ.get(_TOKEN, "").strip()
    if not token.isascii() or not token.isprintable():
        raise click.BadParameter("the key has characters that no key has", param_hint="--token-file")
    return token


def _current(address: SplitResult, token: str) -> Any:
    """Ask the other environment; redirects are not followed, for the key is for this host alone."""
    path = address.path.rstrip("/")
    path = path if path.endswith(_PATH) else path + _PATH
    connection: http.client.HTTPConnection
    if address.scheme == "https":
        context = ssl.create_default_context()
        connection = http.client.HTTPSConnection(
            address.hostname or "", address.port, timeout=_TIMEOUT_S, context=context
        )
    else:
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=_TIMEOUT_S)
    try:
        connection.request(
            "GET",
            path,
            headers={"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {}),
        )
        answer = connection.getresponse()
        data = answer.read(_MAX_ANSWER_BYTES + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise click.ClickException(f"{address.hostname} does not answer: {error}") from None
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        hint = {401: "; give a key with --token-file", 403: "; the key needs the scope deploy"}.get(answer.status, "")
        raise click.ClickException(f"{address.hostname} answers {answer.status}{hint}.")
    try:
        if len(data) > _MAX_ANSWER_BYTES:
            raise ValueError("it is too long")
        return json.loads(data)
    except ValueError as error:
        raise click.ClickException(f"{address.hostname} gives no answer of this API: {error}") from None


def _revisions(answer: Any) -> dict[str, str]:
    """Key and revision of each template that is served there."""
    try:
        pairs = [(item["key"], item["revision"]) for item in answer["items"]]
    except (KeyError, TypeError):
        raise click.ClickException("The other environment gives no answer of this API.") from None
    return {key: revision for key, revision in pairs if isinstance(key, str) and isinstance(revision, str)}
