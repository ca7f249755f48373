"""Build what deploys templates."""

import json
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from service.config.settings import Settings
from service.deployments.branch_publisher import BranchPublisher
from service.deployments.changes import DeploymentComparison
from service.deployments.commit_statuses import CommitStatuses
from service.deployments.control import DeploymentControl
from service.deployments.follower import Follower
from service.deployments.forge_client import ForgeClient
from service.deployments.history import DeploymentHistory
from service.deployments.prepare import Preparer
from service.deployments.presence import Presence, new_process_id
from service.deployments.preview_compiler import PreviewCompiler
from service.deployments.preview_links import PreviewLinks
from service.deployments.preview_reader import PreviewReader
from service.deployments.previews import PreviewRules, PreviewSyncer
from service.deployments.proposed_replay import ProposedReplay
from service.deployments.recorder import DirectoryRecorder
from service.deployments.replay import Replay
from service.deployments.requests import DeploymentRequests
from service.deployments.snapshot_check import SnapshotCheck
from service.deployments.status import DeploymentStatus
from service.deployments.syncer import Syncer, SyncRules
from service.errors import ConfigurationError, StoreBusy
from service.isolation.child_processes import ChildProcesses
from service.mail import addresses
from service.models import Caller, Scope, Trigger
from service.monitoring.deployment_details import DeploymentDetails
from service.store import template_source
from service.store.database import Database
from service.store.notifications import DEPLOYMENTS
from service.templates.build import Templates
from service.templates.build_tools import own_values_of, render_limits
from service.templates.cache import CompilationCache
from service.templates.incremental_compiler import IncrementalCompiler
from service.templates.mails import MailRenderer
from service.templates.runtime.site import Site
from service.templates.site_values import resolve_values
from service.templates.source.files import Files
from service.templates.source.forge import Forge
from service.templates.source.remote import remote_of
from service.templates.source.remote_url import RemoteUrl

__all__ = ["DEPLOYMENTS", "FOLLOW_EVERY_S", "Clocks", "Deployments", "build_deployments", "deployment_details"]

_log = structlog.get_logger("deployments")

#: Looking at the live deployment, seconds: what is activated is served by every process this much later at the latest.
FOLLOW_EVERY_S = 0.5
#: One fetch of a pull request: pictures apart, a repository of templates has a few MB.
MAX_PREVIEW_FETCH_BYTES = 64_000_000
#: By whom a hold is lifted whose end has come.
BY_ITSELF = Caller(id="sync", name="sync", scopes=frozenset({Scope.DEPLOY}), via="cli")


@dataclass(frozen=True, slots=True)
class Clocks:
    """The time of day, and seconds since the machine was started."""

    now: Callable[[], datetime]
    boottime_s: Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployments:
    """What serves, records and follows deployments. `syncer` and `preview_syncer` are None where a directory is served.

    `commit_statuses` is None where no forge is told. `process_id` names this process among those that serve.
    """

    database: Database
    deployment_status: DeploymentStatus
    deployment_control: DeploymentControl
    deployment_history: DeploymentHistory
    deployment_comparison: DeploymentComparison
    deployment_requests: DeploymentRequests
    proposed_replay: ProposedReplay
    served: Follower | DirectoryRecorder
    syncer: Syncer | None
    commit_statuses: CommitStatuses | None
    preview_syncer: PreviewSyncer | None
    preview_reader: PreviewReader
    preview_links: PreviewLinks
    process_id: str
    presence: Callable[[str], Presence]

    def sync(self, stopping: threading.Event) -> None:
        """Follow the repository, if no other process does, and lift holds whose end is past. Raises StoreBusy."""
        if self.syncer is not None and (self.syncer.step(stopping) or self.syncer.follows):
            self.deployment_control.end_holds(BY_ITSELF)

    def leave(self) -> None:
        """Give back the lease of the source and forget this process: others need not wait until it is missed."""
        try:
            self.database.write(lambda tx: template_source.leave(tx, self.process_id))
        except StoreBusy as error:
            _log.warning("store_busy", task="leave", reason=str(error))


