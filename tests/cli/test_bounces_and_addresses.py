"""The commands `bounces parse` and `addresses check`, run as scripts run them: no settings, any folder."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPORT = b"""\
From: Mail Delivery System <MAILER-DAEMON@mx.example>
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

It did not work out.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; gone@there.example
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 No such user here

--b
Content-Type: message/rfc822

Message-ID: <first@rgz.example>
From: noreply@rgz.example
To: gone@there.example

Hello
--b--
"""


def run(folder: Path, *args: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """The command in an empty folder with an environment that holds nothing of ours, and settings that can't work."""
    environment = {"PATH": os.environ["PATH"], "SMTP_PORT": "no number"}
    command = [str(Path(sys.executable).with_name("rgz-email")), *args]
    return subprocess.run(command, cwd=folder, env=environment, input=stdin, capture_output=True, timeout=60)


def results(done: subprocess.CompletedProcess[bytes]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr.decode()
    said: list[dict[str, Any]] = json.loads(done.stdout)["results"]
    return said


def test_bounces_parse_says_who_and_why(tmp_path: Path) -> None:
    (tmp_path / "report.eml").write_bytes(REPORT)
    [said] = results(run(tmp_path, "bounces", "parse", "report.eml", "--json"))
    assert said == {
        "file": "report.eml",
        "kind": "bounce",
        "recipients": [
            {
                "address": "gone@there.example",
                "bounce_type": "permanent",
                "bounce_subtype": "NoEmail",
                "status": "5.1.1",
                "diagnostic": "550 5.1.1 No such user here",
            }
        ],
        "original_message_id": "first@rgz.example",
    }
    assert list(tmp_path.iterdir()) == [tmp_path / "report.eml"]


def test_bounces_parse_tells_people_in_lines(tmp_path: Path) -> None:
    done = run(tmp_path, "bounces", "parse", "-", stdin=REPORT)
    assert done.stdout.decode() == (
        "-: bounce\n  gone@there.example  permanent  5.1.1  NoEmail  550 5.1.1 No such user here\n"
    )


def test_bounces_parse_ends_well_whatever_the_files_are(tmp_path: Path) -> None:
    junk = {
        "empty": b"",
        "nul": b"\0" * 5_000,
        "line": b"x" * 1_000_000,
        "bytes": bytes(range(256)) * 2_000,
        "boundary": b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n" * 10_000,
        "deep": b"".join(b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n" % (n, n) for n in range(3_000)),
        "headers": b"From: a\n" * 50_000,
        "charset": b'Content-Type: text/plain; charset="no-such\xff"\nContent-Transfer-Encoding: base64\n\n=====',
        "json": b'Subject: AWS Notification Message\n\n{"Type": ' + b"[" * 100_000,
        "torn": REPORT[:420],
    }
    for name, content in junk.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    said = results(run(tmp_path, "bounces", "parse", *junk, "folder", "absent", "--json"))
    assert [one["file"] for one in said] == [*junk, "folder", "absent"]
    assert {one["kind"] for one in said if one["file"] != "torn"} == {"none"}


def test_addresses_check_takes_lf_alone_as_the_end_of_a_line(tmp_path: Path) -> None:
    said = results(
        run(tmp_path, "addresses", "check", "--json", stdin="a@x.example\nb@x.example\r\nc\x85d@x.example".encode())
    )
    assert [(one["address"], one["ok"]) for one in said] == [
        ("a@x.example", True),
        ("b@x.example\r", False),
        ("c\x85d@x.example", False),
    ]


@pytest.mark.parametrize("broken", [b"caf\xe9@x.example", b"a@x.example\xff", b"\xed\xa0\x80@x.example", b"\xc0\xaf@x"])
def test_addresses_check_refuses_what_is_not_utf8(tmp_path: Path, broken: bytes) -> None:
    [said] = results(run(tmp_path, "addresses", "check", "--json", stdin=broken + b"\n"))
    assert (said["ok"], said["normalised"], said["reason"]) == (False, None, "This is not UTF-8.")
    assert "\N{REPLACEMENT CHARACTER}" not in said["address"]


def test_addresses_check_normalises_both_spellings_of_a_domain_alike(tmp_path: Path) -> None:
    spellings = [
        "Info@Bücher.example",
        "info@xn--bcher-kva.example",
        "INFO@BÜCHER.EXAMPLE",
        "info@bu\u0308cher.example",
    ]
    said = results(run(tmp_path, "addresses", "check", "--json", stdin="\n".join(spellings).encode()))
    assert [one["ok"] for one in said] == [True] * 4
    assert {one["normalised"] for one in said} == {"info@xn--bcher-kva.example"}


def test_addresses_check_says_why_one_is_refused(tmp_path: Path) -> None:
    said = results(run(tmp_path, "addresses", "check", "--json", stdin=b"a@@b.example\n\nok@b.example\n"))
    assert [one["ok"] for one in said] == [False, False, True]
    assert all(one["reason"] for one in said[:2])
    assert said[2]["reason"] is None
