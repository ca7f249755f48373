"""keys rotate-secret, keys accept-new-secret: new versions of EMAIL_SECRET_KEY."""

import json
from dataclasses import asdict

import click

from service.bootstrap import accept_new_secret as accept
from service.bootstrap import build
from service.cli.environment import read_settings
from service.config.secrets import data_directory, new_secret, previous_of, rotate_secret_key_file

_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.command("rotate-secret")
@_json
def rotate_secret(as_json: bool) -> None:
    """Make a new version of the secret key, which signs from the next start on; older versions stay accepted.

    It is written above the others in `secret-key` in EMAIL_DATA_DIR. Where EMAIL_SECRET_KEY is set, nothing is changed,
    and the command prints what to set instead. Then restart every process, workers first. Links in mails already sent
    go on working, and no pseudonym changes; everybody has to sign in again.

    \b
    Example:
      rgz-email keys rotate-secret --json
    """
    settings = read_settings()
    build(settings, mailbox_port=None).close()  # refused with a key that is not the database's
    wanted = {}
    file = None
    if settings.email_secret_key is None:
        file = rotate_secret_key_file(data_directory(settings))
    else:
        wanted = {"EMAIL_SECRET_KEY": new_secret(), "EMAIL_SECRET_KEY_PREVIOUS": previous_of(settings)}
    if as_json:
        click.echo(json.dumps({"file": str(file) if file else None, "set": wanted}))
    elif file:
        click.echo(f"{file} begins with a new version now. Restart every process, workers first.")
    else:
        click.echo("Set these, and restart every process, workers first:\n")
        click.echo("\n".join(f"  {name}={value}" for name, value in wanted.items()))


@click.command("accept-new-secret")
@click.option("--yes", is_flag=True, help="Do not ask.")
@_json
def accept_new_secret(yes: bool, as_json: bool) -> None:
    """Go on with another secret key where the old one is lost. Stop every process first.

    Pseudonyms are made anew where the address is still known. Anonymised suppressions match nobody any more: those
    persons will be written to again. Anonymised messages are no longer found by their address, and links and return
    paths in mails already sent are refused. Restore the old key instead, if there is any way to. May be repeated where
    it was interrupted.

    \b
    Example:
      rgz-email keys accept-new-secret --yes
    """
    settings = read_settings()
    if not yes:
        click.confirm("Anonymised suppressions will match nobody. Is the old key lost for good?", abort=True, err=True)
    done = accept(settings)
    if as_json:
        click.echo(json.dumps(asdict(done)))
        return
    click.echo(
        f"{done.messages} messages and {done.suppressions} suppressions have new pseudonyms;"
        f" {done.suppressions_lost} anonymised suppressions match nobody any more."
    )
