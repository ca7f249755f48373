"""Client of a forge's API, GitHub, GitLab or Gitea: sets the status of a commit, lists open pull requests.

The token goes to the host of the API's URL only, over TLS with a verified chain and name; no redirect is followed.
"""

import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
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
#: A page of pull requests: GitHub says 25 KB of each.
_MAX_LIST_BYTES = 8 * 1024 * 1024
#: Pull requests of one answer, and answers that are read. Gitea gives half as many.
_A_PAGE: Mapping[str, int] = {"github": 100, "gitlab": 100, "gitea": 50}
_MAX_PAGES = 2
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
#: What an answer means that stays the same until somebody does something.
_HINTS: Mapping[int, str] = {
    400: "the forge does not understand it: does EMAIL_TEMPLATES_GIT_STATUS name what runs there?",
    401: "the forge does not know the token: put a valid one into the file of EMAIL_TEMPLATES_GIT_TOKEN_FILE",
    403: "the token may not set the status of a commit: give it that right",
    404: "the forge has no such repository or commit, or the token may not see it: check the URLs and its rights",
    422: "the forge has no such commit, or refuses the status",
}
_LIST_HINTS: Mapping[int, str] = {
    400: _HINTS[400],
    401: _HINTS[401],
    403: "the token may not read pull requests: give it that right",
    404: "the forge has no such repository, or the token may not see it: check the URLs and its rights",
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
class OpenRequests:
    """Numbers of open pull requests: all of them, or the newest, the lowest of which is `since`."""

    numbers: frozenset[int]
    since: int = 0

    def is_closed(self, number: int) -> bool:
        """Whether it is certain that this one is not open."""
        return number not in self.numbers and number >= self.since


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
            self._call(lambda token: self._request(status, token), _HINTS)
        except _Refused as refused:
            if refused.code == 400 and status.state == "pending" and _PENDING_ALREADY in refused.body:
                return
            raise refused.error from None

    def open_requests(self) -> OpenRequests:
        """The open pull requests (GitLab: merge requests), newest first. Raises ForgeError."""
        numbers: set[int] = set()
        for page in range(1, _MAX_PAGES + 1):
            try:
                answer = self._call(lambda token, page=page: self._list_request(page, token), _LIST_HINTS)  # type: ignore[misc]
                found = {int(one["iid" if self.forge.kind == "gitlab" else "number"]) for one in json.loads(answer)}
            except _Refused as refused:
                raise refused.error from None
            except (ValueError, KeyError, TypeError):
                raise ForgeError(
                    "answer", "The forge's list of pull requests can't be read.", is_lasting=True
                ) from None
            numbers |= found
            if len(found) < _A_PAGE[self.forge.kind]:
                return OpenRequests(frozenset(numbers))
        return OpenRequests(frozenset(numbers), min(numbers))

    def _call(self, request: Callable[[str], urllib.request.Request], hints: Mapping[int, str]) -> bytes:
        """Send the request that this makes of the token. Raises ForgeError where there is no answer, and _Refused."""
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
            with urllib.request.build_opener(*handlers).open(request(token), timeout=_TIMEOUT_S) as answer:
                body: bytes = answer.read(_MAX_LIST_BYTES)
                return body
        except urllib.error.HTTPError as error:
            with error:
                raise _refused(error, hints) from None
        except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: a host that is no name
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            text = self.url.scrubbed(f"{type(reason).__name__}: {reason}", token)
            raise ForgeError(type(reason).__name__, f"The forge can't be reached: {text}", is_lasting=False) from None

    @property
    def _repository_url(self) -> str:
        base = self.api_url.rstrip("/")
        # A GitLab or Gitea that lives below a path of its host has that path in both URLs.
        repository = self.forge.repository.removeprefix(urlsplit(base).path.partition("/api/")[0].strip("/") + "/")
        where = (
            f"projects/{quote(repository, safe='')}" if self.forge.kind == "gitlab" else f"repos/{quote(repository)}"
        )
        return f"{base}/{where}"

    def _headers(self, token: str) -> dict[str, str]:
        header, value = {
            "github": ("Authorization", f"Bearer {token}"),
            "gitlab": ("PRIVATE-TOKEN", token),
            "gitea": ("Authorization", f"token {token}"),
        }[self.forge.kind]
        return {"Accept": "application/json", "User-Agent": "rgz-email", header: value}

    def _list_request(self, page: int, token: str) -> urllib.request.Request:
        kind, size = self.forge.kind, _A_PAGE[self.forge.kind]
        path = {
            "github": f"pulls?state=open&sort=created&direction=desc&per_page={size}",
            "gitlab": f"merge_requests?state=opened&order_by=created_at&sort=desc&per_page={size}",
            "gitea": f"pulls?state=open&limit={size}",
        }[kind]
        return urllib.request.Request(  # noqa: S310  # __post_init__ allows https, and http to this machine
            f"{self._repository_url}/{path}&page={page}", headers=self._headers(token)
        )

    def _request(self, status: CommitStatus, token: str) -> urllib.request.Request:
        kind = self.forge.kind
        name = "name" if kind == "gitlab" else "context"
        body: dict[str, Any] = {
            "state": "failed" if kind == "gitlab" and status.state == "failure" else status.state,
            name: status.name,
            "description": status.description,
            "target_url": status.page_url,
        }
        return urllib.request.Request(  # noqa: S310  # __post_init__ allows https, and http to this machine
            f"{self._repository_url}/statuses/{quote(status.commit)}",
            data=json.dumps(body).encode(),
            headers=self._headers(token) | {"Content-Type": "application/json"},
        )


class _Refused(Exception):  # an answer, of which the caller makes an error
    """The forge answered with a code that is no success; `error` says so."""

    def __init__(self, code: int, body: bytes, error: ForgeError) -> None:
        super().__init__(str(error))
        self.code = code
        self.body = body
        self.error = error


def _refused(answer: urllib.error.HTTPError, hints: Mapping[int, str]) -> _Refused:
    try:
        body = answer.read(_MAX_ANSWER_BYTES)
    except (OSError, http.client.HTTPException):  # its code says enough
        body = b""
    hint = hints.get(answer.code)
    if 300 <= answer.code < 400:
        hint = "the forge is elsewhere: set EMAIL_TEMPLATES_GIT_STATUS_URL to the place that it redirects to"
    message = f"The forge answers {answer.code}; {hint or 'it is tried again'}."
    return _Refused(answer.code, body, ForgeError(f"answer {answer.code}", message, is_lasting=hint is not None))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    @override
    def redirect_request(self, *_: Any) -> None:
        return None
