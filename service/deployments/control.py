"""Decisions of persons about deployments: look now, activate, roll back, hold, suspend, and take that back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.deployments import rollback
from service.deployments.prepare import REMOVAL
from service.deployments.rollback import Replacement
from service.errors import Conflict, InvalidRequest, NotFound, Problem
from service.models import (
    ActionKind,
    Caller,
    Deployment,
    DeploymentItem,
    DeploymentState,
    Hold,
    Suspension,
    Trigger,
)
from service.store import admin_actions, deployments, revisions, template_source
from service.store.database import Database, Transaction

_MAX_WHY = 500


@dataclass(frozen=True, slots=True)
class DeploymentControl:
    """Changes what is served, in one transaction each. `follows`: templates come from a repository, not a directory."""

    database: Database
    follows: bool
    clock: Callable[[], datetime]

    def look(self, trigger: Trigger, caller: Caller) -> int:
        """Ask for a look at the repository now; returns the number of the request. Raises Conflict, StoreBusy."""
        self._require_source()

        def change(tx: Transaction) -> int:
            if trigger is not Trigger.WEBHOOK:  # no person, and as often as there are pushes
                self._note(tx, ActionKind.DEPLOYMENT_REQUESTED, caller, None, None)
            return template_source.want_look(tx, trigger, caller.name)

        return self.database.write(change)

    def activate(self, deployment_id: str, caller: Caller, *, why: str) -> Deployment:
        """Serve a deployment that is held or waits, whatever speaks against it, or one that was served before.

        Raises NotFound, InvalidRequest, Conflict, StoreBusy.
        """
        self._require_source()
        _check_why(why)
        deployment = deployments.get(self.database, deployment_id)
        if deployment is None:
            raise NotFound(f"There is no deployment {deployment_id!r}.")
        if deployment.state is DeploymentState.LIVE:
            return deployment
        if deployment.state is DeploymentState.ENDED:
            return self.rollback([], caller, to=deployment.id, why=why)
        items = deployments.items(self.database, deployment_id)
        held = rollback.held_revisions(self.database)
        if out := next((item for item in items if (item.key, item.revision) in held), None):
            raise Conflict(f"A hold keeps this revision of {out.key!r} out; lift it first.")
        if not any(item.revision for item in items):
            raise Conflict("This deployment has no template that works; no mail could be sent.")
        live_id = deployments.live_id(self.database)

        def change(tx: Transaction) -> None:
            self._activate(tx, deployment_id, live_id, caller, why)
            self._note(tx, ActionKind.DEPLOYMENT_ACTIVATED, caller, deployment_id, why)

        self.database.write(change)
        return self._stored(deployment_id)

    def rollback(self, keys: Sequence[str], caller: Caller, *, to: str | None, why: str) -> Deployment:
        """Serve earlier revisions again, and hold those of now, so that sync does not bring them back.

        `keys`: these templates; []: all that differ. `to`: a deployment, a commit or (with `keys`) a version; None:
        what was served before. Raises NotFound, InvalidRequest, Conflict, StoreBusy.
        """
        self._require_source()
        _check_why(why)
        live, now_items = self._live()
        if unknown := [key for key in keys if key not in now_items]:
            raise NotFound(f"There is no template {unknown[0]!r}.")
        target, wanted = rollback.target_of(self.database, live, now_items, keys, to)
        order = rollback.Order(caller.name, why, self.clock())
        replacement = rollback.replacement(target or live, now_items, wanted, order, is_back=True)
        return self._serve(replacement, live, caller, why)

    def hold(
        self, key: str, caller: Caller, *, revision: str | None, why: str, until: datetime | None
    ) -> Deployment | None:
        """Keep a revision of a template from being served; None: that of now, which goes back to the one before.

        Returns the deployment that serves the earlier revision; None where the held one is not served. Raises as
        `rollback`.
        """
        self._require_source()
        _check_why(why)
        now = self.clock()
        if until is not None and until <= now:
            raise InvalidRequest("A hold can't end in the past.", [Problem("/until", "in_the_past", "has passed")])
        live, now_items = self._live()
        item = now_items.get(key)
        served = item.revision if item is not None else None
        held = served if revision is None else self._revision_of(key, revision)
        if held is None:
            raise NotFound(f"There is no template {key!r} that is served.")
        if held == served:
            wanted = {key: rollback.earlier_revision(self.database, key, held)}
            order = rollback.Order(caller.name, why, now, until)
            replacement = rollback.replacement(live, now_items, wanted, order, is_back=True)
            return self._serve(replacement, live, caller, why)
        hold = Hold(key=key, revision=held, held_by=caller.name, why=why, since_at=now, held_until=until)

        def change(tx: Transaction) -> None:
            template_source.save_hold(tx, hold)
            self._note(tx, ActionKind.TEMPLATE_HELD, caller, key, why)

        self.database.write(change)
        return None

    def unhold(self, key: str, caller: Caller, *, revision: str | None) -> Deployment | None:
        """Lift the holds of a template, or that of one revision; what they kept out is served again at once.

        Returns the deployment that serves it; None where nothing waited. Raises as `rollback`.
        """
        self._require_source()
        found = [
            hold
            for hold in template_source.holds(self.database)
            if hold.key == key and (revision is None or hold.revision.startswith(revision))
        ]
        if not found:
            raise NotFound(f"No hold of {key!r} is there to be lifted.")
        live, now_items = self._live()
        lifted = {hold.revision for hold in found}
        item = now_items.get(key)
        serves: dict[str, str | None] = {}
        if item is not None and item.wanted_revision in lifted:
            serves = {key: item.wanted_revision}

        def change(tx: Transaction) -> None:
            for hold in found:
                template_source.end_hold(tx, hold.key, hold.revision)
            self._note(tx, ActionKind.TEMPLATE_HOLD_LIFTED, caller, key, None)
            if REMOVAL in lifted:  # the next look removes it
                template_source.note_judged(tx, None, look=template_source.status(tx).done_look)

        if not serves:
            self.database.write(change)
            return None
        why = "a hold was lifted"
        order = rollback.Order(caller.name, why, self.clock())
        replacement = rollback.replacement(live, now_items, serves, order, is_back=False)
        return self._serve(replacement, live, caller, why, change)

    def end_holds(self, caller: Caller) -> None:
        """Lift the holds whose end is past. Raises StoreBusy, Conflict."""
        now = self.clock()
        for hold in template_source.holds(self.database):
            if hold.held_until is not None and hold.held_until <= now:
                self.unhold(hold.key, caller, revision=hold.revision)

    def suspend(self, caller: Caller, *, why: str, until: datetime | None) -> None:
        """Let newer commits wait. Raises InvalidRequest, Conflict, StoreBusy."""
        self._require_source()
        _check_why(why)
        now = self.clock()
        if until is not None and until <= now:
            raise InvalidRequest("It can't end in the past.", [Problem("/until", "in_the_past", "has passed")])
        suspension = Suspension(by=caller.name, why=why, since_at=now, until=until)

        def change(tx: Transaction) -> None:
            template_source.suspend(tx, suspension)
            self._note(tx, ActionKind.SYNC_SUSPENDED, caller, None, why)

        self.database.write(change)

    def resume(self, caller: Caller) -> None:
        """Serve newer commits again, and look for them now. Raises Conflict, StoreBusy."""
        self._require_source()

        def change(tx: Transaction) -> None:
            template_source.suspend(tx, None)
            template_source.want_look(tx, Trigger.POLL, caller.name)
            self._note(tx, ActionKind.SYNC_RESUMED, caller, None, None)

        self.database.write(change)

    def _require_source(self) -> None:
        if not self.follows:
            raise Conflict(
                "Templates are served from a directory here: change its files, or follow a repository with"
                " EMAIL_TEMPLATES_GIT_URL."
            )

    def _live(self) -> tuple[Deployment, dict[str, DeploymentItem]]:
        live = deployments.live(self.database)
        if live is None:
            raise Conflict("Nothing is deployed yet.")
        return live, {item.key: item for item in deployments.items(self.database, live.id)}

    def _revision_of(self, key: str, beginning: str) -> str:
        if beginning == REMOVAL:
            return beginning
        found = [one.revision for one in revisions.versions(self.database, key) if one.revision.startswith(beginning)]
        if len(found) != 1:
            raise NotFound(f"{beginning!r} begins {'several revisions' if found else 'no revision'} of {key!r}.")
        return found[0]

    def _serve(
        self,
        replacement: Replacement,
        live: Deployment,
        caller: Caller,
        why: str,
        also: Callable[[Transaction], None] | None = None,
    ) -> Deployment:
        """Store and activate a deployment that serves other revisions, with its holds."""

        def change(tx: Transaction) -> None:
            if deployments.waiting(tx, since=live.created_at) is not None:
                # It was prepared against what is served no longer: the next look prepares the commit again.
                template_source.note_judged(tx, None, look=template_source.status(tx).done_look)
            deployments.add(tx, replacement.deployment, replacement.items)
            for hold in replacement.holds:
                template_source.save_hold(tx, hold)
            if also is not None:
                also(tx)
            else:
                self._note(tx, ActionKind.DEPLOYMENT_ROLLED_BACK, caller, replacement.deployment.id, why)
            self._activate(tx, replacement.deployment.id, live.id, caller, why)

        self.database.write(change)
        return self._stored(replacement.deployment.id)

    def _activate(self, tx: Transaction, deployment_id: str, live_id: str | None, caller: Caller, why: str) -> None:
        if not deployments.activate(
            tx, deployment_id, in_place_of=live_id, now=self.clock(), requested_by=caller.name, why=why
        ):
            raise Conflict("Something else was deployed at the same moment; look at it, and try again.")

    def _stored(self, deployment_id: str) -> Deployment:
        stored = deployments.get(self.database, deployment_id)
        if stored is None:
            raise NotFound(f"There is no deployment {deployment_id!r}.")
        return stored

    def _note(self, tx: Transaction, kind: ActionKind, caller: Caller, subject: str | None, why: str | None) -> None:
        admin_actions.note(tx, kind, caller, self.clock(), subject=subject, detail=why)


def _check_why(why: str) -> None:
    if not why.strip() or len(why) > _MAX_WHY:
        rule = f"a reason of 1 to {_MAX_WHY} characters"
        raise InvalidRequest("Say why.", [Problem("/why", "why", rule)])
