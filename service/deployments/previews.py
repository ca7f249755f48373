"""Previews: the process that follows the source compiles open pull requests as pr-N, until they are over."""

import random
import re
import secrets
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from service.deployments.forge_client import ForgeClient, OpenRequests
from service.deployments.prepare import Live, read_live
from service.deployments.preview_compiler import CompiledPreview, PreviewCompiler, new_preview, unreadable
from service.errors import ForgeError, GitError, StoreBusy, TryLater
from service.models import Commit, PreviewRef
from service.store import previews, template_source
from service.store.database import Database, Transaction
from service.templates.source.remote import GitRemote

#: A pull request without a new commit for so long has no preview.
MAX_AGE = timedelta(days=14)
#: Refs that are looked at, newest first: a forge keeps those of closed pull requests.
_MAX_REFS = 200
#: Bytes of the mirror, which is made anew beyond.
_MAX_MIRROR_BYTES = 512_000_000
#: What stands for the * of a pattern.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
#: A look that broke off is tried again this much later, seconds.
_AGAIN_S = 5.0
#: The time between two looks differs by up to this share.
_JITTER = 0.1
#: Revisions of previews that are over are kept this long: a send may be under way.
_KEPT_FOR = timedelta(days=1)

_log = structlog.get_logger("previews")


@dataclass(frozen=True, slots=True)
class PreviewRules:
    """The pattern of refs, with one *; how many of them have a preview; and how often they are looked at."""

    pattern: str
    count: int
    interval_s: float

    def name_of(self, ref: str) -> str | None:
        """The name of the preview of a ref: pr-12 of refs/pull/12/head. None for one that the pattern does not mean."""
        before, _, after = self.pattern.partition("*")
        name = ref[len(before) : len(ref) - len(after)]
        is_like = ref.startswith(before) and ref.endswith(after) and _NAME.fullmatch(name) is not None
        return f"pr-{name}" if is_like else None


