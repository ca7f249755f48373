"""The refs of a remote repository, and the one that is meant: a branch, a tag, or the highest of a pattern of tags."""

import fnmatch
import re
from collections.abc import Iterable, Mapping

from service.errors import GitError

#: A full name of a commit: SHA-1 or SHA-256.
COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_PATTERN = re.compile(r"[*?\[]")  # no name of a ref has one of these (git-check-ref-format)
#: So many refs are named where the wanted one does not exist.
_MAX_NAMED = 12


def is_pattern(ref: str) -> bool:
    """Whether `ref` is a pattern of tags."""
    return _PATTERN.search(ref) is not None


def read_refs(listing: bytes) -> dict[str, str]:
    """The refs that `git ls-remote` prints: name -> object; without peeled tags, and what is not UTF-8."""
    refs: dict[str, str] = {}
    for line in listing.splitlines():
        name, _, ref = line.partition(b"\t")
        text, commit = ref.decode("utf-8", "replace"), name.decode("ascii", "replace")
        if COMMIT.fullmatch(commit) and not text.endswith("^{}") and text.isprintable() and "\ufffd" not in text:
            refs[text] = commit
    return refs


def chosen(refs: Mapping[str, str], ref: str, where: str) -> str:
    """The full name of the ref that is meant; a branch goes before a tag of the same name. Raises GitError."""
    if not refs:
        raise GitError(f"The repository {where} is empty: it has no branch and no tag. Push a commit to it.")
    if is_pattern(ref):
        pattern = ref.removeprefix("refs/tags/")
        tags = [name for name in refs if name.startswith("refs/tags/")]
        matching = [name for name in tags if fnmatch.fnmatchcase(name.removeprefix("refs/tags/"), pattern)]
        if matching:
            return max(matching, key=version_key)
        raise GitError(f"No tag of {where} is like {ref}; there are {_some(tags)} (EMAIL_TEMPLATES_GIT_REF).")
    for name in (ref, f"refs/heads/{ref}", f"refs/tags/{ref}", f"refs/{ref}"):
        if name in refs:
            return name
    raise GitError(
        f"{where} has no branch or tag {ref} (any more); there are {_some(refs)}. Set EMAIL_TEMPLATES_GIT_REF to one of"
        " them, or push it again."
    )


def version_key(tag: str) -> tuple[tuple[int, int, str], ...]:
    """Orders tags as versions: v1.10 comes after v1.9, and v2.0-rc1 before v2.0."""
    parts: list[tuple[int, int, str]] = []
    for part in re.findall(r"[0-9]+|[^0-9]", tag):
        if part.isdigit():
            digits = part.lstrip("0")
            parts.append((2, len(digits), digits))
        else:
            parts.append((0 if part in "-~" else 3, 0, part))
    return (*parts, (1, 0, ""))


def _some(refs: Iterable[str]) -> str:
    names = [name.removeprefix("refs/heads/").removeprefix("refs/tags/") for name in refs if name != "HEAD"]
    shown = ", ".join(sorted(names)[:_MAX_NAMED])
    more = len(names) - _MAX_NAMED
    return f"{shown} and {more} more" if more > 0 else shown or "none"