def build_deployments(
    settings: Settings,
    database: Database,
    templates: Templates,
    children: ChildProcesses,
    clocks: Clocks,
    *,
    preview_keys: Sequence[bytes],
) -> Deployments:
    """Build for the source of the settings; the data directory has the mirror of a repository and what is compiled.

    `preview_keys` sign links of previews, the first of them, and verify them.

    Raises ConfigurationError where a forge is to be told and the settings don't say where it is.
    """
    clock = clocks.now
    follows = settings.email_templates_git_url is not None
    process_id = new_process_id()
    history = DeploymentHistory(database)
    control = DeploymentControl(database, follows, clock)
    catalogue = templates.catalogue
    served: Follower | DirectoryRecorder = (
        Follower(database, catalogue, render_limits(settings))
        if follows
        else DirectoryRecorder(database, catalogue, templates.revisions, settings.email_templates_dir, clock)
    )
    return Deployments(
        database=database,
        deployment_status=DeploymentStatus(
            database, catalogue, settings.email_templates_git_interval_seconds if follows else None, clock
        ),
        deployment_control=control,
        deployment_history=history,
        deployment_comparison=DeploymentComparison(database, history),
        deployment_requests=DeploymentRequests(history, control),
        proposed_replay=ProposedReplay(
            templates.compiler,
            Replay(database, children, render_limits(settings)),
            settings.email_environment,
            clock,
            clocks.boottime_s,
        ),
        served=served,
        syncer=_syncer(settings, database, templates, children, clocks, process_id) if follows else None,
        commit_statuses=_commit_statuses(settings, database, clocks, process_id),
        preview_syncer=_preview_syncer(settings, database, templates, clocks, process_id) if follows else None,
        preview_reader=PreviewReader(
            database,
            templates.proposed_templates,
            templates.archived_templates,
            is_on=settings.email_templates_previews is not None,
        ),
        preview_links=PreviewLinks(
            database, templates.proposed_templates, preview_keys, settings.email_public_url, clock
        ),
        process_id=process_id,
        presence=lambda role: Presence(database, catalogue, process_id, role, clock),
    )


def _syncer(
    settings: Settings,
    database: Database,
    templates: Templates,
    children: ChildProcesses,
    clocks: Clocks,
    process_id: str,
) -> Syncer:
    clock, data_dir = clocks.now, settings.email_data_dir
    limits = render_limits(settings)
    compiler = IncrementalCompiler(templates.compiler, CompilationCache(data_dir / "compiled", limits))

    def resolve(files: Files) -> tuple[Site, Mapping[str, str], list[str]]:
        site, findings = resolve_values(files, settings.email_environment, own_values_of(settings))
        return site, site.values, [str(finding) for finding in findings if finding.is_error]

    return Syncer(
        database=database,
        remote=remote_of(settings, data_dir),
        preparer=Preparer(
            database,
            compiler,
            Replay(database, children, limits),
            SnapshotCheck(MailRenderer(children, limits), is_required=settings.email_templates_require_snapshots),
            refuses_broken=settings.email_templates_on_error == "refuse",
            clock=clock,
        ),
        rules=SyncRules(
            interval_s=settings.email_templates_git_interval_seconds,
            is_manual=settings.email_templates_git_sync == "manual",
            needs_signature=settings.email_templates_git_signers is not None,
            judged_with=lambda: _judged_with(settings),
        ),
        resolve=resolve,
        owner=process_id,
        gives_way=True,
        clock=clock,
        monotonic_s=clocks.boottime_s,
        rng=random.Random(),  # noqa: S311  # spreads looks in time
    )


