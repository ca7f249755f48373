"""The forge that keeps a repository, as far as its URL tells: GitHub, GitLab or Gitea, and its pages."""

from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from service.templates.source.remote_url import RemoteUrl

#: A part of a host's name -> what runs there. Forgejo and Codeberg have Gitea's pages and API.
_KINDS: tuple[tuple[str, Literal["github", "gitlab", "gitea"]], ...] = (
    ("github", "github"),
    ("gitlab", "gitlab"),
    ("gitea", "gitea"),
    ("forgejo", "gitea"),
    ("codeberg", "gitea"),
)


@dataclass(frozen=True, slots=True)
class Forge:
    """A repository on a forge: `page` is its page, `repository` its path there, such as team/mails."""

    kind: Literal["github", "gitlab", "gitea"]
    origin: str
    repository: str

    @classmethod
    def of(cls, url: RemoteUrl) -> "Forge | None":
        """The forge of a repository; None where its URL names none that is known."""
        host = url.host.lower()
        kind = next((kind for part, kind in _KINDS if part in host), None)
        repository = url.path.strip("/").removesuffix(".git")
        if kind is None or not repository:
            return None
        is_web = url.protocol in ("http", "https")
        return cls(kind, url.origin if is_web else f"https://{url.host}", repository)

    def commit_url(self, commit: str) -> str:
        """The page of a commit."""
        part = "-/commit" if self.kind == "gitlab" else "commit"
        return f"{self.origin}/{quote(self.repository, safe='/')}/{part}/{quote(commit)}"

    def compare_url(self, base: str, head: str) -> str:
        """The page that compares two branches or commits."""
        between = f"{quote(base, safe='/')}...{quote(head, safe='/')}"
        part = "-/compare" if self.kind == "gitlab" else "compare"
        return f"{self.origin}/{quote(self.repository, safe='/')}/{part}/{between}"
