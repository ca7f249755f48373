"""Compare two sides: compile what may differ on both, render every mail of what differs, and write the report."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

from service import __version__
from service.errors import Finding
from service.templates.compiler import Compilation
from service.templates.contract import ContractChange, contract_changes
from service.templates.diff import report as reports
from service.templates.diff.comparison import Comparison, TemplateDiff
from service.templates.diff.mail_diffs import mail_diffs
from service.templates.diff.recorded import recorded
from service.templates.diff.report import MAX_FINDINGS, MAX_NAMES, MAX_TEMPLATES, Report, cut
from service.templates.diff.sides import DiffSide, DiffSides
from service.templates.isolated_compiler import IsolatedCompiler
from service.templates.links import Links
from service.templates.mails import MailRenderer, RenderedMail
from service.templates.runtime.site import SITE, Site
from service.templates.site_values import DECLARATIONS, declared_examples, environments_of, resolve_values
from service.templates.source.files import Files
from service.templates.template import Template

#: Called with what is done of what: progress(step, done, total).
Progress = Callable[[str, int, int], None]
_AT_ONCE = 4
_VALUES = ("values/", "../values/")


@dataclass(frozen=True, slots=True)
class _Values:
    """Values of the installation that differ: name -> the environment where they do, and both sides' values there."""

    environments: Mapping[str, str]
    before: Mapping[str, Site]
    after: Mapping[str, Site]


@dataclass(frozen=True, slots=True)
class DiffMaker:
    """Compares sides with this compiler and renderer."""

    compiler: IsolatedCompiler
    renderer: MailRenderer
    progress: Progress = lambda _step, _done, _total: None

    def compare(self, sides: DiffSides, *, allow_breaking: bool = False) -> Comparison:
        """Compare all templates of both sides. A template that loops or crashes is a finding of that template."""
        base, head = sides.base, sides.head
        changed = head.files.changed_since(base.files)
        values = _changed_values(base.files, head.files) if any(map(_is_of_values, changed)) else None
        keys = sorted({*base.files.template_keys(), *head.files.template_keys()})
        looked_at = _candidates(keys, sides, changed)
        before = self._compiled("base", base.files, looked_at)
        after = self._compiled("head", head.files, looked_at)
        differing = {key: why for key in looked_at if (why := _why(before.get(key), after.get(key), changed, values))}
        sites = {key: found for key, why in differing.items() if (found := _sites(why, values))}
        examples_before, examples_after = declared_examples(base.files), declared_examples(head.files)
        rendered_before = self._rendered(
            "before", before, list(differing), {key: sites[key][0] if key in sites else examples_before for key in keys}
        )
        rendered_after = self._rendered(
            "after", after, list(after), {key: sites[key][1] if key in sites else examples_after for key in keys}
        )
        diffs = [
            _template_diff(key, differing[key], before.get(key), after.get(key), rendered_before, rendered_after)
            for key in differing
        ]
        contract = [
            _contract(one, is_accepted=allow_breaking or one.key in sides.accepted)
            for key in looked_at
            for one in contract_changes(base.files, head.files, key)
        ]
        # With values of an environment they differ from what is recorded, which has the examples of values.
        plain = self._rendered("with example values", after, list(sites), dict.fromkeys(sites, examples_after))
        of_all = {key: one.report for key, one in zip(differing, diffs, strict=True)}
        report = Report(
            tool=f"rgz-email {__version__}",
            base=_side(base),
            head=_side(head),
            templates=[of_all.get(key) or _same(key, head.files) for key in keys][:MAX_TEMPLATES],
            contract=contract[:MAX_FINDINGS],
            findings=_findings(_all_findings(base, before), _all_findings(head, after)),
            snapshots=recorded(sides, after, {**rendered_after, **plain}),
            is_whole=len(keys) <= MAX_TEMPLATES and len(contract) <= MAX_FINDINGS,
        )
        return Comparison(report, diffs, head.files)

    def _compiled(self, step: str, files: Files, keys: Collection[str]) -> dict[str, Compilation]:
        wanted = [key for key in keys if f"{key}/template.mjml" in files]
        done: dict[str, Compilation] = {}
        for start in range(0, len(wanted), 2 * _AT_ONCE):
            self.progress(f"compiling {step}", start, len(wanted))
            done |= self.compiler.compile_all(files, wanted[start : start + 2 * _AT_ONCE])
        return done

    def _rendered(
        self, step: str, compiled: Mapping[str, Compilation], keys: Sequence[str], sites: Mapping[str, Site]
    ) -> dict[str, Sequence[RenderedMail]]:
        templates = [one.template for key in keys if (one := compiled.get(key)) and one.template]

        def rendered(template: Template) -> Sequence[RenderedMail]:
            return self.renderer.render(template, sites[template.key])

        done: dict[str, Sequence[RenderedMail]] = {}
        with ThreadPoolExecutor(_AT_ONCE, "render") as threads:
            for template, mails in zip(templates, threads.map(rendered, templates), strict=True):
                done[template.key] = mails
                self.progress(f"rendering {step}", len(done), len(templates))
        return done


