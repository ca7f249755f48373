"""Build what tells how the service stands."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from service.monitoring.deployment_details import DeploymentDetails
from service.monitoring.metrics import Metrics
from service.monitoring.overview import Overview
from service.monitoring.prometheus import MetricsExporter
from service.monitoring.readiness import Readiness
from service.monitoring.template_refusals import TemplateRefusals
from service.monitoring.template_stats import TemplateStats
from service.store.database import Database
from service.templates.catalogue import Catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitoring:
    """Metrics, readiness, the overview and figures of templates."""

    metrics: Metrics
    metrics_exporter: MetricsExporter
    readiness: Readiness
    overview: Overview
    template_stats: TemplateStats
    template_refusals: TemplateRefusals


@dataclass(frozen=True, slots=True)
class Counters:
    """What other packages count with; built before them."""

    metrics: Metrics
    template_refusals: TemplateRefusals


def build_monitoring(
    database: Database,
    catalogue: Catalogue,
    counters: Counters,
    clock: Callable[[], datetime],
    *,
    paused_for_s: Callable[[], float],
    deployment_details: Callable[[], DeploymentDetails],
    metrics_dir: Path,
) -> Monitoring:
    """Build; `paused_for_s` tells how long the relay is left alone, `metrics_dir` is shared with other processes."""
    metrics, template_stats = counters.metrics, TemplateStats(database, counters.template_refusals, clock)
    return Monitoring(
        metrics=metrics,
        metrics_exporter=MetricsExporter(
            metrics, database, catalogue, template_stats, paused_for_s, deployment_details, metrics_dir, clock
        ),
        readiness=Readiness(database, catalogue, paused_for_s, deployment_details, clock),
        overview=Overview(database, catalogue, paused_for_s, clock),
        template_stats=template_stats,
        template_refusals=counters.template_refusals,
    )
