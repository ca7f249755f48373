"""Build, compile and render small templates."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.errors import Finding
from service.templates.compiler import Compilation, compile_template
from service.templates.runtime.sandbox import RenderLimits
from service.templates.site_values import SiteValues
from service.templates.source.files import Files
from service.templates.template import Template

LIMITS = RenderLimits(max_output_bytes=2_000_000, max_steps=100_000)


@dataclass(frozen=True)
class DirectCompiler:
    """Compiles in the process of the test, where a debugger and the coverage see it."""

    limits: RenderLimits
    values: SiteValues = field(default_factory=SiteValues)

    def compile(self, files: Files, key: str) -> Compilation:
        return compile_template(files, key, limits=self.limits).installed(self.values.resolve(files))

    def compile_all(self, files: Files, keys: Collection[str]) -> Mapping[str, Compilation]:
        return {key: self.compile(files, key) for key in keys}


COMPILER = DirectCompiler(LIMITS)

VARIABLES = """\
  name: {type: string, example: "Zoé <b>&\\"'"}
  link: {type: string, example: "https://portal.example/a?x=1&y=2"}
  yes: {type: boolean, example: true}
  number: {type: integer, example: 3}
  color: {type: string, example: "#ff8800"}
  rows:
    type: array
    items: {type: object, properties: {label: string, url: string}}
    example: [{label: Café, url: "https://x.example/a?b=1&c=d"}, {label: "<Thé>", url: "https://x.example/b"}]
"""
VALUES: Mapping[str, Any] = {
    "name": "Zoé <b>&\"'",
    "link": "https://portal.example/a?x=1&y=2",
    "yes": True,
    "number": 3,
    "color": "#ff8800",
    "rows": [{"label": "Café", "url": "https://x.example/a?b=1&c=d"}, {"label": "<Thé>", "url": "https://x.example/b"}],
}
#: Values that take the other branch of each condition and loop.
OTHER_VALUES: Mapping[str, Any] = {**VALUES, "yes": False, "rows": []}


def front_matter(variables: str = VARIABLES, more: str = "") -> str:
    return (
        "---\nsubject: Objet\ndescription: Une description\ncategory: billing\nversion: 1\n"
        f"{more}variables:\n{variables}---\n"
    )


def document(body: str, head: str = "") -> str:
    return f'<mjml lang="fr">\n<mj-head>{head}</mj-head>\n<mj-body>\n{body}\n</mj-body>\n</mjml>\n'


def column(content: str, head: str = "") -> str:
    return document(f"<mj-section>\n<mj-column>\n{content}\n</mj-column>\n</mj-section>", head)


def text(content: str) -> str:
    return column(f"<mj-text>{content}</mj-text>")


def compiled(
    mjml: str, more_files: Mapping[str, str] | None = None, *, more: str = "", limits: RenderLimits = LIMITS
) -> Compilation:
    """Compile `mjml`; without front matter it gets one that declares `VARIABLES`."""
    source = mjml if mjml.lstrip("\ufeff").startswith("---") else front_matter(more=more) + mjml
    return compile_template(Files.of({"t/template.mjml": source, **(more_files or {})}), "t", limits=limits)


def template(
    mjml: str, more_files: Mapping[str, str] | None = None, *, more: str = "", limits: RenderLimits = LIMITS
) -> Template:
    compilation = compiled(mjml, more_files, more=more, limits=limits)
    assert compilation.template is not None, [str(finding) for finding in compilation.findings]
    return compilation.template


def errors(mjml: str, more_files: Mapping[str, str] | None = None, *, more: str = "") -> list[Finding]:
    return [finding for finding in compiled(mjml, more_files, more=more).findings if finding.is_error]


def html(content: str, **values: Any) -> str:
    """The HTML of an mj-text with this content."""
    return template(text(content)).render({**VALUES, **values}).html


def plain(mjml: str, more_files: Mapping[str, str] | None = None, **values: Any) -> str:
    return template(mjml, more_files).render({**VALUES, **values}).text
