"""Which template a send is rendered with: the current one of its key, a pinned revision, or that of a preview."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from service.errors import Conflict, InvalidRequest, NotAllowed, NotFound, Problem, TemplateInvalid, TryLater
from service.mail.recipient_rule import RecipientRule
from service.models.requests import AnySendRequest
from service.store import revisions
from service.store.database import Database
from service.store.revisions import Revision
from service.templates.archived_templates import ArchivedTemplates
from service.templates.catalogue import Catalogue, Snapshot
from service.templates.proposed_templates import ProposedTemplates
from service.templates.template import Template


@dataclass(frozen=True, slots=True)
class Choice:
    """A template to send with. `deployment_id` is that of the snapshot it was taken from; None: it was not from one.

    `archived` is the revision of a template that was loaded from the archive. `preview` is the name of the preview that
    was asked for.
    """

    template: Template
    deployment_id: str | None = None
    archived: Revision | None = None
    preview: str | None = None


@dataclass(frozen=True, slots=True)
class TemplateChooser:
    """Chooses the template of a request. Only a pin or a preview reads the database.

    `recipients` says who may get mail here: a preview is sent with only where that is not everyone.
    """

    database: Database
    catalogue: Catalogue
    archive: ArchivedTemplates
    proposed: ProposedTemplates
    recipients: RecipientRule
    clock: Callable[[], datetime]

    def choose(self, request: AnySendRequest, *, is_test: bool) -> Choice:
        """The template that the request asks for; template and deployment are of one snapshot.

        Raises NotFound for an unknown key, Conflict for an inactive template, TryLater for a broken one without an
        earlier revision, InvalidRequest for a pin that leads to no revision of this key or a preview that has none,
        and NotAllowed for a preview where mail goes to everyone.
        """
        if request.template_ref is not None:
            return self._of_preview(request, request.template_ref, is_test=is_test)
        snapshot = self.catalogue.current
        current = _served(snapshot, request.template_key)
        if current is not None:
            _require_active(current, is_test=is_test)
            if is_current(request, current):
                return Choice(current, snapshot.deployment_id)
        if request.template_version is None and request.template_revision is None:
            return Choice(_required(snapshot, request.template_key), snapshot.deployment_id)
        revision = self._pinned(request, current)
        if current is not None and current.revision == revision:
            return Choice(current, snapshot.deployment_id)
        archived = self.archive.get(revision)
        if archived is None:  # it was deleted in this moment
            raise _wrong_pin(request, "unknown_revision", _UNKNOWN)
        _require_active(archived.template, is_test=is_test)
        return Choice(archived.template, None, archived.revision)

    def _of_preview(self, request: AnySendRequest, name: str, *, is_test: bool) -> Choice:
        """The template of the preview that the request names; where it does not change it, the current one."""
        pins = [one for one in ("template_revision", "template_version") if getattr(request, one) is not None]
        if pins:
            problem = Problem("/template_ref", "contradiction", f"a preview and {pins[0]} exclude each other")
            raise InvalidRequest("The request names two templates.", [problem])
        if self.recipients.is_everyone and not is_test:
            raise NotAllowed(
                "Templates of pull requests are sent only where EMAIL_RECIPIENTS restricts who gets mail; here mail"
                " goes to everyone. Try it with POST /templates/{key}/test."
            )
        proposed = self.proposed.choose(name, request.template_key)
        if proposed is not None:
            _require_active(proposed.template, is_test=is_test)
            return Choice(proposed.template, None, proposed.revision, name)
        snapshot = self.catalogue.current
        current = _required(snapshot, request.template_key)
        _require_active(current, is_test=is_test)
        return Choice(current, snapshot.deployment_id, None, name)

    def _pinned(self, request: AnySendRequest, current: Template | None) -> str:
        """The full digest of the revision that the request pins, by digest or else the latest of a version."""
        key, version, digest = request.template_key, request.template_version, request.template_revision
        if digest is None:
            found = revisions.latest_deployed(self.database, key, version or 0, now=self.clock())
            if found is None:
                self._require_known(key, current)
                message = f"no revision of version {version} was ever deployed, or each of them is held"
                raise _wrong_pin(request, "unknown_version", message)
            return found
        named = revisions.beginning_with(self.database, digest, with_previews=False)
        if current is not None and current.revision.startswith(digest):
            named[current.revision] = (key, current.manifest.version)
        ours = {revision: its_version for revision, (its_key, its_version) in named.items() if its_key == key}
        if not ours:
            self._require_known(key, current)
            other = next((its_key for its_key, _ in named.values()), None)
            message = f"that revision belongs to the template {other!r}" if other else _UNKNOWN
            raise _wrong_pin(request, "other_template" if other else "unknown_revision", message)
        if len(ours) > 1:
            raise _wrong_pin(request, "ambiguous", "several revisions begin like that; write more digits")
        [(revision, its_version)] = ours.items()
        if version is not None and version != its_version:
            message = f"that revision is version {its_version}, and template_version says {version}"
            raise _wrong_pin(request, "contradiction", message)
        if revisions.is_held(self.database, key, revision, now=self.clock()):
            raise _wrong_pin(request, "held", "that revision is held: it must not be sent with")
        return revision

    def _require_known(self, key: str, current: Template | None) -> None:
        if current is None and key not in self.catalogue.current.entries and not revisions.versions(self.database, key):
            raise _no_template(key)


_UNKNOWN = "no such revision of this template was ever deployed"


def is_current(request: AnySendRequest, template: Template) -> bool:
    """Whether the request asks for this template, which is the current one; False also where a pin is but a prefix."""
    return request.template_version in (None, template.manifest.version) and request.template_revision in (
        None,
        template.revision,
    )


def _served(snapshot: Snapshot, key: str) -> Template | None:
    entry = snapshot.entries.get(key)
    return entry.template if entry is not None else None


def _required(snapshot: Snapshot, key: str) -> Template:
    try:
        return snapshot.get(key)
    except KeyError:
        raise _no_template(key) from None
    except TemplateInvalid:
        raise TryLater(
            f"The template {key!r} is broken and has no earlier revision to serve.", retry_after_s=30
        ) from None


def _require_active(template: Template, *, is_test: bool) -> None:
    if not template.manifest.active and not is_test:
        raise Conflict(f"The template {template.key!r} is inactive.")


def _no_template(key: str) -> NotFound:
    problem = Problem("/template_key", "unknown_template", "there is no such template")
    return NotFound(f"There is no template {key!r}.", [problem])


def _wrong_pin(request: AnySendRequest, code: str, message: str) -> InvalidRequest:
    if request.template_revision is None:
        place, detail = "/template_version", f"has no version {request.template_version} to send"
    else:
        place, detail = "/template_revision", f"has no revision {request.template_revision} to send"
    return InvalidRequest(f"The template {request.template_key!r} {detail}.", [Problem(place, code, message)])
