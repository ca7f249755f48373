"""Settings of feedback: how bounces and complaints come back, and when they suppress an address."""

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from service.config.installation import InstallationSettings
from service.config.template_source import CommaSeparated
from service.mail import addresses, return_path

#: The ARN of one Amazon SNS topic, with its region; a wildcard is none.
_TOPIC_ARN = re.compile(
    r"arn:aws(-[a-z]{2,5}){0,3}:sns:[a-z]{2,5}(-[a-z]+){1,4}-[0-9]{1,2}:[0-9]{12}:[A-Za-z0-9_-]{1,256}(\.fifo)?"
)


class FeedbackSettings(InstallationSettings):
    """Amazon SNS, the mailbox of bounces, and soft bounces."""

    email_soft_bounce_limit: int = Field(
        5, ge=1, le=1000, description="Temporary bounces after which an address is suppressed, messages"
    )
    email_soft_bounce_days: int = Field(
        30, ge=1, le=365, description="Period in which temporary bounces are counted, days"
    )
    email_sns_topic_arns: CommaSeparated = Field(
        (), description="Amazon SNS topics whose notifications are accepted, separated by commas; without one none is"
    )
    email_sns_cert_ca_file: Path | None = Field(
        None, description="PEM file of an additional certificate authority for the hosts of Amazon SNS"
    )
    email_sns_host_override: str | None = Field(
        None, description="host:port to connect to instead of Amazon SNS, for tests"
    )
    email_bounce_address: str | None = Field(
        None,
        description="Address for bounces, NAME@DOMAIN; NAME+anything@DOMAIN must arrive in the same mailbox. Without it"
        " bounces go to SMTP_FROM_EMAIL, and are not read",
    )
    email_inbox_host: str | None = Field(
        None, description="IMAP server of the mailbox of EMAIL_BOUNCE_ADDRESS; without it no mailbox is read"
    )
    email_inbox_port: int = Field(993, ge=1, le=65535, description="Port of the IMAP server")
    email_inbox_user: str | None = Field(None, description="User of that mailbox")
    email_inbox_password: SecretStr | None = Field(None, description="Password of that mailbox")
    email_inbox_tls: Literal["implicit", "starttls", "none"] = Field(
        "implicit", description="TLS mode of the connection to the IMAP server: implicit, starttls or none"
    )
    email_inbox_ca_file: Path | None = Field(
        None, description="PEM file of an additional certificate authority for the IMAP server"
    )
    email_inbox_folder: str = Field(
        "INBOX", min_length=1, pattern=r"^[ -~]+$", description="Folder of that mailbox, as the server spells its name"
    )
    email_inbox_poll_seconds: float = Field(
        60.0, ge=0.1, le=86400, description="Time between two polls of that mailbox, seconds"
    )
    email_inbox_timeout_seconds: float = Field(
        20.0, gt=0, le=600, description="Time-out of each step of a poll, seconds"
    )
    email_inbox_delete: bool = Field(
        False, description="Delete mails from that folder once they are read; without it nothing in it is changed"
    )

    @field_validator("email_bounce_address")
    @classmethod
    def _signable_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        address = addresses.parse(value)  # AddressInvalid is a ValueError, and a sentence
        if not address.local.isascii() or len(address.local) > return_path.MAX_NAME_LENGTH:
            most = return_path.MAX_NAME_LENGTH
            raise ValueError(
                f"write a name of at most {most} ASCII characters before the @: a signature is added to it"
            )
        return address.wire

    @field_validator("email_sns_topic_arns")
    @classmethod
    def _known_topics(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for topic in value:
            if not _TOPIC_ARN.fullmatch(topic):
                raise ValueError(f"{topic!r} is not one topic; write arn:aws:sns:REGION:ACCOUNT:NAME, no wildcard")
        return value

    @field_validator("email_sns_host_override")
    @classmethod
    def _known_host(cls, value: str | None) -> str | None:
        host, _, port = (value or "localhost:443").rpartition(":")
        if not host or not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
            raise ValueError("write host:port, such as 127.0.0.1:8443")
        return value

    @model_validator(mode="after")
    def _whole_inbox(self) -> "FeedbackSettings":
        if self.email_inbox_host is not None:
            needed = ("email_bounce_address", "email_inbox_user", "email_inbox_password")
            missing = [name.upper() for name in needed if getattr(self, name) is None]
            if missing:
                raise ValueError(f"EMAIL_INBOX_HOST is of no use without {' and '.join(missing)}")
        return self

    @property
    def sns_address(self) -> tuple[str, int] | None:
        """The address that is connected to in place of any SNS host, if one is set."""
        if self.email_sns_host_override is None:
            return None
        host, _, port = self.email_sns_host_override.rpartition(":")
        return host.removeprefix("[").removesuffix("]"), int(port)
