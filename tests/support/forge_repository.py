"""A repository on a forge for tests: its pull requests, comments and artifacts behind the API of GitHub or GitLab."""

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from tests.support.forge_api import ForgeApi, Posted, Reply, forge_api

BOT = "github-actions[bot]"


@dataclass
class ForgeRepository:
    """What the forge holds. `user` is the token's user; None for a token that may not ask, as a workflow's."""

    kind: Literal["github", "gitlab"]
    api: ForgeApi
    repository: str = "team/mails"
    user: tuple[int, str] | None = None
    pulls: list[dict[str, Any]] = field(default_factory=list)
    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    data: dict[int, bytes] = field(default_factory=dict)
    #: Replies that are given before any other.
    faults: list[Reply] = field(default_factory=list)

    def add_pull(self, number: int, head: str, *, repository: str = "stranger/mails", branch: str = "words",
                 base: str = "main") -> None:  # fmt: skip
        """An open pull request."""
        self.pulls.append({
            "number": number, "head": {"sha": head, "ref": branch, "repo": {"full_name": repository}},
            "base": {"ref": base}, "iid": number, "sha": head, "source_project_id": 8, "target_branch": base,
        })  # fmt: skip

    def add_comment(self, number: int, body: str, author: tuple[int, str]) -> dict[str, Any]:
        """A comment of somebody."""
        made = {
            "id": 100 * number + len(self.comments.setdefault(number, [])), "body": body, "system": False,
            "user": {"id": author[0], "login": author[1]}, "author": {"id": author[0], "username": author[1]},
        }  # fmt: skip
        self.comments[number].append(made)
        return made

    def add_artifact(self, name: str, content: bytes, *, file: str = "report.json", is_zip: bool = True) -> int:
        """An artifact of run 7 with one file."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(file, content)
        number = len(self.artifacts) + 1
        self.data[number] = packed.getvalue() if is_zip else content
        size = len(self.data[number])
        self.artifacts.append({"id": number, "name": name, "size_in_bytes": size, "expired": False})
        return number

    def bodies(self, number: int) -> list[str]:
        """The comments of a pull request."""
        return [one["body"] for one in self.comments.get(number, [])]

    @property
    def methods(self) -> list[str]:
        """The methods of all requests that change something."""
        return [one.method for one in self.api.requests if one.method != "GET"]

    def answer(self, posted: Posted) -> Reply:
        """Answer a request."""
        if self.faults:
            return self.faults.pop(0)
        parts = urlsplit(posted.path)
        if parts.path.startswith("/stored/"):
            assert "authorization" not in posted.headers
            return Reply(200, self.data[int(parts.path.rpartition("/")[2])])
        prefix = f"/repos/{self.repository}/" if self.kind == "github" else "/projects/team%2Fmails/"
        if parts.path == "/user":
            made = None if self.user is None else {"id": self.user[0], "login": self.user[1]}
            return _json(made) if made else Reply(403, b'{"message": "Resource not accessible by integration"}')
        assert parts.path.startswith(prefix), posted.path
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        return self._route(posted, parts.path.removeprefix(prefix).split("/"), query)

    def _route(self, posted: Posted, path: list[str], query: dict[str, str]) -> Reply:
        match [posted.method, *path]:
            case ["GET", "pulls"]:
                owner, _, branch = query["head"].partition(":")
                return _json([
                    one for one in self.pulls
                    if one["head"]["ref"] == branch
                    and one["head"]["repo"]["full_name"].lower().startswith(f"{owner.lower()}/")
                ])  # fmt: skip
            case ["GET", "pulls" | "merge_requests", number]:
                found = [one for one in self.pulls if one["number"] == int(number)]
                return _json(found[0]) if found else Reply(404)
            case ["GET", "issues" | "merge_requests", number, "comments" | "notes"]:
                size, page = int(query["per_page"]), int(query["page"])
                return _json(self.comments.get(int(number), [])[size * (page - 1) : size * page])
            case ["POST", "issues" | "merge_requests", number, "comments" | "notes"]:
                return _json(self.add_comment(int(number), posted.body["body"], self.user or (1, BOT)), 201)
            case ["PATCH", "issues", "comments", comment] | ["PUT", "merge_requests", _, "notes", comment]:
                (one,) = [one for listed in self.comments.values() for one in listed if one["id"] == int(comment)]
                one["body"] = posted.body["body"]
                return _json(one)
            case ["GET", "actions", "runs", "7", "artifacts"]:
                return _json({"artifacts": [one for one in self.artifacts if one["name"] == query["name"]]})
            case ["GET", "actions", "artifacts", number, "zip"]:
                return Reply(302, b"", {"Location": f"{self.api.url}/stored/{number}"})
        raise AssertionError(f"{posted.method} {posted.path}")


def _json(value: Any, code: int = 200) -> Reply:
    return Reply(code, json.dumps(value).encode())


@contextmanager
def forge_repository(kind: Literal["github", "gitlab"] = "github") -> Iterator[ForgeRepository]:
    """Serve a repository on this machine, until the block ends."""
    with forge_api() as api:
        made = ForgeRepository(kind, api)
        api.answer = made.answer
        yield made
