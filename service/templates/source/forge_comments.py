"""Pull requests of GitHub and merge requests of GitLab: their heads, and one comment that is kept up to date."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode

from service.errors import ForgeError
from service.templates.source.forge_api import Answer, ForgeApi
from service.templates.source.forge_retry import checked, is_rate_limit, repeated

#: The first line of the comment; no forge shows it. A person may write it too, so the author counts as well.
MARKER = "<!-- rgz-email: mails -->"
#: The author of what the own token of a GitHub workflow writes; such a token may not ask for its name.
WORKFLOWS_BOT = "github-actions[bot]"
#: A comment of GitHub has 65,536 characters of up to 6 bytes each in JSON.
_PER_PAGE = 50
_MAX_PAGES = 100
_MAX_PAGE_BYTES = 24_000_000

Kept = Literal["created", "updated", "unchanged"]


@dataclass(frozen=True, slots=True)
class PullRequest:
    """An open pull request: its number, the commit at its head, that commit's repository, and its base branch."""

    number: int
    head: str
    head_repository: str
    base_branch: str


@dataclass(frozen=True, slots=True)
class ForgeComments:
    """Blocking requests for one repository, each repeated a few times where the forge is busy.

    `bot` is the author's name where the token may not ask for it: that of a GitHub App.
    """

    api: ForgeApi
    repository: str
    bot: str = WORKFLOWS_BOT
    sleep: Callable[[float], None] = time.sleep

    def pull_request(self, number: int) -> PullRequest:
        """The pull request of a number. Raises ForgeError."""
        part = "merge_requests" if self.api.kind == "gitlab" else "pulls"
        return self._pull_request(self._get(f"{part}/{number}").json())

    def open_with_head(self, commit: str, branch: str, repository: str) -> list[PullRequest]:
        """The open pull requests whose head is this commit of this branch of this repository (GitHub)."""
        owner = repository.partition("/")[0]
        query = urlencode({"state": "open", "head": f"{owner}:{branch}", "per_page": 100})
        listed = [self._pull_request(one) for one in self._list(self._get(f"pulls?{query}"))]
        return [one for one in listed if one.head == commit and one.head_repository.lower() == repository.lower()]

    def keep(self, number: int, text: str) -> Kept:
        """Write the comment, or update the one that is there. Raises ForgeError; no other comment is touched."""
        body = f"{MARKER}\n{text}"
        # A comment may be there though its answer was lost, so a repetition looks again.
        return repeated(lambda: self._keep(number, body), self.sleep)

    def _keep(self, number: int, body: str) -> Kept:
        is_gitlab = self.api.kind == "gitlab"
        listed = f"merge_requests/{number}/notes" if is_gitlab else f"issues/{number}/comments"
        ours = self._ours(listed)
        if ours is None:
            self._checked("POST", listed, {"body": body})
            return "created"
        if ours["body"].replace("\r\n", "\n").strip() == body.strip():
            return "unchanged"
        place = f"{listed}/{int(ours['id'])}" if is_gitlab else f"issues/comments/{int(ours['id'])}"
        self._checked("PUT" if is_gitlab else "PATCH", place, {"body": body})
        return "updated"

    def _ours(self, listed: str) -> dict[str, Any] | None:
        """The first comment that begins with the marker and that this token wrote."""
        author = self._author()
        for one in self._comments(listed):
            by = one.get("author" if self.api.kind == "gitlab" else "user") or {}
            is_ours = by.get("id" if isinstance(author, int) else "login") == author
            if is_ours and str(one.get("body") or "").startswith(MARKER) and not one.get("system"):
                return one
        return None

    def _comments(self, listed: str) -> Iterator[dict[str, Any]]:
        order = "&sort=asc&order_by=created_at" if self.api.kind == "gitlab" else ""
        for page in range(1, _MAX_PAGES + 1):
            path = f"{listed}?per_page={_PER_PAGE}&page={page}{order}"
            found = self._list(self._checked("GET", path, max_bytes=_MAX_PAGE_BYTES))
            yield from found
            if len(found) < _PER_PAGE:
                return
        raise ForgeError("comments", f"There are more than {_PER_PAGE * _MAX_PAGES:,} comments.", is_lasting=True)

    def _author(self) -> int | str:
        """The id of the token's user; a name for the token of a GitHub workflow, which may not ask."""
        answer = self.api.request("GET", "user")
        if self.api.kind == "github" and answer.code == 403 and not is_rate_limit(answer):
            return self.bot
        found = checked(answer, "read its own name").json()
        if not isinstance(found, dict) or type(found.get("id")) is not int:
            raise ForgeError("answer", "The forge does not say whose the token is.", is_lasting=False)
        return int(found["id"])

    def _pull_request(self, found: Any) -> PullRequest:
        try:
            if self.api.kind == "gitlab":
                return PullRequest(found["iid"], found["sha"] or "", str(found["source_project_id"]),
                                   found["target_branch"])  # fmt: skip
            head = found["head"]
            repository = (head["repo"] or {}).get("full_name", "")  # a fork that is deleted has none
            return PullRequest(found["number"], head["sha"], repository, found["base"]["ref"])
        except (KeyError, TypeError):
            raise ForgeError("answer", "The forge's answer is no pull request.", is_lasting=False) from None

    @staticmethod
    def _list(answer: Answer) -> list[dict[str, Any]]:
        found = answer.json()
        if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
            raise ForgeError("answer", "The forge's answer is no list.", is_lasting=False)
        return found

    def _get(self, path: str) -> Answer:
        return repeated(lambda: self._checked("GET", path, max_bytes=_MAX_PAGE_BYTES), self.sleep)

    def _checked(self, method: str, path: str, body: Any = None, *, max_bytes: int = 1_000_000) -> Answer:
        where = f"{self.api.repository_path(self.repository)}/{path}"
        what = "read the pull request" if method == "GET" else "write the comment"
        return checked(self.api.request(method, where, body, max_bytes=max_bytes), what)
