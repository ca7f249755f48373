"""Compare two sides: compile what may differ on both, render every mail of what differs, and write the report."""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

from service import __version__
from service.templates.compiler import Compilation, TemplateCompiler
from service.templates.contract import contract_changes
from service.templates.diff import report as reports
from service.templates.diff.comparison import Comparison, TemplateDiff
from service.templates.diff.mail_diffs import mail_diffs
from service.templates.diff.reasons import candidates, changed_values, is_of_values, reasons, sites_shown
from service.templates.diff.recorded import recorded
from service.templates.diff.report import MAX_FINDINGS, MAX_TEMPLATES, Report, cut
from service.templates.diff.report_parts import all_findings, contract_report, findings_report, side_report
from service.templates.diff.sides import DiffSides
from service.templates.mails import MailRenderer, RenderedMail
from service.templates.runtime.site import Site
from service.templates.site_values import declared_examples
from service.templates.source.files import Files
from service.templates.template import Template

#: Called with what is done of what: progress(step, done, total).
Progress = Callable[[str, int, int], None]
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class DiffMaker:
    """Compares sides with this compiler and renderer."""

    compiler: TemplateCompiler
    renderer: MailRenderer
    progress: Progress = lambda _step, _done, _total: None

    def compare(self, sides: DiffSides, *, allow_breaking: bool = False) -> Comparison:
        """Compare all templates of both sides. A template that loops or crashes is a finding of that template."""
        base, head = sides.base, sides.head
        changed = head.files.changed_since(base.files)
        values = changed_values(base.files, head.files) if any(map(is_of_values, changed)) else None
        keys = sorted({*base.files.template_keys(), *head.files.template_keys()})
        looked_at = candidates(keys, sides, changed)
        before = self._compiled("base", base.files, looked_at)
        after = self._compiled("head", head.files, looked_at)
        differing = {
            key: why for key in looked_at if (why := reasons(key, before.get(key), after.get(key), changed, values))
        }
        sites = {key: found for key, found_why in differing.items() if (found := sites_shown(found_why, values))}
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
            contract_report(one, is_accepted=allow_breaking or one.key in sides.accepted)
            for key in looked_at
            for one in contract_changes(base.files, head.files, key)
        ]
        # With values of an environment they differ from what is recorded, which has the examples of values.
        plain = self._rendered("with example values", after, list(sites), dict.fromkeys(sites, examples_after))
        of_all = {key: one.report for key, one in zip(differing, diffs, strict=True)}
        report = Report(
            tool=f"rgz-email {__version__}",
            base=side_report(base),
            head=side_report(head),
            templates=[of_all.get(key) or _same(key, head.files) for key in keys][:MAX_TEMPLATES],
            contract=contract[:MAX_FINDINGS],
            findings=findings_report(all_findings(base, before), all_findings(head, after)),
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
