"""Settings that tell one installation from another: its environment, its values, and whom it may write to."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from service.config.template_source import TemplateSourceSettings
from service.mail.recipient_rule import EVERYONE, RecipientRule

PRODUCTION = "production"


def _rule(value: object) -> object:
    return RecipientRule.parse(value) if isinstance(value, str) else value


RecipientRuleSetting = Annotated[
    RecipientRule, BeforeValidator(_rule), PlainSerializer(str), WithJsonSchema({"type": "string"})
]


class InstallationSettings(TemplateSourceSettings):
    """What differs between production and staging, where both run the same templates."""

    email_environment: str = Field(
        PRODUCTION,
        pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$",
        description="Name of this environment: its values are values/NAME.yaml beside the templates; where it is not"
        " production, EMAIL_RECIPIENTS must be given",
    )
    email_recipients: RecipientRuleSetting | None = Field(
        None,
        description="Who may get mail: everyone; only: and domains (@rgz.bj) or addresses, separated by commas;"
        " redirect: and the address that all mail goes to instead. In production everyone where it is not given",
    )
    email_template_values: Path | None = Field(
        None,
        description="YAML file with this installation's values for {{ site.… }} in templates; it wins over"
        " values/NAME.yaml",
    )
    email_site_phone: str | None = Field(
        None,
        max_length=50,
        pattern=r"^[^\x00-\x1f\x7f]*$",
        description="Telephone number of the support, for {{ site.phone }} in templates; it wins over other values",
    )

    @model_validator(mode="after")
    def _guarded(self) -> "InstallationSettings":
        if self.email_environment != PRODUCTION and self.email_recipients is None:
            raise ValueError(
                f"EMAIL_RECIPIENTS must be given, because EMAIL_ENVIRONMENT is {self.email_environment} and not"
                " production: write everyone, only:@rgz.bj,ops@example.com or redirect:team@rgz.bj"
            )
        return self

    @property
    def recipient_rule(self) -> RecipientRule:
        """EMAIL_RECIPIENTS; everyone where it is not given."""
        return self.email_recipients or EVERYONE
