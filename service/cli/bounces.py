"""bounces: parse returned mails (DSN, ARF, automatic replies) from files."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypedDict

import click
import structlog

from service.config import logs
from service.feedback.bounce.isolated_reader import reader_of_its_own
from service.feedback.bounce.report import MailKind, ParsedReport
from service.feedback.bounce.returned_mail import ReturnedMail

#: A bounce report stands at the beginning of a mail; a file may be of any size, and the rest is not read.
_READ_BYTES = 4 * 1024 * 1024

_log = structlog.get_logger("feedback")


class ExaminedRecipient(TypedDict):
    """What a mail reports of one recipient; `bounce_type` is the class of `status`."""

    address: str
    bounce_type: str | None
    bounce_subtype: str | None
    status: str | None
    diagnostic: str | None


class ExaminedMail(TypedDict):
    """What a mail reports, in the form of `--json`.

    `kind` is bounce, delayed, complaint, delivered, auto_reply or none.
    """

    kind: str
    recipients: list[ExaminedRecipient]
    original_message_id: str | None


@click.group()
def bounces() -> None:
    """Parse returned mails; needs no settings and changes nothing.

    \b
    Example:
      rgz-email bounces parse returned.eml
    """


@bounces.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def parse(files: tuple[str, ...], as_json: bool) -> None:
    """Print what each mail reports: bounce, delay, complaint, delivery, automatic reply or none.

    `-` is standard input. The exit code is 0 whatever the files hold; a file that can't be read is named on standard
    error, and its kind is "none".

    \b
    Example:
      rgz-email bounces parse returned.eml --json
    """
    logs.configure("warning", for_people=sys.stderr.isatty())
    with reader_of_its_own() as read:
        results = [(file, examine(_bytes_of(file), read)) for file in files]
    if as_json:
        click.echo(json.dumps({"results": [{"file": file, **mail} for file, mail in results]}))
    else:
        for file, mail in results:
            click.echo(_as_text(file, mail))


def examine(raw: bytes, read: Callable[[bytes], ReturnedMail]) -> ExaminedMail:
    """Parse the bytes of a mail; never raises, whatever they are."""
    try:
        report = read(raw).report
    except Exception as error:  # a bug must not stop the reading of the other files
        _log.error("mail_could_not_be_read", size_bytes=len(raw), exc_info=error)
        report = ParsedReport(MailKind.NONE)
    return {
        "kind": report.kind.value,
        "recipients": [
            {
                "address": one.address,
                "bounce_type": one.bounce_type,
                "bounce_subtype": one.subtype,
                "status": one.status,
                "diagnostic": one.diagnostic,
            }
            for one in report.recipients
        ],
        "original_message_id": report.original_message_id,
    }


def _bytes_of(file: str) -> bytes:
    try:
        if file == "-":
            return sys.stdin.buffer.read(_READ_BYTES)
        with Path(file).open("rb") as opened:
            return opened.read(_READ_BYTES)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a valid file name"
        click.echo(f"{click.format_filename(file)}: {reason}", err=True)
        return b""


def _as_text(file: str, mail: ExaminedMail) -> str:
    lines = [f"{click.format_filename(file)}: {mail['kind']}"]
    for one in mail["recipients"]:
        facts = [one["bounce_type"], one["status"], one["bounce_subtype"], one["diagnostic"]]
        lines.append(f"  {one['address']}  {'  '.join(fact for fact in facts if fact)}".rstrip())
    return "\n".join(lines)
