"""Publishing of templates: PUT and DELETE write the folder, commit it, and serve it at once.

Everything is checked before anything is written: the condition, uncommitted changes, mistakes in the new files. Then
the folder is swapped as a whole and committed alone; if the commit fails, the folder is put back.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

import structlog

from service.config.file_lock import FileLock
from service.errors import (
    Conflict,
    GitError,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
    StoreBusy,
    TryLater,
)
from service.models import ActionKind, Caller
from service.models.requests import PublishRequest
from service.store import admin_actions
from service.store import revisions as archive
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
from service.templates.catalogue import Catalogue, Entry, state_of
from service.templates.compiler import TemplateCompiler
from service.templates.revisions import Revisions
from service.templates.source import atomic_write
from service.templates.source.atomic_write import Changes
from service.templates.source.files import Files, read_files
from service.templates.source.git import WorkTree
from service.templates.source.remote_push import PushedCommit
from service.templates.template import Template

_log = structlog.get_logger("publish")


@dataclass(frozen=True, slots=True)
class Condition:
    """The precondition of a change (RFC 9110, 13.1): one of these ETags ("*" for any), or no template yet."""

    states: frozenset[str] | None = None
    creates: bool = False

    @classmethod
    def of(cls, if_match: str, if_none_match: str) -> "Condition":
        """The condition in the headers If-Match and If-None-Match; "" for a missing header."""
        # A weak tag (W/"…") never matches here: If-Match compares strongly.
        tags = [tag.strip() for tag in if_match.split(",") if tag.strip()]
        states = frozenset(tag.strip('"') for tag in tags if not tag.startswith("W/"))
        return cls(states if tags else None, if_none_match.strip() == "*")

    def require(self, state: str | None) -> None:
        """Check the condition against the present ETag `state`, None if there is no template.

        Raises PreconditionRequired without a condition, PreconditionFailed for a broken one.
        """
        if self.states is None and not self.creates:
            raise PreconditionRequired(
                "Say which state is to change: If-Match with the ETag that you read, or If-None-Match: * to create."
            )
        if self.creates and state is not None:
            raise PreconditionFailed("There is such a template already; read it, and write If-Match with its ETag.")
        if self.states is None:
            return
        if state is None:
            raise PreconditionFailed("There is no such template; write If-None-Match: * to create it.")
        if state not in self.states and "*" not in self.states:
            raise PreconditionFailed(f'It is "{state}" by now, changed by somebody else; read it again.')


@dataclass(frozen=True, slots=True)
class Published:
    """What became of a change. `commit`: None outside of git, and where nothing changed.

    `pushed`: where the commit was pushed to, if it is served only once it is merged and deployed.
    """

    is_new: bool
    commit: str | None = None
    pushed: PushedCommit | None = None


class TemplatePublisher(Protocol):
    """What changes templates, in a directory or in a repository."""

    def put(self, key: str, request: PublishRequest, caller: Caller, condition: Condition) -> Published:
        """Create or change a template by a request."""

    def put_files(
        self, key: str, texts: Mapping[str, str | None], caller: Caller, condition: Condition, message: str | None
    ) -> Published:
        """Create or change a template by its files: path in the folder -> text, None to remove it."""

    def delete(self, key: str, caller: Caller, condition: Condition) -> Published:
        """Delete a template."""


@dataclass(frozen=True, slots=True)
class Publisher:
    """Writes templates. `lock` admits one change at a time, over all processes."""

    root: Path
    catalogue: Catalogue
    database: Database
    compiler: TemplateCompiler
    revisions: Revisions
    lock: FileLock
    mail_domain: str
    clock: Callable[[], datetime]

    def put(self, key: str, request: PublishRequest, caller: Caller, condition: Condition) -> Published:
        """Create or change a template, and serve it.

        Raises InvalidRequest for a bad key and with every mistake of the new files, PreconditionRequired and
        PreconditionFailed, Conflict where it can't be written or committed, TryLater where somebody else is at it.
        Nothing has changed then.
        """
        return self._change(
            key, lambda files, entry: changes_of(key, request, files, entry), caller, condition, request.message
        )

    def put_files(
        self, key: str, texts: Mapping[str, str | None], caller: Caller, condition: Condition, message: str | None
    ) -> Published:
        """Create or change a template by its files: path in the folder -> text, None to remove it.

        Other files stay. Raises as `put`, and InvalidRequest for an invalid path.
        """
        return self._change(key, lambda files, _: changed_files(key, texts, files), caller, condition, message)

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
        with self.lock.acquire():
            snapshot = self.catalogue.refresh()
            entry = snapshot.entries.get(key)
            condition.require(state_of(entry) if entry else None)
            tree = self._tree(key)
            files = read_files(self.root)
            changes = changes_in(files, entry)
            check_paths(key, changes, files)
            template = compiled(self.compiler, key, files, changes)
            commit = None
            if changes:
                with self._refresh_after(), _translate_errors(), atomic_write.change_folder(self.root, key, changes):
                    self._save_current(template.at(snapshot.commit, dirty=False), caller, is_new=entry is None)
                    commit = self._commit(tree, key, caller, message or f"{key}: {'changed' if entry else 'created'}")
                self._note(ActionKind.TEMPLATE_PUBLISHED, key, caller, commit)
            return Published(entry is None, commit)

    def delete(self, key: str, caller: Caller, condition: Condition) -> Published:
        """Delete a template's folder; its revisions stay in the archive.

        Raises InvalidRequest for a bad key and if another template includes it, NotFound, and what `put` raises.
        """
        check_key(key)
        with self.lock.acquire():
            entry = self.catalogue.refresh().entries.get(key)
            if entry is None:
                raise NotFound(f"There is no template {key!r}.")
            condition.require(state_of(entry))
            tree = self._tree(key)
            files = read_files(self.root)
            check_others(self.compiler, key, files, files.with_changes(dict.fromkeys(files.folder(key))))
            with self._refresh_after(), _translate_errors(), atomic_write.remove_folder(self.root, key):
                self.database.write(lambda tx: archive.forget_current(tx, key))
                commit = self._commit(tree, key, caller, f"{key}: deleted")
            self._note(ActionKind.TEMPLATE_DELETED, key, caller, commit)
            return Published(is_new=False, commit=commit)

    @contextmanager
    def _refresh_after(self) -> Iterator[None]:
        """Refresh the catalogue after the block, also after an error: the watch may have seen files since put back."""
        try:
            yield
        finally:
            self.catalogue.refresh()

    def _tree(self, key: str) -> WorkTree | None:
        tree = WorkTree.around(self.root, key)
        with _translate_errors():
            if tree is not None and tree.has_changes(key):
                raise Conflict(f"The checkout has uncommitted changes in {key!r}; commit them or take them back first.")
        return tree

    def _save_current(self, template: Template, caller: Caller, *, is_new: bool) -> None:
        """Store the caller as author in the row of the current revision, for templates outside of git."""
        revision = self.revisions.build(template, self.clock())
        if revision.current is not None:
            current = replace(revision.current, author=caller.name)
            if is_new:
                current = replace(current, creator=caller.name)
            self.database.write(lambda tx: archive.save_current(tx, revision, current))

    def _commit(self, tree: WorkTree | None, key: str, caller: Caller, message: str) -> str | None:
        commit = (
            tree.commit(key, author=author_of(caller, self.mail_domain), message=message) if tree is not None else None
        )
        _log.info("template_changed", key=key, caller_id=caller.id, commit=commit)
        return commit

    def _note(self, kind: ActionKind, key: str, caller: Caller, commit: str | None) -> None:
        detail = commit[:12] if commit else None
        try:
            self.database.write(
                lambda tx: admin_actions.note(tx, kind, caller, self.clock(), subject=key, detail=detail)
            )
        except StoreBusy as error:  # it is served by now, and git and the log have it
            _log.warning("store_busy", task="template_changed", reason=str(error))


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Translate errors of the file system and of git to errors for the caller; their own words go to the log."""
    try:
        yield
    except OSError as error:
        _log.warning("templates_not_writable", reason=str(error))
        raise Conflict(f"The template can't be written here ({error.strerror}); nothing was changed.") from error
    except GitError as error:
        _log.warning("git_refused", reason=str(error), reply=error.reply)
        if "index.lock" in error.reply or not error.reply:
            raise TryLater("git is busy or out of reach; nothing was changed. Send the same request again.") from error
        raise Conflict("git did not take the change, so nothing was changed; the log says why.") from error
