"""Publishing where templates come from a repository: a change becomes a commit, which is pushed and not served yet.

What is served changes once the commit is on the followed ref and deployed. A push that is refused changes nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from service.errors import Conflict, GitError, NotFound, StoreBusy, TryLater
from service.models import ActionKind, Caller
from service.models.requests import PublishRequest
from service.store import admin_actions
from service.store.database import Database
from service.templates.authoring.publish_changes import changed_files, changes_of
from service.templates.authoring.publish_checks import (
    author_of,
    check_key,
    check_message,
    check_others,
    check_paths,
    compiled,
)
from service.templates.authoring.publisher import Condition, Published
from service.templates.catalogue import Catalogue, Entry, state_of
from service.templates.compiler import TemplateCompiler
from service.templates.source.atomic_write import Changes
from service.templates.source.files import Files
from service.templates.source.remote import GitRemote

_log = structlog.get_logger("publish")

#: Branches of the service, followed by the template's key and a number.
BRANCHES = "rgz-email"


@dataclass(frozen=True, slots=True)
class BranchPublisher:
    """Pushes changes of templates: to a branch of their own, or with `is_direct` to the ref that is followed.

    `look` asks for a look at the repository now, on behalf of a caller.
    """

    remote: GitRemote
    is_direct: bool
    catalogue: Catalogue
    database: Database
    compiler: TemplateCompiler
    mail_domain: str
    look: Callable[[Caller], object]
    clock: Callable[[], datetime]

    def put(self, key: str, request: PublishRequest, caller: Caller, condition: Condition) -> Published:
        """Push a template that is new or changed. The condition is about what is served.

        Raises InvalidRequest for a bad key and with every mistake of the new files, PreconditionRequired and
        PreconditionFailed, Conflict where the repository has a newer state or refuses the push, with its words,
        TryLater where it can't be reached. Nothing has changed then.
        """
        return self._change(
            key, lambda files, entry: changes_of(key, request, files, entry), caller, condition, request.message
        )

    def put_files(
        self, key: str, texts: Mapping[str, str | None], caller: Caller, condition: Condition, message: str | None
    ) -> Published:
        """Push a template by its files: path in the folder -> text, None to remove it. Other files stay.

        Raises as `put`, and InvalidRequest for an invalid path.
        """
        return self._change(key, lambda files, _: changed_files(key, texts, files), caller, condition, message)

    def delete(self, key: str, caller: Caller, condition: Condition) -> Published:
        """Push the deletion of a template's folder.

        Raises InvalidRequest for a bad key and if another template includes it, NotFound, and what `put` raises.
        """
        check_key(key)
        snapshot = self.catalogue.current
        entry = snapshot.entries.get(key)
        if entry is None:
            raise NotFound(f"There is no template {key!r}.")
        condition.require(state_of(entry))
        with _translate_errors():
            head, files = self._head()
        changes: Changes = {path.removeprefix(f"{key}/"): None for path in files.folder(key)}
        if not changes:
            raise Conflict(f"The repository has no template {key!r} any more; its deletion is not served yet.")
        _require_same(key, changes, snapshot.files, files, head)
        check_others(self.compiler, key, files, files.with_changes(dict.fromkeys(files.folder(key))))
        return self._push(ActionKind.TEMPLATE_DELETED, key, (head, changes), caller, f"{key}: deleted")

    def _change(
        self,
        key: str,
        changes_in: Callable[[Files, Entry | None], Changes],
        caller: Caller,
        condition: Condition,
        message: str | None,
    ) -> Published:
        check_key(key)
        check_message(message)
        snapshot = self.catalogue.current
        entry = snapshot.entries.get(key)
        condition.require(state_of(entry) if entry else None)
        changes = changes_in(snapshot.files, entry)
        if not changes:
            return Published(is_new=False)
        with _translate_errors():
            head, files = self._head()
        _require_same(key, changes, snapshot.files, files, head)
        check_paths(key, changes, files)
        compiled(self.compiler, key, files, changes)
        line = message or f"{key}: {'changed' if entry else 'created'}"
        published = self._push(ActionKind.TEMPLATE_PUBLISHED, key, (head, changes), caller, line)
        return replace(published, is_new=entry is None)

    def _head(self) -> tuple[str, Files]:
        head = self.remote.fetch().commit.id
        return head, self.remote.files(head).files

    def _push(self, kind: ActionKind, key: str, change: tuple[str, Changes], caller: Caller, message: str) -> Published:
        """Push the change of a folder on top of a head."""
        head, changes = change
        with _translate_errors():
            pushed = self.remote.push_changes(
                head,
                {f"{key}/{name}": data for name, data in changes.items()},
                author=author_of(caller, self.mail_domain),
                message=message,
                branch=None if self.is_direct else f"{BRANCHES}/{key}",
            )
        _log.info("template_pushed", key=key, caller_id=caller.id, commit=pushed.commit, branch=pushed.branch)
        try:
            if self.is_direct:
                self.look(caller)
            self._note(kind, key, caller, f"{pushed.commit[:12]} {pushed.branch}")
        except StoreBusy as error:  # the commit is pushed, and the next look finds it; git and the log have it
            _log.warning("store_busy", task="template_pushed", reason=str(error))
        return Published(is_new=False, commit=pushed.commit, pushed=pushed)

    def _note(self, kind: ActionKind, key: str, caller: Caller, detail: str) -> None:
        self.database.write(lambda tx: admin_actions.note(tx, kind, caller, self.clock(), subject=key, detail=detail))


def _require_same(key: str, changes: Changes, served: Files, files: Files, head: str) -> None:
    """Refuse to overwrite a state of the repository that the author has not seen, because it is not served yet."""
    newer = [name for name in changes if served.digest(f"{key}/{name}") != files.digest(f"{key}/{name}")]
    if newer:
        raise Conflict(
            f"The repository has another {key}/{newer[0]} (commit {head[:12]}) than the one that is served; nothing was"
            " changed. Deploy that commit first, or change it there."
        )


@contextmanager
def _translate_errors() -> Iterator[None]:
    """A repository that can't be reached is an error to try again; a refusal of it is a Conflict already."""
    try:
        yield
    except GitError as error:
        _log.warning("git_refused", reason=str(error), reply=error.reply)
        raise TryLater(f"Nothing was changed: {error}") from error
