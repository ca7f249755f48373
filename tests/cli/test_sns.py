"""The command `sns verify`: offline, without settings, from any folder."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from service.cli.main import main
from tests.support import sns_peer
from tests.support.sns_peer import HOST, PATH, envelope, sign, signed


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Settings that would stop any command that reads them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMAIL_SNS_TOPIC_ARNS", "*")
    monkeypatch.setenv("EMAIL_DATA_DIR", "/nowhere")


@pytest.fixture
def pem(tmp_path: Path) -> Path:
    file = tmp_path / "sns.pem"
    file.write_bytes(sns_peer.certificate())
    return file


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["sns", "verify", *map(str, arguments)])


def verdicts(result: Result) -> list[tuple[bool, str | None]]:
    return [(one["ok"], one["reason"]) for one in json.loads(result.stdout)["results"]]


def write(directory: Path, name: str, what: dict[str, Any] | bytes) -> Path:
    file = directory / name
    file.write_bytes(what if isinstance(what, bytes) else json.dumps(what).encode())
    return file


def test_sns_verify_takes_genuine_envelopes(tmp_path: Path, pem: Path) -> None:
    files = [
        write(tmp_path, f"{n}.json", one)
        for n, one in enumerate(
            [
                signed(),
                signed(SignatureVersion="2", Subject="s", Message="a\nb"),
                signed("SubscriptionConfirmation"),
                signed("UnsubscribeConfirmation", SignatureVersion="2"),
                signed(TopicArn="arn:aws:sns:us-east-1:999999999999:anybody"),
                signed(at=datetime.now(UTC) - timedelta(days=20)),
            ]
        )
    ]
    result = run(*files, "--certificate", pem, "--json")
    assert verdicts(result) == [(True, None)] * len(files)
    assert [one["file"] for one in json.loads(result.stdout)["results"]] == [str(file) for file in files]
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ({**signed(), "Message": "other"}, "The signature does not match."),
        (sign(envelope(), key_name="attacker"), "The signature does not match."),
        ({**signed(), "SignatureVersion": "2"}, "The signature does not match."),
        ({**signed(), "Subject": "a\nb"}, "Subject has a line break or a control character in it."),
        (signed(SigningCertURL=f"https://{HOST}.evil.example{PATH}"), "SigningCertURL does not lie with Amazon SNS."),
        (signed(at=datetime.now(UTC) - timedelta(days=31)), "The certificate is not valid at the time of the message."),
        ({"eventType": "Bounce"}, "This is not a notification of Amazon SNS."),
        (b"", "The body is not JSON."),
        (b"\x00\xff" * 1000, "The body is not JSON."),
        (b"[" * 1_000_000, "The body is not JSON."),
    ],
)
def test_sns_verify_tells_why_an_envelope_is_refused(
    tmp_path: Path, pem: Path, what: dict[str, Any] | bytes, reason: str
) -> None:
    good, bad = write(tmp_path, "good", signed()), write(tmp_path, "bad", what)
    result = run(bad, good, "--certificate", pem, "--json")
    assert verdicts(result) == [(False, reason), (True, None)]
    assert result.exit_code == 1
    assert run(bad, "--certificate", pem).stdout == f"{bad}: {reason}\n"


def test_certificate_must_be_valid_at_the_time_that_is_given(tmp_path: Path, pem: Path) -> None:
    file = write(tmp_path, "one.json", signed())
    for days, ok in ((0, True), (-31, False), (340, False), (300, True)):
        at = datetime.now(UTC) + timedelta(days=days)
        result = run(file, "--certificate", pem, "--at", at.isoformat(), "--json")
        assert [found for found, _ in verdicts(result)] == [ok]
    assert run(file, "--certificate", pem, "--at", "2000-01-01", "--json").exit_code == 1
    assert run(file, "--certificate", pem, "--at", "yesterday").exit_code == 2


@pytest.mark.parametrize("kind", ["other name", "no RSA", "no PEM", "missing", "a folder"])
def test_certificate_that_is_not_that_of_sns_is_told(tmp_path: Path, kind: str) -> None:
    certificates = {
        "other name": sns_peer.certificate("sns.eu-west-1.amazonaws.com"),
        "no RSA": sns_peer.certificate(is_elliptic=True),
        "no PEM": b"\x00junk",
    }
    file = tmp_path if kind == "a folder" else tmp_path / "certificate"
    if kind in certificates:
        file.write_bytes(certificates[kind])
    result = run(write(tmp_path, "one.json", signed()), "--certificate", file, "--json")
    assert [ok for ok, _ in verdicts(result)] == [False]
    assert result.exit_code == 1


def test_file_that_cannot_be_read_is_told(tmp_path: Path, pem: Path) -> None:
    result = run(tmp_path / "missing", tmp_path, "--certificate", pem, "--json")
    assert [ok for ok, _ in verdicts(result)] == [False, False]
    assert result.exit_code == 1
