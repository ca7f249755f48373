"""The forge that keeps a repository, as far as its URL tells: GitHub, GitLab or Gitea, and its pages."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from service.templates.source.remote_url import RemoteUrl

ForgeKind = Literal["github", "gitlab", "gitea"]

#: A part of a host's name -> what runs there. Forgejo and Codeberg have Gitea's pages and API.
_KINDS: tuple[tuple[str, ForgeKind], ...] = (
    ("github", "github"),
    ("gitlab", "gitlab"),
    ("gitea", "gitea"),
    ("forgejo", "gitea"),
    ("codeberg", "gitea"),
)


@dataclass(frozen=True, slots=True)
class Forge:
    """A repository on a forge: `page` is its page, `repository` its path there, such as team/mails."""

    kind: ForgeKind
    origin: str
    repository: str

    @classmethod
    def of(cls, url: RemoteUrl, kind: ForgeKind | None = None) -> "Forge | None":
        """The forge of a repository; None where its URL names none that is known. `kind`: what runs there."""
        host = url.host.lower()
        kind = kind or next((kind for part, kind in _KINDS if part in host), None)
        repository = url.path.strip("/").removesuffix(".git")
        if kind is None or not repository:
            return None
        is_web = url.protocol in ("http", "https")
        return cls(kind, url.origin if is_web else f"https://{url.host}", repository)

    @property
    def api_url(self) -> str:
        """The base of its API, where an installation does not say otherwise."""
        if self.kind == "github":
            return "https://api.github.com" if self.origin == "https://github.com" else f"{self.origin}/api/v3"
        return f"{self.origin}/api/{'v4' if self.kind == 'gitlab' else 'v1'}"

    def commit_url(self, commit: str) -> str:
        """The page of a commit."""
        part = "-/commit" if self.kind == "gitlab" else "commit"
        return f"{self.origin}/{quote(self.repository, safe='/')}/{part}/{quote(commit)}"

    def request_url(self, number: str) -> str:
        """The page of a pull request, which GitLab calls a merge request."""
        part = {"github": "pull", "gitlab": "-/merge_requests", "gitea": "pulls"}[self.kind]
        return f"{self.origin}/{quote(self.repository, safe='/')}/{part}/{quote(number)}"

    def compare_url(self, base: str, head: str) -> str:
        """The page that compares two branches or commits."""
        between = f"{quote(base, safe='/')}...{quote(head, safe='/')}"
        part = "-/compare" if self.kind == "gitlab" else "compare"
        return f"{self.origin}/{quote(self.repository, safe='/')}/{part}/{between}"
