"""Build what works with templates."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from service.config.file_lock import FileLock
from service.config.settings import Settings
from service.mail import addresses
from service.store.database import Database
from service.templates.authoring.draft import TemplateDrafts
from service.templates.authoring.history import TemplateHistory
from service.templates.authoring.publish_plan import PublishPlanner
from service.templates.authoring.publisher import Publisher
from service.templates.catalogue import Catalogue
from service.templates.descriptions import TemplateDescriber
from service.templates.revisions import Revisions
from service.templates.runtime.sandbox import RenderLimits
from service.templates.source.authors import Authors


@dataclass(frozen=True, slots=True, kw_only=True)
class Templates:
    """The catalogue, which serves templates, and what describes and changes them."""

    catalogue: Catalogue
    revisions: Revisions
    template_describer: TemplateDescriber
    template_history: TemplateHistory
    drafts: TemplateDrafts
    publish_planner: PublishPlanner
    publisher: Publisher


def build_templates(
    settings: Settings, database: Database, catalogue: Catalogue, data_dir: Path, clock: Callable[[], datetime]
) -> Templates:
    """Build around this catalogue; `data_dir` holds the lock of publishing."""
    root, limits = settings.email_templates_dir, render_limits(settings)
    authors = Authors(root)
    revisions = Revisions(authors)
    lock = FileLock(data_dir / "publish.lock")
    domain = addresses.parse(settings.smtp_from_email).domain
    return Templates(
        catalogue=catalogue,
        revisions=revisions,
        template_describer=TemplateDescriber(catalogue, database, limits, authors),
        template_history=TemplateHistory(root, limits),
        drafts=TemplateDrafts(catalogue, limits),
        publish_planner=PublishPlanner(root, catalogue, limits),
        publisher=Publisher(root, catalogue, database, limits, revisions, lock, domain, clock),
    )


def build_catalogue(settings: Settings, *, cache_dir: Path | None = None) -> Catalogue:
    """Build and load the catalogue of EMAIL_TEMPLATES_DIR; `cache_dir` keeps what is compiled over restarts."""
    catalogue = Catalogue(settings.email_templates_dir, limits=render_limits(settings), cache_dir=cache_dir)
    catalogue.load()
    return catalogue


def render_limits(settings: Settings) -> RenderLimits:
    """Return the limits of one rendering."""
    return RenderLimits(
        max_output_bytes=settings.email_template_max_output_bytes,
        max_steps=settings.email_template_max_steps,
        max_variables_bytes=settings.email_max_variables_bytes,
    )