@dataclass
class PreviewSyncer:
    """Keeps the previews while the process `owner` follows the source. One thread calls `step`.

    It has a thread and a mirror of its own, so that no pull request delays a deployment. Without `rules` there are no
    previews, and what is left of them is deleted. `forge` says which pull
    requests are open; without it, what is merged or old is over.
    """

    database: Database
    remote: GitRemote
    compiler: PreviewCompiler
    rules: PreviewRules | None
    forge: ForgeClient | None
    owner: str
    clock: Callable[[], datetime]
    monotonic_s: Callable[[], float]
    rng: random.Random = field(default_factory=random.Random)
    _next_look_s: float = field(default=0.0, init=False)
    _seen: tuple[object, ...] = field(default=(), init=False)
    _forge_failure: str | None = field(default=None, init=False)
    _is_emptied: bool = field(default=False, init=False)

    def step(self, stopping: threading.Event) -> bool:
        """Look at the pull requests if that is due and this process follows the source; True if it was done.

        Raises StoreBusy. A repository that can't be read is tried again after the interval; previews stay meanwhile.
        """
        status = template_source.status(self.database)
        now_s = self.monotonic_s()
        if status.lease_owner != self.owner or status.seen_commit is None or status.judged is None:
            return False
        if self.rules is None:
            return self._empty()
        state = (status.done_look, status.seen_commit, status.judged)
        if now_s < self._next_look_s and state == self._seen:
            return False
        self._seen = state
        self._next_look_s = now_s + self.rules.interval_s * self.rng.uniform(1 - _JITTER, 1 + _JITTER)
        try:
            self._look(self.rules, status.seen_commit, stopping)
        except GitError as error:
            _log.warning("previews_unreachable", reason=str(error), reply=error.reply)
        except TryLater:
            self._next_look_s = now_s + _AGAIN_S
        except BaseException:
            self._next_look_s = now_s + _AGAIN_S
            raise
        return True

    def _empty(self) -> bool:
        """Delete what is left of previews, once."""
        if not self._is_emptied and previews.refs(self.database):
            self._save_refs(())
        is_first, self._is_emptied = not self._is_emptied, True
        return is_first

    def _look(self, rules: PreviewRules, head: str, stopping: threading.Event) -> None:
        listed = {ref: name for ref, name in self.remote.list_refs(rules.pattern).items() if rules.name_of(ref)}
        seen = self._seen_refs(listed, rules, self._open_requests())
        shown = [one for one in seen if one.over is None][: rules.count]
        extra = {one.ref for one in seen if one.over is None} - {one.ref for one in shown}
        seen = [replace(one, over="extra") if one.ref in extra else one for one in seen]
        self._save_refs(seen)
        self._bound_mirror()
        for ref in shown:
            if stopping.is_set():
                return
            over = self._bring_up_to_date(ref, rules.name_of(ref.ref) or "", head)
            if over is not None:
                seen = [replace(one, over=over) if one.ref == ref.ref else one for one in seen]
                self._save_refs(seen)

    def _seen_refs(
        self, listed: Mapping[str, str], rules: PreviewRules, open_requests: OpenRequests | None
    ) -> list[PreviewRef]:
        """The refs of now, newest first, with what is known of them, and those that are over by what is known."""
        known, now = previews.refs(self.database), self.clock()
        found: list[PreviewRef] = []
        for ref in sorted(listed, key=_newest_first)[:_MAX_REFS]:
            before = known.get(ref)
            if before is None or before.commit != listed[ref]:
                before = PreviewRef(ref, listed[ref], now, is_older=not known)
            number = (rules.name_of(ref) or "").removeprefix("pr-")
            found.append(replace(before, over=self._over(before, number, open_requests)))
        return found

    def _over(self, ref: PreviewRef, number: str, open_requests: OpenRequests | None) -> str | None:
        """Why a pull request has no preview, as far as that is known without its commit."""
        if open_requests is not None and number.isdecimal() and open_requests.is_closed(int(number)):
            return "closed"
        if ref.first_seen_at < self.clock() - MAX_AGE:
            return "old"
        if ref.over in ("merged", "old"):  # for this commit, that stays
            return ref.over
        return "closed" if ref.over == "closed" and open_requests is None else None

    def _open_requests(self) -> OpenRequests | None:
        """The open pull requests as the forge has them; None where it is not asked, or does not answer."""
        if self.forge is None:
            return None
        try:
            found = self.forge.open_requests()
        except ForgeError as error:
            if error.code != self._forge_failure:
                _log.warning("pull_requests_not_listed", reason=str(error))
            self._forge_failure = error.code
            return None
        self._forge_failure = None
        return found

    def _bring_up_to_date(self, ref: PreviewRef, name: str, head: str) -> str | None:
        """Make the preview of a ref, unless the one that is there is of now. Returns why there is none."""
        before, live, now = previews.get(self.database, name), read_live(self.database), self.clock()
        judged = self.compiler.judgement(ref.commit, live, head)
        failed = f"failed in {now:%Y-%m-%dT%H} {ref.commit}"  # it is tried again in the next hour
        if before is not None and before.judged in (judged, failed):
            return "old" if self._is_old(before.commit, ref) else None
        fallback = new_preview(
            name, ref.ref, Commit(id=ref.commit), ref.first_seen_at, before=before, links=secrets.token_hex(16)
        )
        try:
            commit = self._fetched(ref, live, head)
            if self._is_old(commit, ref):
                return "old"
            if commit.id == head or self.remote.is_ancestor(commit.id, head):
                return "merged"
            made = self.compiler.compile(replace(fallback, commit=commit), live)
        except (StoreBusy, TryLater):
            raise
        except GitError as error:
            made, judged = unreadable(fallback, str(error)), failed
        except Exception as error:  # a mistake of ours must not cost the others their previews
            _log.error("preview_broke", preview=name, commit=ref.commit, exc_info=error)
            made = unreadable(fallback, "This service made a mistake while it compiled it; its log says more.")
        self._save(made, judged, live)
        return None

    def _fetched(self, ref: PreviewRef, live: Live | None, head: str) -> Commit:
        """Fetch a pull request, and what it is compared with. Raises GitError."""
        for name in dict.fromkeys([head, *([live.deployment.commit.id] if live and live.deployment.commit else [])]):
            if not self.remote.has(name):
                self.remote.fetch_ref(name, name)
        return self.remote.commit(self.remote.fetch_ref(ref.ref, ref.commit))

    def _is_old(self, commit: Commit, ref: PreviewRef) -> bool:
        """Whether it has had no new commit for long. What was there at the first look is as old as its commit."""
        committed_at = commit.committed_at if ref.is_older else None
        return min(ref.first_seen_at, committed_at or ref.first_seen_at) < self.clock() - MAX_AGE

    def _save(self, made: CompiledPreview, judged: str, live: Live | None) -> None:
        preview = replace(
            made.preview,
            judged=judged,
            prepared_at=self.clock(),
            deployment_id=live.deployment.id if live is not None else None,
        )
        self.database.write(lambda tx: previews.save(tx, preview, made.items, made.archives))
        _log.info(
            "preview_ready",
            preview=preview.name,
            commit=preview.commit.id,
            changed=preview.changed_count,
            findings=preview.findings_count,
        )

    def _save_refs(self, seen: Sequence[PreviewRef]) -> None:
        if {one.ref: one for one in seen} == previews.refs(self.database):
            return
        before = self.clock() - _KEPT_FOR

        def work(tx: Transaction) -> None:
            previews.save_refs(tx, seen)
            previews.forget_revisions(tx, before=before)

        self.database.write(work)

    def _bound_mirror(self) -> None:
        """Throw the mirror away where it has grown too large; what is needed is fetched again."""
        packs = self.remote.mirror / "objects" / "pack"
        if sum(one.stat().st_size for one in packs.glob("*")) > _MAX_MIRROR_BYTES:
            shutil.rmtree(self.remote.mirror, ignore_errors=True)


def _newest_first(ref: str) -> tuple[int, int, str]:
    number = next((part for part in ref.split("/") if part.isdecimal() and part.isascii()), None)
    return (0, -int(number[:18]), ref) if number is not None else (1, 0, ref)
