"""Client of a forge's API: sets the status of a commit on GitHub, GitLab or Gitea.

The token goes to the host of the API's URL only, over TLS with a verified chain and name; no redirect is followed.
"""

import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from typing_extensions import override

from service.config.tls import verifying_context
from service.errors import ConfigurationError, ForgeError, GitError
from service.templates.source.connection import read_token
from service.templates.source.forge import Forge
from service.templates.source.remote_url import RemoteUrl

_TIMEOUT_S = 10.0
_MAX_ANSWER_BYTES = 64 * 1024
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
#: What an answer means that stays the same until somebody does something.
_HINTS: Mapping[int, str] = {
    400: "the forge does not understand it: does EMAIL_TEMPLATES_GIT_STATUS name what runs there?",
    401: "the forge does not know the token: put a valid one into the file of EMAIL_TEMPLATES_GIT_TOKEN_FILE",
    403: "the token may not set the status of a commit: give it that right",
    404: "the forge has no such repository or commit, or the token may not see it: check the URLs and its rights",
    422: "the forge has no such commit, or refuses the status",
}
#: What GitLab says, with 400, to the status pending where it is that already.
_PENDING_ALREADY = b"from :pending"


@dataclass(frozen=True, slots=True)
class CommitStatus:
    """The status of a commit under a name; `description` is one line, `page_url` a page that says more."""

    commit: str
    name: str
    state: Literal["success", "failure", "pending"]
    description: str
    page_url: str


@dataclass(frozen=True, slots=True)
class ForgeClient:
    """Blocking requests to the API at `api_url`. `url` is that of the repository; the token is read each time."""

    forge: Forge
    api_url: str
    url: RemoteUrl
    token_file: Path

    def __post_init__(self) -> None:
        """Refuse a URL that a token must not be sent to. Raises ConfigurationError."""
        try:
            parts = urlsplit(self.api_url)
            _ = parts.port
        except ValueError:
            raise ConfigurationError(["EMAIL_TEMPLATES_GIT_STATUS_URL is no URL"]) from None
        if not parts.hostname:
            what = "must be given, as EMAIL_TEMPLATES_GIT_URL names no host"
        elif parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            what = "must begin with https://, for a token is sent there"
        else:
            return
        raise ConfigurationError([f"EMAIL_TEMPLATES_GIT_STATUS_URL {what}"])

    def post(self, status: CommitStatus) -> None:
        """Set the status of a commit. Raises ForgeError."""
        try:
            token = read_token(self.token_file)
            ca_file = os.environ.get("GIT_SSL_CAINFO")  # as git itself takes it
            context = verifying_context(Path(ca_file) if ca_file else None, setting="GIT_SSL_CAINFO")
        except (GitError, ConfigurationError) as error:
            raise ForgeError("settings", str(error), is_lasting=True) from None
        if not token.isascii():
            raise ForgeError("settings", "The token has characters that no token has.", is_lasting=True)
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect(), urllib.request.HTTPSHandler(context=context)]
        if urlsplit(self.api_url).scheme == "http":  # to this machine: no proxy may see the token
            handlers.append(urllib.request.ProxyHandler({}))
        try:
            with urllib.request.build_opener(*handlers).open(self._request(status, token), timeout=_TIMEOUT_S):
                return
        except urllib.error.HTTPError as error:
            with error:
                self._refuse(error, status)
        except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: a host that is no name
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            text = self.url.scrubbed(f"{type(reason).__name__}: {reason}", token)
            raise ForgeError(type(reason).__name__, f"The forge can't be reached: {text}", is_lasting=False) from None

    def _refuse(self, answer: urllib.error.HTTPError, status: CommitStatus) -> None:
        """Raise the ForgeError of an answer, unless it says that the status is set already."""
        try:
            body = answer.read(_MAX_ANSWER_BYTES)
        except (OSError, http.client.HTTPException):  # its code says enough
            body = b""
        if answer.code == 400 and status.state == "pending" and _PENDING_ALREADY in body:
            return
        hint = _HINTS.get(answer.code)
        if 300 <= answer.code < 400:
            hint = "the forge is elsewhere: set EMAIL_TEMPLATES_GIT_STATUS_URL to the place that it redirects to"
        message = f"The forge answers {answer.code}; {hint or 'it is tried again'}."
        raise ForgeError(f"answer {answer.code}", message, is_lasting=hint is not None)

    def _request(self, status: CommitStatus, token: str) -> urllib.request.Request:
        kind = self.forge.kind
        base = self.api_url.rstrip("/")
        # A GitLab or Gitea that lives below a path of its host has that path in both URLs.
        repository = self.forge.repository.removeprefix(urlsplit(base).path.partition("/api/")[0].strip("/") + "/")
        name = "name" if kind == "gitlab" else "context"
        body: dict[str, Any] = {
            "state": "failed" if kind == "gitlab" and status.state == "failure" else status.state,
            name: status.name,
            "description": status.description,
            "target_url": status.page_url,
        }
        where = f"projects/{quote(repository, safe='')}" if kind == "gitlab" else f"repos/{quote(repository)}"
        header, value = {
            "github": ("Authorization", f"Bearer {token}"),
            "gitlab": ("PRIVATE-TOKEN", token),
            "gitea": ("Authorization", f"token {token}"),
        }[kind]
        return urllib.request.Request(  # noqa: S310  # __post_init__ allows https, and http to this machine
            f"{base}/{where}/statuses/{quote(status.commit)}",
            data=json.dumps(body).encode(),
            headers={"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "rgz-email"}
            | {header: value},
        )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    @override
    def redirect_request(self, *_: Any) -> None:
        return None
