"""Requests to the API of a forge: GitHub's, GitLab's or Gitea's.

The token goes to the host of the API's URL only, over TLS with a verified chain and name; no redirect is followed.
"""

import http.client
import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from service.config.http_client import may_carry_token, opener_for
from service.config.tls import verifying_context
from service.errors import ConfigurationError, ForgeError
from service.templates.source.forge import ForgeKind

_TIMEOUT_S = 10.0
_MAX_ANSWER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What a forge answers, of at most the bytes that were asked for; names of headers are in lower case."""

    code: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_ok(self) -> bool:
        """Whether the request was done."""
        return 200 <= self.code < 300

    def json(self) -> Any:
        """The body, parsed. Raises ForgeError."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            raise ForgeError("answer", "The forge's answer is no JSON.", is_lasting=False) from None


@dataclass(frozen=True, slots=True)
class ForgeApi:
    """Blocking requests to the API at `url`. `setting` names what holds the URL; `token` is called for each request."""

    kind: ForgeKind
    url: str
    token: Callable[[], str]
    setting: str

    def __post_init__(self) -> None:
        """Refuse a URL that a token must not be sent to. Raises ConfigurationError."""
        try:
            parts = urlsplit(self.url)
            _ = parts.port
        except ValueError:
            raise ConfigurationError([f"{self.setting} is no URL"]) from None
        if not parts.hostname:
            what = "must be given, as the repository's URL names no host"
        elif not may_carry_token(self.url):
            what = "must begin with https://, for a token is sent there"
        else:
            return
        raise ConfigurationError([f"{self.setting} {what}"])

    def repository_path(self, repository: str) -> str:
        """The path of a repository in this API, such as repos/team/mails."""
        # A GitLab or Gitea that lives below a path of its host has that path in both URLs.
        below = urlsplit(self.url.rstrip("/")).path.partition("/api/")[0].strip("/") + "/"
        repository = repository.removeprefix(below)
        return f"projects/{quote(repository, safe='')}" if self.kind == "gitlab" else f"repos/{quote(repository)}"

    def request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, max_bytes: int = _MAX_ANSWER_BYTES
    ) -> Answer:
        """Send a request; an answer of any code is returned. Raises ForgeError if there is none."""
        token = self.token()
        if not token or not token.isascii() or not token.isprintable():
            raise ForgeError("settings", "The token has characters that no token has.", is_lasting=True)
        header, value = {
            "github": ("Authorization", f"Bearer {token}"),
            "gitlab": ("PRIVATE-TOKEN", token),
            "gitea": ("Authorization", f"token {token}"),
        }[self.kind]
        headers = {"Accept": "application/json", "Content-Type": "application/json", header: value}
        data = None if body is None else json.dumps(body).encode()
        url = f"{self.url.rstrip('/')}/{path}"
        return _send(urllib.request.Request(url, data, _AGENT | headers, method=method), token, max_bytes)  # noqa: S310

    def download(self, url: str, *, max_bytes: int) -> Answer:
        """What is at a URL that the forge named, fetched without the token. Raises ForgeError."""
        if not may_carry_token(url):
            raise ForgeError("redirect", "The forge names a place that is no https URL.", is_lasting=True)
        return _send(urllib.request.Request(url, headers=dict(_AGENT)), "", max_bytes)  # noqa: S310


_AGENT = {"User-Agent": "rgz-email"}


def _send(request: urllib.request.Request, token: str, max_bytes: int) -> Answer:
    opener = opener_for(request, _tls)
    try:
        with opener.open(request, timeout=_TIMEOUT_S) as answer:
            return _answer(answer.status, answer, max_bytes)
    except urllib.error.HTTPError as error:
        with error:
            try:
                return _answer(error.code, error, max_bytes)
            except (OSError, http.client.HTTPException):  # its code says enough
                return Answer(error.code, {}, b"")
    except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: a host that is no name
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        text = f"{type(reason).__name__}: {reason}"
        text = text.replace(token, "***") if token else text
        raise ForgeError(type(reason).__name__, f"The forge can't be reached: {text}", is_lasting=False) from None


def _tls() -> ssl.SSLContext:
    ca_file = os.environ.get("GIT_SSL_CAINFO")  # as git itself takes it
    try:
        return verifying_context(Path(ca_file) if ca_file else None, setting="GIT_SSL_CAINFO")
    except ConfigurationError as error:
        raise ForgeError("settings", str(error), is_lasting=True) from None


def _answer(code: int, answer: Any, max_bytes: int) -> Answer:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    body = answer.read(max_bytes + 1)
    if len(body) > max_bytes and code < 300:
        raise ForgeError("too large", f"The forge's answer has more than {max_bytes:,} bytes.", is_lasting=True)
    return Answer(code, headers, body[:max_bytes])
