"""Links to commits at forges whose addresses are known."""

import re
from urllib.parse import quote, urlsplit

#: user@host:path, as ssh and git have it.
_SCP = re.compile(r"(?:[^@/:\s]+@)?([A-Za-z0-9.-]+):(?!//)([^\s]+)")
#: The path of a commit below a repository, by a word of the host's name.
_PATHS = (
    ("github", "commit"),
    ("gitlab", "-/commit"),
    ("gitea", "commit"),
    ("forgejo", "commit"),
    ("codeberg", "commit"),
    ("bitbucket", "commits"),
)


def commit_url(source: str, commit: str) -> str | None:
    """The page of a commit of this repository; None where the forge is not known by its name."""
    host, path = _place(source)
    if not host or not path:
        return None
    below = next((below for word, below in _PATHS if word in host), None)
    return f"https://{host}/{quote(path)}/{below}/{commit}" if below else None


def _place(source: str) -> tuple[str, str]:
    """Host and path of a repository's URL, without user, port and the ending of bare repositories."""
    if "://" in source:
        try:
            parts = urlsplit(source)
            host = parts.hostname or ""
        except ValueError:
            return "", ""
        path = parts.path if parts.scheme in ("https", "http", "ssh", "git") else ""
    else:
        found = _SCP.fullmatch(source)
        host, path = (found[1], found[2]) if found else ("", "")
    return host.lower(), path.strip("/").removesuffix(".git")
