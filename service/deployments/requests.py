"""Requests to deploy: a look at the repository, or a commit or deployment by its name."""

from dataclasses import dataclass

from service.deployments.control import DeploymentControl
from service.deployments.history import DeploymentHistory
from service.errors import Conflict, NotFound, Problem
from service.models import Caller, Deployment, DeploymentState, Trigger

#: The reason of an activation that came without one.
_NO_REASON = "requested by name"


@dataclass(frozen=True, slots=True)
class DeploymentRequests:
    """Decides what a request to deploy asks for, and asks `control` for it."""

    history: DeploymentHistory
    control: DeploymentControl

    def deploy(self, name: str | None, trigger: Trigger, caller: Caller, *, why: str | None = None) -> int | Deployment:
        """Serve the deployment or commit `name`; without one, or where the commit is new, look at the repository now.

        Returns the number of the request to look, or the deployment that is served. A look prepares what the ref names.
        Raises NotFound for an unknown deployment, Conflict for one that a check holds back, StoreBusy.
        """
        if name is None:
            return self.control.look(trigger, caller)
        try:
            found = self.history.find(name)
        except NotFound:
            if "-" in name:  # the id of a deployment, which no look would find
                raise
            return self.control.look(trigger, caller)
        return self.activate(found.id, caller, why=why or _NO_REASON, anyway=False)

    def activate(self, name: str, caller: Caller, *, why: str, anyway: bool) -> Deployment:
        """Serve a deployment; one that a check holds back only `anyway`.

        Raises NotFound, InvalidRequest, Conflict with each reason, StoreBusy.
        """
        found = self.history.find(name)
        if found.state is DeploymentState.HELD and not anyway:
            reasons = [Problem("", "held", line) for line in (found.reason or "").splitlines() if line.strip()]
            raise Conflict("A check holds this deployment back. It can be served anyway, with a reason.", reasons)
        return self.control.activate(found.id, caller, why=why)
