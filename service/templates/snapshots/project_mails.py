"""The mails of a template directory as they are rendered now, template by template, each compiled once."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from service.errors import Finding
from service.isolation.child_processes import ChildProcesses
from service.templates import isolated_compiler, mails
from service.templates.findings import FindingCollector
from service.templates.front_matter.expectations import Expected, read_expectations
from service.templates.front_matter.manifest import Manifest
from service.templates.isolated_compiler import IsolatedCompiler
from service.templates.mails import MailRenderer, RenderedMail
from service.templates.runtime.sandbox import RenderLimits
from service.templates.site_values import SiteValues, declared_examples
from service.templates.snapshots.expectations import unmet
from service.templates.source.files import Files
from service.templates.template import Template


@dataclass(frozen=True, slots=True)
class TemplateMails:
    """The mails of a template, or errors: why it has none."""

    manifest: Manifest | None
    mails: Sequence[RenderedMail] = ()
    errors: Sequence[Finding] = ()
    expected: Mapping[str, Sequence[Expected]] = field(default_factory=dict)

    def unmet(self, one: RenderedMail) -> list[Finding]:
        """What the mail does not say as its example's expectations have it."""
        expected = self.expected.get(one.mail.example, ())
        return unmet(expected, one.mail, one.rendered) if one.rendered else []


@dataclass(frozen=True)
class ProjectMails:
    """Compiles and renders the templates of these files with the declared examples of the installation's values."""

    files: Files
    compiler: IsolatedCompiler
    renderer: MailRenderer
    _known: dict[str, TemplateMails] = field(default_factory=dict, init=False)

    def of(self, key: str) -> TemplateMails:
        """The mails of a template. One that crashes or loops has errors, and so has one that is not there."""
        if key not in self._known:
            self._known[key] = self._made(key)
        return self._known[key]

    def _made(self, key: str) -> TemplateMails:
        compilation = self.compiler.compile_all(self.files, [key])[key]
        # Not what an installation makes of it: mails are recorded with the declared examples.
        bare = compilation.bare or compilation
        if bare.template is None:
            return TemplateMails(None, errors=[one for one in bare.findings if one.is_error])
        template = bare.template
        rendered = self.renderer.render(template, declared_examples(self.files))
        return TemplateMails(template.manifest, rendered, expected=_expected(self.files, template))


@contextmanager
def project_mails(files: Files, limits: RenderLimits) -> Iterator[ProjectMails]:
    """The mails of these files; the child processes that compile and render end with the block."""
    with closing(ChildProcesses([isolated_compiler.MODULE, mails.MODULE])) as children:
        children.start()
        compiler = IsolatedCompiler(children, limits, SiteValues(fills_gaps=True))
        yield ProjectMails(files, compiler, MailRenderer(children, limits))


def _expected(files: Files, template: Template) -> Mapping[str, Sequence[Expected]]:
    # Mistakes in these files are errors of the compilation.
    return read_expectations(files, template.key, template.examples.keys(), template.locales, FindingCollector())