def _is_of_values(path: str) -> bool:
    return path == DECLARATIONS or path.startswith(_VALUES)


def _candidates(keys: Collection[str], sides: DiffSides, changed: frozenset[str]) -> list[str]:
    """Templates that may differ: they take in a changed file, or their recorded mails changed."""
    base, head = sides.base, sides.head
    known = frozenset((*base.files.by_path, *head.files.by_path))
    links = [Links(base.files, known), Links(head.files, known)]
    recorded = {path.split("/", 1)[0] for path, _ in base.snapshots.items() ^ head.snapshots.items()}
    is_of_values = any(map(_is_of_values, changed))
    by_side = {key: [one.reached(key) for one in links] for key in keys}
    return [
        key
        for key, reached in by_side.items()
        if key in recorded
        or any(not changed.isdisjoint(paths) for paths in reached)
        or (is_of_values and any(_may_print_values(sides.head.files, paths) for paths in reached))
    ]


def _may_print_values(files: Files, paths: Collection[str]) -> bool:
    return any(path in files and SITE.encode() in files.by_path[path].data for path in paths)


def _changed_values(base: Files, head: Files) -> _Values:
    environments: dict[str, str] = {}
    before: dict[str, Site] = {}
    after: dict[str, Site] = {}
    for environment in sorted({*_environments(base), *_environments(head)}):
        old, new = resolve_values(base, environment)[0].values, resolve_values(head, environment)[0].values
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name) and name not in environments:
                environments[name] = environment
                before[environment], after[environment] = Site(old), Site(new)
    return _Values(environments, before, after)


def _environments(files: Files) -> Iterator[str]:
    yield from environments_of(files)
    for path in files.folder(".."):
        if path.startswith("../values/") and path.endswith(".yaml"):
            yield path.removeprefix("../values/").removesuffix(".yaml")


def _why(
    before: Compilation | None, after: Compilation | None, changed: frozenset[str], values: _Values | None
) -> list[reports.Why]:
    """The reasons why a template's mails differ; [] where they are the same."""
    key = _key(before, after)
    if before is None or after is None:
        return [reports.Why(kind="own", name=f"{key}/template.mjml")]
    if _form(before) != _form(after) or (after.template is None and _own_changed(key, changed)):
        paths = sorted(changed.intersection({*before.dependencies, *after.dependencies}))
        # An example makes no difference, unless it is what broke or mended the template.
        blamed = [one for one in paths if one != DECLARATIONS and not one.startswith(f"{key}/examples/")] or paths
        return [
            reports.Why(kind="own" if path.startswith(f"{key}/") else "shared", name=cut(path, 300))
            for path in blamed[:MAX_NAMES]
        ]
    names = after.template.site_names or () if after.template else ()
    found = values.environments if values else {}
    return [reports.Why(kind="value", name=f"site.{name} ({found[name]})") for name in names if name in found]


def _own_changed(key: str, changed: frozenset[str]) -> bool:
    return any(path.startswith(f"{key}/") and not path.startswith(f"{key}/examples/") for path in changed)


def _key(before: Compilation | None, after: Compilation | None) -> str:
    for one in (before, after):
        if one is not None:
            return one.template.key if one.template else next(iter(one.dependencies)).split("/", 1)[0]
    raise ValueError("a template is on one of the sides")


