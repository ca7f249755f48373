"""Settings of the templates' source: a directory, or a git repository that is followed."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field, PlainSerializer, SecretStr, WithJsonSchema, model_validator

from service.config.secret_url import SecretUrl


def _secret_url(value: object) -> object:
    return SecretUrl(value) if isinstance(value, str) else value


def comma_separated(value: object) -> object:
    """The parts of a text between commas; anything else as it is."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


#: A pattern of refs: its one * stands for the name of a preview.
_PREVIEWS = re.compile(r"refs(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*/[A-Za-z0-9._-]*\*[A-Za-z0-9._-]*(/[A-Za-z0-9._-]+)*")

#: A URL that may hold a password, which nothing prints.
SecretUrlSetting = Annotated[
    SecretUrl,
    BeforeValidator(_secret_url),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "format": "password"}),
]
CommaSeparated = Annotated[tuple[str, ...], BeforeValidator(comma_separated)]


class TemplateSourceSettings(BaseModel):
    """Where templates come from, and when what is fetched is served."""

    email_templates_commit: str | None = Field(
        None,
        pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$",
        description="Commit of EMAIL_TEMPLATES_DIR where it is no git checkout, as in an image; a file .commit in it"
        " says the same",
    )
    email_templates_git_url: SecretUrlSetting | None = Field(
        None,
        description="Git repository that is followed instead of EMAIL_TEMPLATES_DIR: https:// or ssh://, or"
        " user@host:path",
    )
    email_templates_git_ref: str = Field(
        "main",
        min_length=1,
        max_length=250,
        description="What is followed of that repository: a branch, a tag, a pattern of tags such as v*, whose newest"
        " version counts, or a commit",
    )
    email_templates_git_path: str = Field(
        "email_templates", max_length=250, description="Directory of the templates in that repository; . is its root"
    )
    email_templates_git_interval_seconds: float = Field(
        60.0, ge=1, le=86_400, description="Time between two looks at that repository, seconds"
    )
    email_templates_git_token_file: Path | None = Field(
        None, description="File with a token for that repository over https, and for statuses of its commits"
    )
    email_templates_git_ssh_key_file: Path | None = Field(
        None, description="File with a private key for that repository over ssh"
    )
    email_templates_git_known_hosts_file: Path | None = Field(
        None, description="File with the host keys that are accepted over ssh, as in known_hosts"
    )
    email_templates_git_sync: Literal["auto", "manual"] = Field(
        "auto", description="auto: a new commit is served once it is checked; manual: it waits for rgz-email sync"
    )
    email_templates_git_signers: Path | None = Field(
        None,
        description="File of allowed signers, as ssh-keygen reads it; only commits signed by one of them are served",
    )
    email_templates_git_protocols: CommaSeparated = Field(
        ("https", "ssh"),
        description="Protocols that git may use: https, ssh, http, git, file; separated by commas",
    )
    email_templates_git_webhook_secret: SecretStr | None = Field(
        None, description="Secret of POST /source/webhook; without it no webhook is accepted"
    )
    email_templates_git_status: Literal["off", "github", "gitlab", "gitea"] = Field(
        "off",
        description="Forge of that repository, which is told by commit statuses what became of each deployed commit",
    )
    email_templates_git_status_url: str | None = Field(
        None,
        pattern=r"^https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~/-]*)?$",
        max_length=200,
        description="Base URL of that forge's API, such as https://git.example.com/api/v1; without it that of the"
        " repository's host",
    )
    email_templates_on_error: Literal["keep", "refuse"] = Field(
        "keep",
        description="A commit with a broken template: keep serves its last good revision and the others, refuse lets"
        " the whole commit wait",
    )
    email_templates_require_snapshots: bool = Field(
        False,
        description="A commit is held unless the snapshots of each mail that it changes are there, and are what is"
        " rendered",
    )
    email_templates_push: Literal["branch", "direct"] = Field(
        "branch",
        description="A change by page or PUT becomes a commit on a branch of its own (branch) or on"
        " EMAIL_TEMPLATES_GIT_REF (direct)",
    )

    email_templates_previews: str | None = Field(
        None,
        max_length=250,
        description="Refs of open pull requests, which are compiled as pr-N beside what is served: refs/pull/*/head"
        " (GitHub, Gitea) or refs/merge-requests/*/head (GitLab); without it there are no previews",
    )
    email_templates_previews_max: int = Field(
        20, ge=1, le=100, description="Previews at a time; of more open pull requests the newest have one"
    )

    @model_validator(mode="after")
    def _has_what_previews_need(self) -> "TemplateSourceSettings":
        pattern = self.email_templates_previews
        if pattern is None:
            return self
        if not _PREVIEWS.fullmatch(pattern):
            raise ValueError("EMAIL_TEMPLATES_PREVIEWS is a full name of refs with one *, such as refs/pull/*/head")
        if self.email_templates_git_url is None:
            raise ValueError("EMAIL_TEMPLATES_PREVIEWS needs EMAIL_TEMPLATES_GIT_URL")
        return self

    @model_validator(mode="after")
    def _has_what_statuses_need(self) -> "TemplateSourceSettings":
        for name in ("email_templates_git_url", "email_templates_git_token_file"):
            if self.email_templates_git_status != "off" and getattr(self, name) is None:
                raise ValueError(f"EMAIL_TEMPLATES_GIT_STATUS needs {name.upper()}")
        return self

    @model_validator(mode="after")
    def _known_protocols(self) -> "TemplateSourceSettings":
        known = {"https", "ssh", "http", "git", "file"}
        if unknown := [name for name in self.email_templates_git_protocols if name not in known]:
            raise ValueError(f"EMAIL_TEMPLATES_GIT_PROTOCOLS: {unknown[0]} is none of {', '.join(sorted(known))}")
        return self
