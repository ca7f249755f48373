"""Prometheus exporter: counters of all processes of this machine, and gauges of the database and the templates.

Prometheus scrapes the API, but workers are processes of their own. So each process counts for itself, a worker writes
its counters to a file in EMAIL_DATA_DIR every few seconds, and the API exports them beside its own, told apart by the
label `process`. Gauges of the database (queue length, lateness) are exported once for all processes.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from service.errors import StoreBusy
from service.models import REVISION_DIGITS
from service.monitoring.deployment_details import STATES, DeploymentDetails
from service.monitoring.metrics import Metrics
from service.monitoring.template_stats import TemplateStats
from service.store import leases, queue_stats, sla
from service.store.database import Database
from service.templates.catalogue import Catalogue

#: The gauges of the database are cached for this long, so that frequent scrapes don't load it.
STATE_FOR_S = 5.0
#: How often a worker writes its counters; a file three times as old belongs to a worker that has ended.
SNAPSHOT_EVERY_S = 5.0
_STALE_S = 3 * SNAPSHOT_EVERY_S
_FORGET_S = 3_600.0

#: Metrics whose labels name templates, or what a company deploys.
_BY_TEMPLATE = ("rgz_email_template_", "rgz_email_sla_", "rgz_email_deployment_info")

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(slots=True)
class _Cache:
    """The cached gauges of the database, and when they were read, seconds of the monotonic clock."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    families: list[Metric] = field(default_factory=list)
    at_s: float = float("-inf")


