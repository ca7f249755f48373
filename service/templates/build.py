"""Build what serves templates, and what describes and changes them."""

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
from service.templates.build_tools import template_compiler
from service.templates.catalogue import Catalogue
from service.templates.compiler import TemplateCompiler
from service.templates.current_rows import CurrentRows
from service.templates.deployed_history import DeployedAuthors, DeployedHistory
from service.templates.descriptions import TemplateDescriber
from service.templates.proposed_templates import ProposedTemplates
from service.templates.revisions import Revisions
from service.templates.runtime.site import Site
from service.templates.source.authors import Authors, AuthorSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Templates:
    """The catalogue, which serves templates, and what describes and changes them."""

    catalogue: Catalogue
    compiler: TemplateCompiler
    revisions: Revisions
    archived_templates: ArchivedTemplates
    proposed_templates: ProposedTemplates
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
        proposed_templates=ProposedTemplates(
            database, catalogue, compiler.limits, is_on=settings.email_templates_previews is not None
        ),
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
