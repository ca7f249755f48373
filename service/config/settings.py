"""The typed table of settings. Each is named like its environment variable, in lower case; `environment` reads it."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)

from service.config.http_settings import HttpSettings
from service.config.secret_url import SecretUrl
from service.config.template_source import CommaSeparated, SecretUrlSetting
from service.config.weak_secrets import weakness
from service.mail import return_path

#: The checkout of this package, so that the commands work from any folder.
_HOME = Path(__file__).resolve().parents[2]


def _default_directory(name: str) -> Path:
    return _HOME / name if (_HOME / "email_templates").is_dir() else Path(name)


class Rate(BaseModel):
    """A rate limit of `count` messages per `period`; None: no limit."""

    model_config = ConfigDict(frozen=True)
    count: int | None
    period: Literal["hour", "day", "week"] = "day"

    def __str__(self) -> str:
        return "unlimited" if self.count is None else f"{self.count}/{self.period}"


def _rate(value: object) -> object:
    if not isinstance(value, str):
        return value
    if value.strip().lower() == "unlimited":
        return Rate(count=None)
    matched = re.fullmatch(r"\s*(\d{1,6})\s*/\s*(hour|day|week)\s*", value)
    if not matched:
        raise ValueError('write "unlimited" or a number per hour, day or week, such as "1/day"')
    return Rate(count=int(matched[1]), period=matched[2])


#: The settings that may come from a file, and that nothing prints.
SECRETS = (
    "smtp_password",
    "email_inbox_password",
    "email_admin_token",
    "email_secret_key",
    "email_secret_key_previous",
    "database_url",
    "queue_url",
    "email_templates_git_url",
    "email_templates_git_webhook_secret",
)

RateSetting = Annotated[Rate, BeforeValidator(_rate)]


def _known_url(value: SecretUrl | None, beginnings: tuple[str, ...], hint: str) -> SecretUrl | None:
    if value is None:
        return None
    if not value.get_secret_value().startswith(beginnings):
        raise ValueError(hint)
    if problem := value.problem():
        raise ValueError(problem)
    return value


class Settings(HttpSettings):
    """All settings. A description ends with the unit where there is one."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, arbitrary_types_allowed=True)

    smtp_host: str | None = Field(
        None, description="SMTP server (relay); without it mail goes to the development mailbox only"
    )
    smtp_port: int = Field(587, ge=1, le=65535, description="Port of the SMTP server")
    smtp_user: str | None = Field(None, description="User for SMTP AUTH; without it there is no login")
    smtp_password: SecretStr | None = Field(None, description="Password for SMTP AUTH")
    smtp_from_name: str = Field("RGZ Notifications", max_length=200, description="Name in From")
    smtp_from_email: str = Field(
        "noreply@rgz.bj", description="Address in From, and envelope sender where EMAIL_BOUNCE_ADDRESS is not set"
    )
    smtp_reply_to: str | None = Field(
        "support@rgz.bj", description="Reply-To where neither request nor template has one"
    )
    smtp_use_tls: bool = Field(True, description="Encrypt: STARTTLS, or implicit TLS on port 465")
    smtp_tls: Literal["starttls", "implicit", "none"] | None = Field(
        None, description="TLS mode; overrides SMTP_USE_TLS"
    )
    smtp_ca_file: Path | None = Field(None, description="PEM file of an additional certificate authority for SMTP")
    smtp_timeout_seconds: float = Field(30.0, gt=0, le=600, description="Time-out of each SMTP step, seconds")
    smtp_retry_max_attempts: int = Field(
        3, ge=1, le=100, description="Delivery attempts of a message where its template sets none"
    )
    smtp_max_connections: int = Field(
        20, ge=1, le=500, description="SMTP connections of one worker at the same time, at most"
    )

    smtp_max_per_second: float | None = Field(
        None,
        gt=0,
        description="Rate at which one worker hands mails to the relay, at most, mails per second; without it no limit",
    )

    email_rate_limit_transactional: RateSetting = Field(
        Rate(count=None), description="Limit of transactional mail per recipient: unlimited or n/period"
    )
    email_rate_limit_marketing: RateSetting = Field(
        Rate(count=1, period="day"), description="Limit of marketing mail per recipient: unlimited or n/period"
    )
    email_audit_retention_days: int = Field(
        365, ge=1, description="Delete messages and admin actions after this time, days"
    )
    email_auto_anonymize_after_days: int = Field(90, ge=1, description="Anonymise messages after this time, days")
    email_timezone: str = Field(
        "Africa/Porto-Novo", description="Time zone of calendar days in limits, of the nightly purge and of the pages"
    )

    email_max_attachment_size_mb: int = Field(
        10, ge=0, le=100, description="Size of all attachments of a message, decoded, at most, MiB"
    )
    email_max_batch_size_mb: int = Field(
        64,
        ge=1,
        le=1024,
        description="Size of a request to POST /send/batch, attachments in base64 included, at most, MiB",
    )
    email_allowed_attachment_types: CommaSeparated = Field(
        ("pdf", "png", "jpg", "json", "csv"),
        description="File name endings that attachments may have, separated by commas",
    )

    email_templates_dir: Path = Field(_default_directory("email_templates"), description="Directory of the templates")
    email_template_max_output_bytes: int = Field(
        2_000_000, ge=1_000, description="Size of a rendered part, at most, bytes"
    )
    email_template_max_steps: int = Field(100_000, ge=100, description="Loop steps of one rendering, at most, steps")
    email_max_variables_bytes: int = Field(
        1_000_000, ge=1_000, description="Size of one message's variables as JSON, at most, bytes"
    )

    email_data_dir: Path = Field(
        _default_directory("var"), description="Directory of the database, the queue and generated secrets"
    )
    email_admin_token: SecretStr | None = Field(
        None, description="Bearer token with the scope admin; without it one is generated in EMAIL_DATA_DIR"
    )
    email_secret_key: SecretStr | None = Field(
        None, description="Key of pseudonyms and signatures; without it one is generated in EMAIL_DATA_DIR"
    )
    email_secret_key_previous: SecretStr | None = Field(
        None, description="Older versions of EMAIL_SECRET_KEY, which are still accepted, comma-separated"
    )
    email_log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="Lowest level that is logged"
    )

    database_url: SecretUrlSetting | None = Field(
        None, description="sqlite:///FILE or postgresql://…; without it a file in EMAIL_DATA_DIR"
    )
    queue_url: SecretUrlSetting | None = Field(
        None, description="sqlite:///FILE, redis://…, valkey://… or postgresql://…; without it a file in EMAIL_DATA_DIR"
    )

    @field_validator("email_timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ValueError, KeyError, OSError) as error:  # no name, an unknown one, a folder of names
            raise ValueError("write an IANA name such as Africa/Porto-Novo") from error
        return value

    @field_validator("database_url")
    @classmethod
    def _known_database(cls, value: SecretUrl | None) -> SecretUrl | None:
        hint = "write sqlite:///FILE or postgresql://USER@HOST/NAME"
        return _known_url(value, ("sqlite:///", "postgresql://", "postgres://"), hint)

    @field_validator("queue_url")
    @classmethod
    def _known_queue(cls, value: SecretUrl | None) -> SecretUrl | None:
        known = ("sqlite:///", "redis://", "rediss://", "valkey://", "valkeys://", "postgresql://", "postgres://")
        return _known_url(
            value, known, "write sqlite:///FILE, redis://HOST, valkey://HOST or postgresql://USER@HOST/NAME"
        )

    @model_validator(mode="after")
    def _strong_secrets(self) -> "Settings":
        # Without SMTP_HOST, in development, nothing leaves the machine.
        for name in ("email_admin_token", "email_secret_key"):
            given: SecretStr | None = getattr(self, name)
            if self.smtp_host is not None and given is not None:
                reasons = [weakness(line) for line in given.get_secret_value().splitlines() if line.strip()]
                if reason := next(filter(None, reasons), None):
                    hint = "take 32 random bytes, as from openssl rand -base64 32"
                    raise ValueError(f"{name.upper()} {reason} and can be guessed; {hint}")
        return self

    def envelope_from(self, message_id: str, *, key: bytes) -> str:
        """The envelope sender of a message: its signed return path, if EMAIL_BOUNCE_ADDRESS is set."""
        if self.email_bounce_address is None:
            return self.smtp_from_email
        return return_path.signed(self.email_bounce_address, message_id, key=key)

    @property
    def tls_mode(self) -> Literal["starttls", "implicit", "none"]:
        """How the SMTP line is encrypted. Port 465 speaks TLS from its first byte (RFC 8314, 3.3)."""
        if self.smtp_tls is not None:
            return self.smtp_tls
        if not self.smtp_use_tls:
            return "none"
        return "implicit" if self.smtp_port == 465 else "starttls"

    @property
    def timezone(self) -> ZoneInfo:
        """EMAIL_TIMEZONE as a time zone."""
        return ZoneInfo(self.email_timezone)

    @property
    def max_attachments_bytes(self) -> int:
        """EMAIL_MAX_ATTACHMENT_SIZE_MB in bytes."""
        return self.email_max_attachment_size_mb * 1024 * 1024

    @property
    def max_batch_bytes(self) -> int:
        """EMAIL_MAX_BATCH_SIZE_MB in bytes."""
        return self.email_max_batch_size_mb * 1024 * 1024

    def with_changes(self, **changes: Any) -> "Settings":
        """A validated copy with these settings changed."""
        return Settings.model_validate({**{name: getattr(self, name) for name in type(self).model_fields}, **changes})
