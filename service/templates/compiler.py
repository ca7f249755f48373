"""The compiler: a template's files become a `Template`, or findings. An author's mistake never raises."""

import hashlib
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from typing import Any, Protocol

import structlog

from service.errors import RenderError
from service.templates.compilation import Compilation as Compilation
from service.templates.compile_variant import VariantSource, compile_variant
from service.templates.findings import CompileAborted, FindingCollector
from service.templates.front_matter.examples import read_examples
from service.templates.front_matter.manifest import FrontMatter, read_front_matter, read_overrides
from service.templates.front_matter.variables import VariablesCheck
from service.templates.jinja.loader import SourceLoader, without_front_matter
from service.templates.languages import LOCALE_FILE, languages_of
from service.templates.positions import Place, Source
from service.templates.runtime.filters import FILTERS_VERSION
from service.templates.runtime.sandbox import RenderLimits, author_environment
from service.templates.runtime.site import NO_SITE, Site
from service.templates.site_uses import SiteUse, SiteUses
from service.templates.site_values import DECLARATIONS, SiteValues
from service.templates.size_limits import MAX_LANGUAGES
from service.templates.source.files import Files
from service.templates.template import Template, Variant

#: Part of each revision: raise it with any change of the compiler that changes what a template prints.
COMPILER_VERSION = 3
#: More mistakes of one template are not reported.
_MAX_ERRORS = 200
_LIBRARIES = ("mjml-python", "premailer", "cssutils", "lxml", "Jinja2", "MarkupSafe", "babel")
_log = structlog.get_logger("templates")
_UNFILLED_PHONE = re.compile(r"\+\d{1,3}[ .-]?[Xx]{2}(?:[ .-]?[Xx])*")


class TemplateCompiler(Protocol):
    """Compiles templates; `isolated_compiler.py` does so in child processes. A template's text never makes it raise."""

    @property
    def limits(self) -> RenderLimits:
        """The limits of the renderings of what it compiles."""

    @property
    def values(self) -> SiteValues:
        """The values of the installation that templates may print."""

    def compile(self, files: Files, key: str) -> Compilation:
        """Compile the template in the folder `key`, for this installation.

        Raises TryLater if too much else is being compiled.
        """

    def compile_all(self, files: Files, keys: Collection[str]) -> Mapping[str, Compilation]:
        """Compile these templates, several at once, for this installation; never refused."""


def compile_template(files: Files, key: str, *, limits: RenderLimits) -> Compilation:
    """Compile the template in the folder `key`; the findings are in the order of the text.

    Its examples are rendered with the examples of the installation's values: the result is the same in each.
    """
    collector = FindingCollector(max_errors=_MAX_ERRORS)
    loader = SourceLoader(files, author_environment(), collector)
    loader.dependencies.update(files.folder(key))
    uses = SiteUses(loader)
    template = _compiled(loader, key, limits, uses)
    return Compilation(
        None if collector.has_errors else template,
        collector.findings,
        {path: files.digest(path) for path in sorted(loader.dependencies)},
        {name: _use(name, place, template) for name, place in uses.first.items()},
    )


def _use(name: str, place: Place, template: Template | None) -> SiteUse:
    """The use of a value: it is needed where the first example can't be rendered without it."""
    is_needed = False
    if template is not None and template.examples:
        without = template.with_site(Site({**template.site.values, name: ""}))
        try:
            without.render(next(iter(template.examples.values())))
        except RenderError:
            is_needed = True
    return SiteUse(place.file, place.line, place.column, is_needed)


def _compiled(loader: SourceLoader, key: str, limits: RenderLimits, site: SiteUses) -> Template | None:
    """The template; None where the compilation was aborted, for whatever reason, which is a finding."""
    start = Place(f"{key}/template.mjml", 1, 1)
    try:
        return _compile(loader, key, limits, site)
    except CompileAborted:
        return None
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of mrml is no Exception
        with suppress(CompileAborted):
            if isinstance(error, RecursionError):
                loader.collector.error(start, "too-deep", "the template is nested too deeply", "use fewer levels")
            else:
                _log.error("template_compiler_failed", key=key, error=type(error).__name__, exc_info=error)
                loader.collector.error(
                    start,
                    "compiler-error",
                    f"the compiler failed with {type(error).__name__}",
                    "this is a mistake of the compiler, which the log explains; report it",
                )
        return None


def _compile(loader: SourceLoader, key: str, limits: RenderLimits, site: SiteUses) -> Template | None:
    path = f"{key}/template.mjml"
    text = loader.read(path)
    if text is None:
        loader.collector.error(
            Place(path, 1, 1), "file-not-found", f"there is no file {path}", "a template's folder needs this file"
        )
        raise CompileAborted
    source = Source(path, text)
    front = _front_matter(source, loader.collector)
    schema = front.manifest.schema if front else None
    used: set[str] = set()
    variants: dict[str, Variant] = {}
    languages = languages_of(loader.files, key, text)
    if len(languages) > MAX_LANGUAGES:
        message = f"{len(languages)} languages; {MAX_LANGUAGES} are allowed"
        loader.collector.error(Place(path, 1, 1), "too-large", message, "make several templates of it")
        raise CompileAborted
    _report_unread(loader, key, languages)
    for language, path_of_language in languages.items():
        try:
            own_loader = loader.for_language()
            variant_source = _variant_source(own_loader, source, front, language, path_of_language)
            variants[language] = compile_variant(variant_source, own_loader, schema, used, limits, site)
        except CompileAborted:
            continue
    _report_placeholders(loader)
    if front is None:
        return None
    if len(variants) == len(languages):
        _report_unused(front, used, loader.collector)
    template_examples = _examples(loader, key, front, limits)
    if loader.collector.has_errors:
        return None
    template = Template(
        key=key,
        revision=_revision(loader, key),
        manifest=front.manifest,
        examples={name: values for name, (values, _) in template_examples.items()},
        locales=tuple(languages),
        source=loader.files.text(path),
        variants=variants,
        limits=limits,
        site_names=tuple(sorted(site.first)) if site.is_used else None,
        site=site.declared.examples if site.is_used else NO_SITE,
    )
    for name, (values, place) in template_examples.items():
        _render_example(template, name, values, place, loader.collector)
    if template_examples and not loader.collector.has_errors:
        _render_without_optional(template, next(iter(template_examples.values()))[0], front, loader.collector)
    return template


