"""Build what the command's tools for templates need; nothing here needs a library of the extra `server`."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from service.config.settings import Settings
from service.isolation.child_processes import ChildProcesses
from service.templates import isolated_compiler
from service.templates.catalogue import Catalogue
from service.templates.directory_catalogue import DirectoryCatalogue
from service.templates.isolated_compiler import IsolatedCompiler
from service.templates.preview import Previewer
from service.templates.runtime.sandbox import RenderLimits
from service.templates.runtime.site import PHONE
from service.templates.site_values import OwnValues, SiteValues, own_values
from service.templates.source.remote_url import RemoteUrl


@contextmanager
def previewer_of_its_own(settings: Settings, environment: str | None = None) -> Iterator[Previewer]:
    """What renders previews, for a command that has no services; its child processes end with the block.

    The installation's values are those of `environment`; without it, declared examples stand for missing ones.
    """
    with closing(ChildProcesses([isolated_compiler.MODULE])) as children:
        values = site_values(settings, environment, fills_gaps=environment is None)
        yield Previewer(build_catalogue(settings, children, values=values), settings)


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