@dataclass(frozen=True, slots=True)
class MetricsExporter:
    """Exports this process, the snapshots of workers in `directory`, the database and the templates.

    `paused_for_s` is `Transport.paused_for_s` of this process.
    """

    metrics: Metrics
    database: Database
    catalogue: Catalogue
    template_stats: TemplateStats
    paused_for_s: Callable[[], float]
    deployment_details: Callable[[], DeploymentDetails]
    directory: Path
    clock: Callable[[], datetime]
    cache: _Cache = field(default_factory=_Cache)

    def exposition(self, *, with_details: bool) -> bytes:
        """The Prometheus text format. Names of templates are details: they say what a company does.

        While the database is unreachable, `rgz_email_database_up` is 0 and its gauges are left out.
        """
        self.metrics.paused(self.paused_for_s())
        state = self._cached_gauges()
        families = [*state, *self._template_gauges(), *self._revision_gauges()]
        shown = families if with_details else [_summed(one) for one in families]
        registry = CollectorRegistry()
        registry.register(_Fixed([*self._process_metrics(), *shown]))
        return generate_latest(registry)

    def write_snapshot(self) -> None:
        """Write this worker's counters to its file, for the API to export. Raises OSError."""
        self.metrics.paused(self.paused_for_s())
        self.directory.mkdir(mode=0o700, exist_ok=True)
        registry = CollectorRegistry()
        registry.register(_Fixed(self.metrics.families()))
        draft = self._own_file().with_suffix(".draft")
        draft.touch(mode=0o600)
        draft.write_bytes(generate_latest(registry))
        draft.replace(self._own_file())

    def remove_snapshot(self) -> None:
        """Delete this worker's file, when it ends."""
        self._own_file().unlink(missing_ok=True)

    def _own_file(self) -> Path:
        return self.directory / f"worker-{os.getpid()}.prom"

    def _process_metrics(self) -> list[Metric]:
        own = f"process-{os.getpid()}"
        processes = [(own, self.metrics.families()), *((name, list(found)) for name, found in self._worker_snapshots())]
        merged: dict[str, Metric] = {}
        for process, families in processes:
            for family in families:
                if family.name.endswith("_created"):
                    continue
                into = merged.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    if not sample.name.endswith("_created"):
                        into.add_sample(sample.name, {**sample.labels, "process": process}, sample.value)
        return list(merged.values())

    def _worker_snapshots(self) -> Iterator[tuple[str, Iterable[Metric]]]:
        for file in sorted(self.directory.glob("worker-*.prom")):
            try:
                age_s = time.time() - file.stat().st_mtime
                if age_s <= _STALE_S and file != self._own_file():
                    yield file.stem, text_string_to_metric_families(file.read_text(encoding="utf-8"))
                elif age_s > _FORGET_S:
                    file.unlink(missing_ok=True)
            except FileNotFoundError:  # its worker has just ended
                continue

    def _cached_gauges(self) -> list[Metric]:
        with self.cache.lock:
            if time.monotonic() - self.cache.at_s > STATE_FOR_S:
                self.cache.families = list(self._database_gauges())
                self.cache.at_s = time.monotonic()
            return self.cache.families

    def _database_gauges(self) -> Iterator[Metric]:
        try:
            yield from [*self._read_database(), _gauge("database_up", "Whether the database answers.", {(): 1})]
        except StoreBusy:
            yield _gauge("database_up", "Whether the database answers.", {(): 0})

    def _read_database(self) -> Iterator[Metric]:
        now = self.clock()
        waiting = {
            (one.priority.value, "retry" if one.tried else "new"): one.count
            for one in queue_stats.queued(self.database)
        }
        yield _gauge(
            "queued", "Queued messages, scheduled ones included, by priority and kind.", waiting, "priority", "kind"
        )
        yield _gauge("sending", "Messages that a worker holds a lease of.", {(): queue_stats.sending(self.database)})
        due_at = leases.next_due_at(self.database)
        late_s = max((now - due_at).total_seconds(), 0.0) if due_at else 0.0
        yield _gauge("oldest_due_seconds", "Age of the oldest due message, seconds.", {(): late_s})
        recent = {(status.value,): count for status, count in queue_stats.recent(self.database, now=now).items()}
        yield _gauge("recent", "Messages accepted within the last hour, by status.", recent, "status")
        kept = sla.stats_since(self.database, now=now, since=now - timedelta(days=1))
        promised = {(one.template_key,): one.promised for one in kept}
        late = {(one.template_key,): one.late for one in kept}
        yield _gauge(
            "sla_promised", "Messages with an SLA that was due in the last day, by template.", promised, "template"
        )
        yield _gauge(
            "sla_late", "Messages that missed an SLA that was due in the last day, by template.", late, "template"
        )
        yield from self._deployment_gauges()

    def _deployment_gauges(self) -> Iterator[Metric]:
        deployed = self.deployment_details()
        states = {(state,): int(state in deployed.conditions) for state in STATES}
        yield _gauge("deployment_state", "1 for each state of the templates' source that holds.", states, "state")
        info = {(deployed.deployment_id or "", deployed.commit or ""): 1}
        yield _gauge("deployment_info", "The live deployment and its commit.", info, "deployment", "commit")
        if deployed.live_at is not None:
            live_at_s = deployed.live_at.timestamp()
            yield _gauge("deployment_live_timestamp_seconds", "When the live deployment went live.", {(): live_at_s})
        if deployed.fetched_at is not None:
            age_s = (self.clock() - deployed.fetched_at).total_seconds()
            yield _gauge("source_fetch_age_seconds", "Seconds since the repository was last fetched.", {(): age_s})
        yield _gauge("template_holds", "Revisions of templates that are held.", {(): deployed.holds})
        behind = sum(1 for _, _, one in deployed.processes if one != deployed.deployment_id)
        yield _gauge("deployment_processes_behind", "Processes that serve another deployment.", {(): behind})

    def _template_gauges(self) -> Iterator[Metric]:
        entries = self.catalogue.current.entries
        errors = {(key,): sum(one.is_error for one in entry.findings) for key, entry in entries.items()}
        warnings = {(key,): len(entry.findings) - errors[(key,)] for key, entry in entries.items()}
        broken = {(key,): int(entry.is_degraded) for key, entry in entries.items()}
        yield _gauge("templates", "Templates in the catalogue.", {(): len(entries)})
        age_s = self.catalogue.watch_age_s
        if age_s is not None:
            yield _gauge(
                "templates_watch_age_seconds",
                "Seconds since the watch of the template directory last looked, which it does twice a second.",
                {(): age_s},
            )
        yield _gauge(
            "template_broken",
            "1 while a template's files do not compile and an earlier revision, or none, is served.",
            broken,
            "template",
        )
        yield _gauge("template_errors", "Errors in a template's files.", errors, "template")
        yield _gauge("template_warnings", "Warnings about a template's files.", warnings, "template")

    def _revision_gauges(self) -> Iterator[Metric]:
        """Figures of the revisions that are served now; of earlier ones only the API and the pages tell."""
        counted = self.template_stats.get()
        if counted is None:
            return
        served = {
            (key, entry.template.revision[:REVISION_DIGITS]): counted.by_revision.get(entry.template.revision)
            for key, entry in self.catalogue.current.entries.items()
            if entry.template is not None
        }
        for name, help_text in _REVISION_FIGURES.items():
            values = {labels: getattr(figures, name) if figures else 0 for labels, figures in served.items()}
            yield _gauge(f"template_revision_{name}", f"{help_text}, by live revision.", values, "template", "revision")


_REVISION_FIGURES = {
    "sent": "Messages of the last 30 days that the relay took",
    "bounced": "Messages of the last 30 days that bounced",
    "complaints": "Messages of the last 30 days that were complained about",
    "refused": "Send requests of the last 30 days that were answered with 422",
}


class _Fixed(Collector):
    """A collector of given metrics."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _gauge(name: str, help_text: str, values: Mapping[Any, float], *labels: str) -> GaugeMetricFamily:
    """A gauge; `values` has a tuple of label values for each sample."""
    family = GaugeMetricFamily(f"rgz_email_{name}", help_text, labels=labels)
    for label_values, value in sorted(values.items()):
        family.add_metric(label_values, value)
    return family


def _summed(family: Metric) -> Metric:
    """The metric without labels that are details: its samples are added up."""
    if not family.name.startswith(_BY_TEMPLATE):
        return family
    total = GaugeMetricFamily(family.name, family.documentation)
    total.add_metric((), sum(sample.value for sample in family.samples))
    return total