def _front_matter(source: Source, collector: FindingCollector) -> FrontMatter | None:
    """The front matter; None if it is wrong, so that the rest of the file is still checked."""
    try:
        return read_front_matter(source, collector)
    except CompileAborted:
        return None


def _report_unread(loader: SourceLoader, key: str, languages: Mapping[str, str]) -> None:
    """Warn about a file that is named like one language of the template and is never read."""
    default = next(iter(languages))
    for path in loader.files.folder(key):
        found = LOCALE_FILE.fullmatch(path.removeprefix(f"{key}/"))
        if found is None or languages.get(found[1]) == path or (found[2] == "txt" and found[1] in [*languages][1:]):
            continue
        if found[1] == default:
            why, hint = (
                f'"{default}" is the language of template.mjml',
                f"put it into template.{found[2]}, or delete it",
            )
        else:
            why, hint = (
                f"there is no template.{found[1]}.mjml beside it",
                "add that file, even an empty one, or delete it",
            )
        loader.collector.warning(Place(path, 1, 1), "unused-file", f"this file is never used: {why}", hint)


def _report_placeholders(loader: SourceLoader) -> None:
    """Warn about telephone numbers that were never filled in, in all files that the template is made of."""
    for path in sorted(loader.dependencies):
        text = loader.read(path) if path.endswith((".mjml", ".txt")) else None
        for found in _UNFILLED_PHONE.finditer(text or ""):
            place = Source(path, text or "").place(found.start())
            loader.collector.warning(
                place,
                "placeholder-value",
                f'"{found[0]}" is a placeholder',
                "write {{ site.phone }}, the number of the installation",
            )


def _variant_source(
    loader: SourceLoader, base: Source, front: FrontMatter | None, language: str, path: str
) -> VariantSource:
    """The texts of the language whose file is `path`; `base` is the template's own file, of the default language."""
    folder = base.path.removesuffix("/template.mjml")
    texts = dict(front.texts) if front else {}
    base_body = Source(base.path, without_front_matter(base.text))
    if path == base.path:
        return VariantSource(language, base_body, texts, f"{folder}/template.txt")
    text = loader.read(path) or ""
    texts |= read_overrides(Source(path, text), loader.collector)
    body = Source(path, without_front_matter(text))
    return VariantSource(language, body if body.text.strip() else base_body, texts, f"{folder}/template.{language}.txt")


def _report_unused(front: FrontMatter, used: set[str], collector: FindingCollector) -> None:
    for name in front.manifest.schema["properties"]:
        if name not in used:
            collector.warning(
                front.document.key_place(("variables", name)),
                "unused-variable",
                f'variable "{name}" is never used',
                "use it, or delete its declaration",
            )


def _examples(
    loader: SourceLoader, key: str, front: FrontMatter, limits: RenderLimits
) -> dict[str, tuple[Mapping[str, Any], Place]]:
    check = VariablesCheck(front.manifest.schema, limits.max_variables_bytes)
    return read_examples(key, front, loader, check)


def _render_example(
    template: Template, name: str, values: Mapping[str, Any], place: Place, collector: FindingCollector
) -> None:
    for locale in template.locales:
        try:
            template.render(values, locale=locale)
        except RenderError as error:
            finding = error.finding
            at = Place(finding.file, finding.line, finding.column) if finding.file else place
            collector.error(at, finding.code, f'example "{name}": {finding.message}', finding.hint)


def _render_without_optional(
    template: Template, example: Mapping[str, Any], front: FrontMatter, collector: FindingCollector
) -> None:
    """Render without the optional variables and warn if that fails: a caller may leave them out."""
    required = template.manifest.schema["required"]
    for locale in template.locales:
        try:
            template.render({name: value for name, value in example.items() if name in required}, locale=locale)
        except RenderError as error:
            finding = error.finding
            declared = front.document.key_place(("variables", error.variable or ""))
            place = Place(finding.file, finding.line, finding.column) if finding.file else declared
            collector.warning(
                place,
                "optional-not-guarded",
                f"rendering fails without the optional variables: {finding.message}",
                f"guard it with {{% if {error.variable or 'name'} %}}, give a default, or make it required",
            )


def _revision(loader: SourceLoader, key: str) -> str:
    """The digest of all in the repository that the rendered bytes depend on; examples are not part of it."""
    digest = hashlib.sha256(f"compiler {COMPILER_VERSION}, filters {FILTERS_VERSION}\n".encode())
    digest.update(library_versions().encode())
    for path in sorted(loader.dependencies):
        if path != DECLARATIONS and not path.startswith(f"{key}/examples/"):
            digest.update(f"{path}\0{loader.files.digest(path)}\n".encode())
    return digest.hexdigest()


@cache
def library_versions() -> str:
    """The versions of the libraries that may change the rendered bytes, one a line."""
    return "".join(f"{library} {version(library)}\n" for library in _LIBRARIES)
