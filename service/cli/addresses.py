"""addresses: check whether e-mail addresses are valid, and how the service normalises them."""

import json
import sys
from typing import TypedDict

import click

from service.mail.addresses import AddressInvalid, parse


class _Checked(TypedDict):
    address: str
    ok: bool
    normalised: str | None
    reason: str | None


@click.group()
def addresses() -> None:
    """Check e-mail addresses, without settings or network access.

    \b
    Example:
      rgz-email addresses check < addresses.txt
    """


@addresses.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(as_json: bool) -> None:
    """Check the addresses on standard input, one per line: accepted or refused, and the normalised form.

    A line ends with LF only; an empty line is an empty address. Bytes that are not UTF-8 are refused, not replaced. The
    exit code is 0, whether the addresses are valid or not.

    \b
    Example:
      rgz-email addresses check --json < addresses.txt
    """
    lines = sys.stdin.buffer.read().split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    results = [_checked(line) for line in lines]
    if as_json:
        click.echo(json.dumps({"results": results}))
    else:
        for one in results:
            click.echo(f"{'ok' if one['ok'] else 'refused'}  {one['address']!r}  {one['normalised'] or one['reason']}")


def _checked(line: bytes) -> _Checked:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        shown = line.decode("utf-8", "backslashreplace")
        return {"address": shown, "ok": False, "normalised": None, "reason": "This is not UTF-8."}
    try:
        return {"address": text, "ok": True, "normalised": parse(text).normalised, "reason": None}
    except AddressInvalid as error:
        return {"address": text, "ok": False, "normalised": None, "reason": str(error)}