def _form(compilation: Compilation) -> Any:
    """What a template prints and says of its mails, without comments, formatting, examples and positions."""
    template = compilation.template
    if template is None:
        return None
    groups = {
        locale: [
            {name: program.source for name, program in group.items()}
            for group in (variant.programs, variant.html_modules, variant.text_modules)
        ]
        for locale, variant in template.variants.items()
    }
    manifest = template.manifest.as_json()
    return groups, template.locales, {name: value for name, value in manifest.items() if name != "description"}


def _sites(why: Sequence[reports.Why], values: _Values | None) -> tuple[Site, Site] | None:
    """The values of the environment that make the difference; None where something else does."""
    if values is None or any(one.kind != "value" for one in why):
        return None
    environment = values.environments[why[0].name.partition(" ")[0].removeprefix("site.")]
    return values.before[environment], values.after[environment]


def _template_diff(
    key: str,
    why: list[reports.Why],
    before: Compilation | None,
    after: Compilation | None,
    rendered_before: Mapping[str, Sequence[RenderedMail]],
    rendered_after: Mapping[str, Sequence[RenderedMail]],
) -> TemplateDiff:
    old, new = before.template if before else None, after.template if after else None
    change: Literal["changed", "new", "gone"] = "new" if before is None else "gone" if after is None else "changed"
    mails = mail_diffs(old, new, rendered_before.get(key, ()), rendered_after.get(key, ()))
    in_all = {one.mail for one in (*rendered_before.get(key, ()), *rendered_after.get(key, ()))}
    of_template = reports.TemplateReport(
        key=cut(key, 300),
        change=change,
        version_before=old.manifest.version if old else None,
        version_after=new.manifest.version if new else None,
        why=why,
        mails=[one.report for one in mails][: reports.MAX_MAILS],
        mails_in_all=len(in_all),
    )
    return TemplateDiff(of_template, mails)


def _same(key: str, files: Files) -> reports.TemplateReport:
    return reports.TemplateReport(key=cut(key, 300), change="same" if f"{key}/template.mjml" in files else "gone")


def _contract(one: ContractChange, *, is_accepted: bool) -> reports.ContractReport:
    return reports.ContractReport(
        key=cut(one.key, 300),
        code=one.code,
        is_breaking=one.is_breaking,
        is_accepted=one.is_breaking and is_accepted,
        file=cut(one.place.file, 300),
        line=one.place.line,
        column=one.place.column,
        message=cut(one.message, 1_000),
    )


def _side(side: DiffSide) -> reports.Side:
    return reports.Side(ref=cut(side.ref, 300), commit=side.commit, note=cut(side.note, 1_000) if side.note else None)


def _all_findings(side: DiffSide, compiled: Mapping[str, Compilation]) -> list[Finding]:
    """The findings of the templates that were looked at, and of the values of each environment, each once."""
    found = {finding for compilation in compiled.values() for finding in compilation.findings}
    found.update(side.findings)
    for environment in _environments(side.files):
        found.update(one for one in resolve_values(side.files, environment)[1] if one.code != "placeholder-value")
    return sorted(found, key=lambda one: (one.file, one.line, one.column, one.severity, one.code, one.message))


def _findings(before: Sequence[Finding], after: Sequence[Finding]) -> reports.Findings:
    """Findings are the same where file, code and message are: lines move."""
    old, new = Counter(map(_identity, before)), Counter(map(_identity, after))
    return reports.Findings(
        new=[_finding(one) for one in _beyond(after, old)][:MAX_FINDINGS],
        fixed=[_finding(one) for one in _beyond(before, new)][:MAX_FINDINGS],
        as_before=(old & new).total(),
    )


def _beyond(findings: Sequence[Finding], others: Counter[tuple[str, ...]]) -> Iterator[Finding]:
    left = others.copy()
    for one in findings:
        if left[_identity(one)] > 0:
            left[_identity(one)] -= 1
        else:
            yield one


def _identity(one: Finding) -> tuple[str, ...]:
    return (one.file, one.severity, one.code, one.message)


def _finding(one: Finding) -> reports.FindingReport:
    return reports.FindingReport(
        file=cut(one.file, 300),
        line=one.line,
        column=one.column,
        severity=one.severity,
        code=one.code,
        message=cut(one.message, 1_000),
        hint=cut(one.hint, 1_000),
    )
