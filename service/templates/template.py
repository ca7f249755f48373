"""A compiled template: immutable, thread-safe to render, and convertible to and from its archive form."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jinja2

from service.errors import ArchiveCorrupt, Problem, RenderError
from service.mail.addresses import AddressInvalid, parse_header
from service.models import Rendered
from service.templates.front_matter.manifest import Manifest
from service.templates.front_matter.variables import VariablesCheck, filler_for
from service.templates.plain_text import finish_text
from service.templates.runtime.program import Program, explain
from service.templates.runtime.sandbox import RenderLimits, Sandbox, sandbox_without_modules
from service.templates.runtime.site import NO_SITE, PHONE, SITE, Site

ARCHIVE_FORMAT = 1
#: Controls, line and paragraph separators, and the characters that turn the direction of text around (UAX #9).
_NOT_IN_HEADERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_DIRECTIONS = re.compile(r"[\u202a-\u202e\u2066-\u2069\u200e\u200f]")
_PEOPLE = ("from", "reply_to")


@dataclass(frozen=True)
class Variant:
    """One language of a template: programs named html, text, subject and, if the template sets them, from and reply_to.

    The modules are the files that Jinja imports, once for HTML and once for text.
    """

    language: str
    programs: Mapping[str, Program]
    html_modules: Mapping[str, Program] = field(default_factory=dict)
    text_modules: Mapping[str, Program] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The variant as JSON values."""
        named = {"programs": self.programs, "html_modules": self.html_modules, "text_modules": self.text_modules}
        return {
            "language": self.language,
            **{group: {name: program.as_json() for name, program in all_.items()} for group, all_ in named.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Variant":
        """The variant that `as_json` wrote."""
        groups = ({name: Program.from_json(one) for name, one in data[group].items()} for group in _GROUPS)
        return cls(data["language"], *groups)


_GROUPS = ("programs", "html_modules", "text_modules")


class _Runner:
    """Runs the programs of a variant. Jinja is compiled to Python at the first rendering."""

    def __init__(self, variant: Variant, limits: RenderLimits, site: Site) -> None:
        self.variant = variant
        html = {name: program.source for name, program in variant.html_modules.items()}
        text = {name: program.source for name, program in variant.text_modules.items()}
        self.sandbox = (
            Sandbox(limits, variant.language, html_modules=html, text_modules=text, site=site)
            if html or text
            else sandbox_without_modules(limits, variant.language)
        )
        self._compiled: dict[str, jinja2.Template] = {}

    def run(self, name: str, values: dict[str, Any]) -> str | None:
        """The output of a program; None if the variant has none of this name. Raises RenderError."""
        program = self.variant.programs.get(name)
        if program is None:
            return None
        if program.is_constant:
            return program.source
        environment = self.sandbox.html if name == "html" else self.sandbox.text
        try:
            return environment.render(self._compiled.get(name) or self._compile(name), values)
        except RenderError:
            raise
        except Exception as error:
            modules = self.variant.html_modules if name == "html" else self.variant.text_modules
            raise explain(error, program, modules, f"{name} part" if name in ("html", "text") else name) from error

    def prepare(self) -> None:
        """Compile what is not compiled yet."""
        for name, program in self.variant.programs.items():
            if not program.is_constant and name not in self._compiled:
                # Not `compiled`: its cache would keep the programs of revisions that are served no more.
                environment = self.sandbox.html if name == "html" else self.sandbox.text
                self._compiled[name] = environment.from_string(program.source)

    def _compile(self, name: str) -> jinja2.Template:
        environment = self.sandbox.html if name == "html" else self.sandbox.text
        compiled = self._compiled[name] = environment.compiled(self.variant.programs[name].source)
        return compiled

    def person(self, name: str, values: dict[str, Any]) -> str | None:
        """The output of an address header, parsed to check it. Raises RenderError for an invalid address."""
        written = _header(self.run(name, values))
        if not written:
            return None
        try:
            parse_header(written)
        except AddressInvalid as error:
            raise explain(error, self.variant.programs[name], {}, name) from error
        return written


@dataclass(frozen=True)
class Template:
    """A compiled template. `locales` begins with the default; `commit` and `dirty` are of the checkout.

    `site_names` are the values of the installation that it may print (None: not known, as in old archives), and `site`
    is what they are here. They are no part of revision or archive; what an old archive holds fills gaps.
    """

    key: str
    revision: str
    manifest: Manifest
    examples: Mapping[str, Mapping[str, Any]]
    locales: tuple[str, ...]
    source: str
    variants: Mapping[str, Variant] = field(repr=False)
    limits: RenderLimits
    site_names: tuple[str, ...] | None = None
    site: Site = NO_SITE
    archived_site: Site = NO_SITE
    commit: str | None = None
    dirty: bool = False

    def __post_init__(self) -> None:
        self._set_site(self.site)
        object.__setattr__(self, "_filler", filler_for(self.manifest.schema))

    @cached_property
    def _check(self) -> VariablesCheck:
        return VariablesCheck(self.manifest.schema, self.limits.max_variables_bytes)

    def _set_site(self, site: Site) -> None:
        """Take these values. What is compiled stays, but for templates that import: imported files see them too."""
        names = self.site_names if self.site_names is not None else (PHONE,)
        printed = site.over(self.archived_site).over(Site(dict.fromkeys(names, "")))
        known = self.__dict__.get("_runners", {})
        runners = {
            locale: known[locale]
            if locale in known and not (variant.html_modules or variant.text_modules)
            else _Runner(variant, self.limits, printed)
            for locale, variant in self.variants.items()
        }
        self.__dict__.update(site=site, _runners=runners, _printed=printed.values)

    def with_site(self, site: Site) -> "Template":
        """A copy for an installation with these values; the same object if it has them."""
        if site == self.site:
            return self
        same = object.__new__(Template)
        same.__dict__.update(self.__dict__)
        same._set_site(site)
        return same

    def at(self, commit: str | None, *, dirty: bool) -> "Template":
        """A copy with another commit, which shares everything compiled."""
        same = object.__new__(Template)
        same.__dict__.update(self.__dict__, commit=commit, dirty=dirty)
        return same

    def problems(self, variables: Mapping[str, Any]) -> list[Problem]:
        """Every mistake in these variables, with pointers relative to them; [] if they are valid."""
        return self._check.problems(variables)

    def render(self, variables: Mapping[str, Any], *, locale: str | None = None) -> Rendered:
        """Render the template with these variables; defaults are filled in.

        An unknown locale falls back to its language (fr-BJ to fr), then to the default; `Rendered.locale` says which
        was used. Raises RenderError, with the position, if the template refuses the values or exceeds its limits.
        """
        chosen = self._locale(locale)
        runner = self._runners[chosen]  # type: ignore[attr-defined]
        fill = self._filler  # type: ignore[attr-defined]
        values = {SITE: self._printed, **(fill(dict(variables)) if fill else variables)}  # type: ignore[attr-defined]
        runner.sandbox.start()
        html = runner.run("html", values)
        text = finish_text(runner.run("text", values))
        subject = _header(runner.run("subject", values))
        from_header, reply_to = (runner.person(name, values) for name in _PEOPLE)
        return Rendered(subject or "", html, text, chosen, from_header, reply_to)

    def prepare(self) -> None:
        """Compile Jinja to Python now, so that the next rendering does not: that takes 20 ms, a rendering 0.1 ms."""
        for runner in self._runners.values():  # type: ignore[attr-defined]
            runner.prepare()

    def _locale(self, wanted: str | None) -> str:
        if wanted is None:
            return self.locales[0]
        tag = wanted.replace("_", "-")
        for candidate in (tag, tag.split("-", 1)[0]):
            for locale in self.locales:
                if locale.lower() == candidate.lower():
                    return locale
        return self.locales[0]

    @property
    def size_bytes(self) -> int:
        """About the memory it takes once it has rendered: compiled to Python, its Jinja is ten times as large."""
        groups = [
            group
            for variant in self.variants.values()
            for group in (variant.programs, variant.html_modules, variant.text_modules)
        ]
        return len(self.source) + 10 * sum(len(program.source) for group in groups for program in group.values())

    def archive(self) -> bytes:
        """The archive form, which renders without compiling: deterministic JSON in UTF-8, without the commit."""
        data = {
            "format": ARCHIVE_FORMAT,
            "key": self.key,
            "revision": self.revision,
            "manifest": self.manifest.as_json(),
            "examples": self.examples,
            "locales": self.locales,
            "source": self.source,
            "variants": {locale: variant.as_json() for locale, variant in self.variants.items()},
        }
        if self.site_names is not None:
            data["site_names"] = self.site_names
        if self.archived_site != NO_SITE:
            data["site"] = self.archived_site.values
        return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8")

    @classmethod
    def from_archive(cls, data: bytes, *, limits: RenderLimits) -> "Template":
        """The template that `archive` wrote; no MJML is compiled. Raises ArchiveCorrupt for other bytes."""
        try:
            stored = json.loads(data)
            if stored["format"] != ARCHIVE_FORMAT:
                raise ArchiveCorrupt(f"an archived template has the format {stored['format']}, not {ARCHIVE_FORMAT}")
            return cls(
                key=stored["key"],
                revision=stored["revision"],
                manifest=Manifest.from_json(stored["manifest"]),
                examples=stored["examples"],
                locales=tuple(stored["locales"]),
                source=stored["source"],
                variants={locale: Variant.from_json(one) for locale, one in stored["variants"].items()},
                limits=limits,
                site_names=tuple(stored["site_names"]) if "site_names" in stored else None,
                archived_site=Site(stored.get("site", {})),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArchiveCorrupt("the archived template can't be read") from error


def _header(text: str | None) -> str | None:
    """A header value on one line: controls become spaces, direction marks go, "=?" (RFC 2047) is broken up."""
    if text is None:
        return None
    if text.isprintable() and "=?" not in text:
        return text.strip()
    text = _DIRECTIONS.sub("", _NOT_IN_HEADERS.sub(" ", text))
    return " ".join(text.split(" ")).replace("=?", "= ?").strip()
