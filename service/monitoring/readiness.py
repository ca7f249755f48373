"""Readiness: whether this service can accept and send messages, for `/readyz`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from service.errors import StoreBusy
from service.monitoring.deployment_details import DeploymentDetails
from service.store import leases, retention, sla
from service.store.database import Database
from service.templates.catalogue import Catalogue

#: The watch of the templates looks twice a second. Compiling 500 templates at once keeps it for half a minute.
_WATCH_LATE_S = 120.0


@dataclass(frozen=True, slots=True)
class ReadinessReport:
    """`unavailable`: requests fail; `degraded`: something works less well. `details` are for admins."""

    status: Literal["ready", "degraded", "unavailable"]
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Readiness:
    """Checks the database, the templates and the relay; `paused_for_s` is `Transport.paused_for_s`."""

    database: Database
    catalogue: Catalogue
    paused_for_s: Callable[[], float]
    deployment_details: Callable[[], DeploymentDetails]
    clock: Callable[[], datetime]

    def report(self) -> ReadinessReport:
        """Check everything. Never raises: an unreachable database is part of the report."""
        broken = {
            key: [str(finding) for finding in entry.findings if finding.is_error]
            for key, entry in self.catalogue.current.entries.items()
            if any(finding.is_error for finding in entry.findings)
        }
        paused_s, watch_age_s = self.paused_for_s(), self.catalogue.watch_age_s
        emptiness = self.catalogue.emptiness
        details: dict[str, Any] = {
            "no_templates": emptiness,
            "broken_templates": broken,
            "templates_watch_age_s": None if watch_age_s is None else round(watch_age_s, 1),
            "smtp_paused_s": round(max(paused_s, 0), 1),
        }
        try:
            due_at = leases.next_due_at(self.database)
            deployed = self.deployment_details()
        except StoreBusy as error:
            return ReadinessReport("unavailable", details | {"database": str(error)})
        late_s = max((self.clock() - due_at).total_seconds(), 0) if due_at else 0
        details["sla_24h"] = {
            item.template_key: {"promised": item.promised, "late": item.late}
            for item in sla.stats_since(self.database, now=self.clock(), since=self.clock() - timedelta(days=1))
        }
        details["oldest_due_s"] = round(late_s, 1)
        details["deployment"] = {
            "state": deployed.state,
            "conditions": deployed.conditions,
            "id": deployed.deployment_id,
            "commit": deployed.commit,
            "live_at": deployed.live_at.isoformat() if deployed.live_at else None,
            "holds": deployed.holds,
            "processes": [{"id": name, "role": role, "deployment_id": one} for name, role, one in deployed.processes],
        }
        last = retention.last_purge_at(self.database)
        details["purge"] = {
            "last_at": last.isoformat() if last else None,
            "is_scrubbed": not retention.is_unscrubbed(self.database),
        }
        if emptiness is not None:
            return ReadinessReport("unavailable", details)
        is_watch_late = watch_age_s is not None and watch_age_s > _WATCH_LATE_S
        is_worse = broken or paused_s > 0 or is_watch_late or deployed.is_troubled
        return ReadinessReport("degraded" if is_worse else "ready", details)