def _judged_with(settings: Settings) -> Mapping[str, str]:
    own = own_values_of(settings)
    # What is not asked for is left out, so that a new setting makes no commit be judged again.
    required = {"require_snapshots": "yes"} if settings.email_templates_require_snapshots else {}
    return {
        **required,
        "on_error": settings.email_templates_on_error,
        "environment": settings.email_environment,
        "values": json.dumps([dict(own.values), [str(one) for one in own.findings]], sort_keys=True),
    }


def _preview_syncer(
    settings: Settings, database: Database, templates: Templates, clocks: Clocks, process_id: str
) -> PreviewSyncer:
    pattern, data_dir = settings.email_templates_previews, settings.email_data_dir
    remote = replace(
        remote_of(settings, data_dir),
        mirror=data_dir.resolve() / "previews.git",
        max_fetch_bytes=MAX_PREVIEW_FETCH_BYTES,
    )
    interval_s = settings.email_templates_git_interval_seconds
    return PreviewSyncer(
        database=database,
        remote=remote,
        compiler=PreviewCompiler(
            database,
            remote,
            templates.compiler,
            CompilationCache(data_dir / "compiled", render_limits(settings)),
            judged_with=lambda: _judged_with(settings),
            monotonic_s=clocks.boottime_s,
        ),
        rules=PreviewRules(pattern, settings.email_templates_previews_max, interval_s) if pattern else None,
        forge=_forge_client(settings),
        owner=process_id,
        clock=clocks.now,
        monotonic_s=clocks.boottime_s,
        rng=random.Random(),  # noqa: S311  # spreads looks in time
    )


def _commit_statuses(settings: Settings, database: Database, clocks: Clocks, process_id: str) -> CommitStatuses | None:
    client = _forge_client(settings)
    if client is None:
        return None
    return CommitStatuses(
        database=database,
        client=client,
        source=str(client.url),
        name=f"rgz-email/{settings.email_environment}",
        pages_url=f"{settings.email_public_url.rstrip('/')}/admin/deployments",
        owner=process_id,
        clock=clocks.now,
        monotonic_s=clocks.boottime_s,
    )


def _forge_client(settings: Settings) -> ForgeClient | None:
    """The client of the forge that is told of commits; None where none is."""
    url, token_file = settings.email_templates_git_url, settings.email_templates_git_token_file
    if settings.email_templates_git_status == "off" or url is None or token_file is None:
        return None
    remote = RemoteUrl(url.get_secret_value())
    forge = Forge.of(remote, settings.email_templates_git_status)
    if forge is None:
        raise ConfigurationError(["EMAIL_TEMPLATES_GIT_URL names no repository of a forge"])
    return ForgeClient(forge, settings.email_templates_git_status_url or forge.api_url, remote, token_file)


def build_branch_publisher(
    settings: Settings,
    database: Database,
    templates: Templates,
    deployments: Deployments,
    clock: Callable[[], datetime],
) -> BranchPublisher | None:
    """Build what pushes changes to the repository that is followed; None where a directory is served."""
    if settings.email_templates_git_url is None:
        return None
    return BranchPublisher(
        remote=remote_of(settings, settings.email_data_dir),
        is_direct=settings.email_templates_push == "direct",
        catalogue=templates.catalogue,
        database=database,
        compiler=templates.compiler,
        mail_domain=addresses.parse(settings.smtp_from_email).domain,
        look=lambda caller: deployments.deployment_control.look(Trigger.PUBLISH, caller),
        clock=clock,
    )


def deployment_details(status: DeploymentStatus) -> DeploymentDetails:
    """What monitoring shows. Raises StoreBusy."""
    report = status.report()
    return DeploymentDetails(
        state=report.state,
        conditions={one.code: one.message for one in report.conditions},
        is_troubled=report.is_troubled,
        deployment_id=report.live.id if report.live else None,
        commit=report.live.commit.id if report.live and report.live.commit else None,
        live_at=report.live.live_at if report.live else None,
        fetched_at=report.source.fetched_at,
        holds=len(report.holds),
        processes=[(one.id, one.role, one.deployment_id) for one in report.serving],
    )
