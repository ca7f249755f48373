"""Build what works with templates."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from service.config.file_lock import FileLock
from service.config.settings import Settings
from service.isolation.child_processes import ChildProcesses
from service.mail import addresses
from service.store.database import Database
from service.templates.archived_templates import ArchivedTemplates
from service.templates.authoring.draft import TemplateDrafts
from service.templates.authoring.history import History, TemplateHistory
from service.templates.authoring.publish_plan import PublishPlanner, Target
from service.templates.authoring.publisher import Publisher, TemplatePublisher
from service.templates.catalogue import Catalogue
from service.templates.compiler import TemplateCompiler
from service.templates.current_rows import CurrentRows
from service.templates.deployed_history import DeployedAuthors, DeployedHistory
from service.templates.descriptions import TemplateDescriber
from service.templates.directory_catalogue import DirectoryCatalogue
from service.templates.isolated_compiler import IsolatedCompiler
from service.templates.revisions import Revisions
from service.templates.runtime.sandbox import RenderLimits
from service.templates.runtime.site import PHONE, Site
from service.templates.site_values import OwnValues, SiteValues, own_values
from service.templates.source.authors import Authors, AuthorSource
from service.templates.source.remote_url import RemoteUrl


@dataclass(frozen=True, slots=True, kw_only=True)
class Templates:
    """The catalogue, which serves templates, and what describes and changes them."""

    catalogue: Catalogue
    compiler: TemplateCompiler
    revisions: Revisions
    archived_templates: ArchivedTemplates
    template_describer: TemplateDescriber
    template_history: History
    drafts: TemplateDrafts
    publish_planner: PublishPlanner
    publisher: TemplatePublisher
    current_rows: CurrentRows


def build_templates(
    settings: Settings,
    database: Database,
    catalogue: Catalogue,
    children: ChildProcesses,
    data_dir: Path,
    clock: Callable[[], datetime],
) -> Templates:
    """Build around this catalogue; `data_dir` holds the lock of publishing."""
    root, compiler = settings.email_templates_dir, template_compiler(settings, children)
    is_deployed = settings.email_templates_git_url is not None
    authors: AuthorSource = DeployedAuthors(database) if is_deployed else Authors(root)
    revisions = Revisions(authors)

    def site() -> Site:
        return catalogue.current.site

    archived = ArchivedTemplates(database, compiler.limits, site)
    lock = FileLock(data_dir / "publish.lock")
    domain = addresses.parse(settings.smtp_from_email).domain
    return Templates(
        catalogue=catalogue,
        compiler=compiler,
        revisions=revisions,
        archived_templates=archived,
        template_describer=TemplateDescriber(catalogue, database, archived, authors),
        template_history=DeployedHistory(database, compiler.limits, site)
        if is_deployed
        else TemplateHistory(root, compiler),
        drafts=TemplateDrafts(catalogue, compiler),
        publish_planner=PublishPlanner(root, catalogue, compiler, push_target(settings)),
        publisher=Publisher(root, catalogue, database, compiler, revisions, lock, domain, clock),
        current_rows=CurrentRows(database, catalogue, authors, clock),
    )


def push_target(settings: Settings) -> Target | None:
    """Where changes are pushed to; None where they are written to EMAIL_TEMPLATES_DIR."""
    if settings.email_templates_git_url is None:
        return None
    is_direct = settings.email_templates_push == "direct"
    return Target("push" if is_direct else "new_branch", settings.email_templates_git_ref)


def build_catalogue(
    settings: Settings,
    children: ChildProcesses,
    *,
    cache_dir: Path | None = None,
    values: SiteValues | None = None,
) -> Catalogue:
    """Build and load the catalogue of EMAIL_TEMPLATES_DIR; `cache_dir` keeps what is compiled over restarts.

    `values` stand for those of this installation. With EMAIL_TEMPLATES_GIT_URL it is empty: what the live deployment
    serves is put into it.
    """
    if settings.email_templates_git_url is not None:
        return Catalogue(str(RemoteUrl(settings.email_templates_git_url.get_secret_value())))
    catalogue = DirectoryCatalogue(
        settings.email_templates_dir,
        compiler=template_compiler(settings, children, values),
        cache_dir=cache_dir,
        commit=settings.email_templates_commit,
    )
    catalogue.load()
    return catalogue


def template_compiler(
    settings: Settings, children: ChildProcesses, values: SiteValues | None = None
) -> IsolatedCompiler:
    """Return what compiles templates in these child processes, for this installation or for one with these values."""
    return IsolatedCompiler(children, render_limits(settings), values or site_values(settings))


def site_values(settings: Settings, environment: str | None = None, *, fills_gaps: bool = False) -> SiteValues:
    """Return the values of this installation, or as if it were of this environment.

    With `fills_gaps` the declared examples stand for missing ones.
    """
    root = settings.email_templates_dir
    is_beside = settings.email_templates_git_url is None and _is_inside_checkout(root)
    return SiteValues(
        environment or settings.email_environment,
        own_file=settings.email_template_values,
        values=_values_in_settings(settings),
        beside=root.parent / "values" if is_beside else None,
        fills_gaps=fills_gaps,
    )


def own_values_of(settings: Settings) -> OwnValues:
    """Return the values that the settings give, which win over those of the repository."""
    return own_values(settings.email_template_values, _values_in_settings(settings))


def _values_in_settings(settings: Settings) -> dict[str, str]:
    return {PHONE: settings.email_site_phone} if settings.email_site_phone else {}


def _is_inside_checkout(root: Path) -> bool:
    """Whether the directory above is part of the same git checkout."""
    above = root.absolute()
    return not (above / ".git").exists() and any((folder / ".git").exists() for folder in above.parents)


def render_limits(settings: Settings) -> RenderLimits:
    """Return the limits of one rendering."""
    return RenderLimits(
        max_output_bytes=settings.email_template_max_output_bytes,
        max_steps=settings.email_template_max_steps,
        max_variables_bytes=settings.email_max_variables_bytes,
    )
