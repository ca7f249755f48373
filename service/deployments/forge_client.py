"""Client of a forge, GitHub, GitLab or Gitea: sets the status of a commit, lists open pull requests."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from service.errors import ForgeError, GitError
from service.templates.source.connection import read_token
from service.templates.source.forge import Forge
from service.templates.source.forge_api import Answer, ForgeApi
from service.templates.source.remote_url import RemoteUrl

_MAX_ANSWER_BYTES = 64 * 1024
#: A page of pull requests: GitHub says 25 KB of each.
_MAX_LIST_BYTES = 8 * 1024 * 1024
#: Pull requests of one answer, and answers that are read. Gitea gives half as many.
_A_PAGE: Mapping[str, int] = {"github": 100, "gitlab": 100, "gitea": 50}
_MAX_PAGES = 2
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
        _ = self._api

    def post(self, status: CommitStatus) -> None:
        """Set the status of a commit. Raises ForgeError."""
        kind = self.forge.kind
        body: dict[str, Any] = {
            "state": "failed" if kind == "gitlab" and status.state == "failure" else status.state,
            "name" if kind == "gitlab" else "context": status.name,
            "description": status.description,
            "target_url": status.page_url,
        }
        answer = self._request("POST", f"statuses/{quote(status.commit)}", body)
        is_set_already = answer.code == 400 and status.state == "pending" and _PENDING_ALREADY in answer.body
        if not answer.is_ok and not is_set_already:
            raise _refusal(answer, _HINTS)

    def open_requests(self) -> OpenRequests:
        """The open pull requests (GitLab: merge requests), newest first. Raises ForgeError."""
        size = _A_PAGE[self.forge.kind]
        path = {
            "github": f"pulls?state=open&sort=created&direction=desc&per_page={size}",
            "gitlab": f"merge_requests?state=opened&order_by=created_at&sort=desc&per_page={size}",
            "gitea": f"pulls?state=open&limit={size}",
        }[self.forge.kind]
        numbers: set[int] = set()
        for page in range(1, _MAX_PAGES + 1):
            answer = self._request("GET", f"{path}&page={page}", max_bytes=_MAX_LIST_BYTES)
            if not answer.is_ok:
                raise _refusal(answer, _LIST_HINTS)
            try:
                listed = answer.json()
                if not isinstance(listed, list):
                    raise TypeError("no list")
                found = {int(one["iid" if self.forge.kind == "gitlab" else "number"]) for one in listed}
            except (ForgeError, ValueError, KeyError, TypeError):
                message = "The forge's list of pull requests can't be read."
                raise ForgeError("answer", message, is_lasting=True) from None
            numbers |= found
            if len(found) < size:
                return OpenRequests(frozenset(numbers))
        return OpenRequests(frozenset(numbers), min(numbers))

    def _request(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, max_bytes: int = _MAX_ANSWER_BYTES
    ) -> Answer:
        api = self._api
        where = f"{api.repository_path(self.forge.repository)}/{path}"
        try:
            return api.request(method, where, body, max_bytes=max_bytes)
        except ForgeError as error:
            raise ForgeError(error.code, self.url.scrubbed(str(error)), is_lasting=error.is_lasting) from None

    @property
    def _api(self) -> ForgeApi:
        return ForgeApi(self.forge.kind, self.api_url, self._token, "EMAIL_TEMPLATES_GIT_STATUS_URL")

    def _token(self) -> str:
        try:
            return read_token(self.token_file)
        except GitError as error:
            raise ForgeError("settings", str(error), is_lasting=True) from None


def _refusal(answer: Answer, hints: Mapping[int, str]) -> ForgeError:
    hint = hints.get(answer.code)
    if 300 <= answer.code < 400:
        hint = "the forge is elsewhere: set EMAIL_TEMPLATES_GIT_STATUS_URL to the place that it redirects to"
    message = f"The forge answers {answer.code}; {hint or 'it is tried again'}."
    return ForgeError(f"answer {answer.code}", message, is_lasting=hint is not None)
