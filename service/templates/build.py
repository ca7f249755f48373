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
from service.templates.authoring.publish_plan import PublishPlanner
from service.templates.authoring.publisher import Publisher
from service.templates.catalogue import Catalogue
from service.templates.compiler import TemplateCompiler
from service.templates.current_rows import CurrentRows
from service.templates.deployed_history import DeployedAuthors, DeployedHistory
from service.templates.descriptions import TemplateDescriber
from service.templates.directory_catalogue import DirectoryCatalogue
from service.templates.isolated_compiler import IsolatedCompiler
from service.templates.revisions import Revisions
from service.templates.runtime.sandbox import RenderLimits
from service.templates.runtime.site import Site
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
    publisher: Publisher
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
    archived = ArchivedTemplates(database, compiler.limits)
    lock = FileLock(data_dir / "publish.lock")
    domain = addresses.parse(settings.smtp_from_email).domain
    return Templates(
        catalogue=catalogue,
        compiler=compiler,
        revisions=revisions,
        archived_templates=archived,
        template_describer=TemplateDescriber(catalogue, database, archived, authors),
        template_history=DeployedHistory(database, compiler.limits) if is_deployed else TemplateHistory(root, compiler),
        drafts=TemplateDrafts(catalogue, compiler),
        publish_planner=PublishPlanner(root, catalogue, compiler),
        publisher=Publisher(root, catalogue, database, compiler, revisions, lock, domain, clock),
        current_rows=CurrentRows(database, catalogue, authors, clock),
    )


def build_catalogue(settings: Settings, children: ChildProcesses, *, cache_dir: Path | None = None) -> Catalogue:
    """Build and load the catalogue of EMAIL_TEMPLATES_DIR; `cache_dir` keeps what is compiled over restarts.

    With EMAIL_TEMPLATES_GIT_URL it is empty: what the live deployment serves is put into it.
    """
    if settings.email_templates_git_url is not None:
        return Catalogue(str(RemoteUrl(settings.email_templates_git_url.get_secret_value())))
    catalogue = DirectoryCatalogue(
        settings.email_templates_dir,
        compiler=template_compiler(settings, children),
        cache_dir=cache_dir,
        commit=settings.email_templates_commit,
    )
    catalogue.load()
    return catalogue


def template_compiler(settings: Settings, children: ChildProcesses) -> IsolatedCompiler:
    """Return what compiles templates in these child processes."""
    return IsolatedCompiler(children, render_limits(settings), site_of(settings))


def site_of(settings: Settings) -> Site:
    """Return the values of this installation that templates may print."""
    return Site(phone=settings.email_site_phone or "")


def render_limits(settings: Settings) -> RenderLimits:
    """Return the limits of one rendering."""
    return RenderLimits(
        max_output_bytes=settings.email_template_max_output_bytes,
        max_steps=settings.email_template_max_steps,
        max_variables_bytes=settings.email_max_variables_bytes,
    )
