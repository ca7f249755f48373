"""Settings of Amazon SNS, and the messages for wrong ones."""

from pathlib import Path

import pytest

from service.bootstrap import build
from service.config.environment import load
from service.errors import ConfigurationError
from service.feedback.sns.client import SnsClient
from tests.support.running import settings_for

TOPIC = "arn:aws:sns:eu-west-1:123456789012:ses-events"


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "arn:aws:sns:*:*:*",
        "arn:aws:sns:eu-west-1:123456789012:*",
        "arn:aws:sns:eu-west-1:*:ses-events",
        f"{TOPIC},*",
        "ses-events",
        "arn:aws:sqs:eu-west-1:123456789012:ses-events",
        f"{TOPIC}:1",
    ],
)
def test_topic_with_a_wildcard_is_refused_at_start(text: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"EMAIL_SNS_TOPIC_ARNS: .* is not one topic; write arn:aws:sns:REGION"
    ):
        load({"EMAIL_SNS_TOPIC_ARNS": text})


def test_topics_are_taken_exactly_when_several() -> None:
    given = f"{TOPIC}, arn:aws-cn:sns:cn-north-1:123456789012:x_y.fifo,arn:aws-us-gov:sns:us-gov-west-1:123456789012:z"
    assert load({"EMAIL_SNS_TOPIC_ARNS": given}).email_sns_topic_arns == tuple(given.replace(" ", "").split(","))
    sovereign = "arn:aws-eusc:sns:eusc-de-east-1:123456789012:ses-events"
    assert load({"EMAIL_SNS_TOPIC_ARNS": sovereign}).email_sns_topic_arns == (sovereign,)
    assert load({}).email_sns_topic_arns == ()


@pytest.mark.parametrize("text", ["localhost", "localhost:", ":8443", "localhost:0", "localhost:65536", "localhost:x"])
def test_endpoint_without_host_or_port_is_refused_at_start(text: str) -> None:
    with pytest.raises(ConfigurationError, match="EMAIL_SNS_HOST_OVERRIDE: write host:port"):
        load({"EMAIL_SNS_HOST_OVERRIDE": text})


def test_endpoint_is_a_host_and_a_port() -> None:
    assert load({"EMAIL_SNS_HOST_OVERRIDE": "127.0.0.1:8443"}).sns_address == ("127.0.0.1", 8443)
    assert load({"EMAIL_SNS_HOST_OVERRIDE": "[::1]:8443"}).sns_address == ("::1", 8443)
    assert load({}).sns_address is None


@pytest.mark.parametrize("what", ["missing", "no PEM"])
def test_certificate_authority_that_cannot_be_read_is_told_at_start(tmp_path: Path, what: str) -> None:
    file = tmp_path / "ca.pem"
    if what == "no PEM":
        file.write_text("x")
    with pytest.raises(ConfigurationError, match=r"EMAIL_SNS_CERT_CA_FILE: .* can't be read as PEM"):
        build(settings_for(tmp_path, email_sns_cert_ca_file=file), mailbox_port=None)
    with pytest.raises(ConfigurationError):
        _ = SnsClient(file).context
