"""The bench `templates`: rendering beside peers, compiling, starting with 500 templates, and from save to served."""

import logging
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path

import cssutils
import jinja2
from jinja2.sandbox import SandboxedEnvironment
from mjml import mjml2html
from premailer import Premailer

from benches import reload, template_copies
from benches.invoice import KEY, LIMITS, MAILS, Invoice, values
from benches.node_peers import peers
from benches.report import Options, Report, Row, Unmeasured
from benches.timing import Contest, timed
from service.templates.compiler import compile_template
from service.templates.runtime.sandbox import sandbox_without_modules
from service.templates.source.files import read_files

COUNT = 500
_RENDERS_A_SECOND = 1_000.0
_OURS = "our HTML part, escapes by context"
_MJML = "MJML + premailer at each send"
#: Its result as one flat string, as it can be sent. V8 keeps concatenated strings as a tree until they are read, so
#: the call without reading costs half; that is a row of its own.
_HANDLEBARS = "Handlebars, precompiled"
_PEERS = {
    "handlebars_flat": _HANDLEBARS,
    "handlebars": "Handlebars, its text still a tree of pieces",
    "react_email": "React Email",
    "mjml": "npm mjml at each send",
}
_PYTHON_PEERS = ("jinja2", "mjml-python", "premailer")


def run(options: Options) -> Report:
    """Takes about two minutes. Raises Unmeasured where a peer renders another mail, or a template does not compile."""
    versions = {name: version(name) for name in _PYTHON_PEERS}
    rendering, node_versions = _rendering(options)
    rows = (*rendering, _compiling(options), *_starting_and_reloading(options))
    return Report("templates", rows, versions | dict(node_versions))


def _rendering(options: Options) -> tuple[list[Row], Mapping[str, str]]:
    invoice = Invoice.compiled()
    subjects = _ours(invoice) | _python_peers(invoice)
    versions: Mapping[str, str] = {}
    with ExitStack() as stack:
        if options.with_peers:
            load = {"template": invoice.handlebars, "mjml": invoice.mjml_in_handlebars, "values": values()}
            node = stack.enter_context(peers(load))
            _require_same(invoice, _HANDLEBARS, node.loaded["html"]["handlebars"])
            subjects |= {title: node.timed(name) for name, title in _PEERS.items()}
            versions = node.loaded["versions"]
        contest = Contest(rounds=max(1, round(7 * options.effort)), round_s=0.4 * options.effort)
        best = contest.best(subjects)
    size_kb = len(invoice.html.encode()) / 1000
    return [_row(name, best, size_kb) for name in best], versions


def _ours(invoice: Invoice) -> dict[str, Callable[[float], float]]:
    template, variables = invoice.template, values()
    variant = template.variants[template.locales[0]]
    sandbox = sandbox_without_modules(LIMITS, variant.language)
    compiled = sandbox.html.from_string(variant.programs["html"].source)

    def html_part() -> str:
        sandbox.start()
        return sandbox.html.render(compiled, variables)

    _require_same(invoice, "our HTML part alone", html_part())
    return {
        _OURS: timed(html_part),
        "our whole mail: HTML, text, subject": timed(lambda: template.render(variables)),
    }


def _python_peers(invoice: Invoice) -> dict[str, Callable[[float], float]]:
    variables = values()
    stock = SandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=True)
    compiled, source = stock.from_string(invoice.jinja), stock.from_string(invoice.mjml)
    _require_same(invoice, "stock Jinja2", compiled.render(variables))
    cssutils.log.setLevel(logging.CRITICAL + 1)

    def compile_and_render() -> str:
        html = Premailer(mjml2html(source.render(variables)), allow_network=False, disable_validation=True).transform()
        return str(html)

    return {"stock Jinja2 sandbox": timed(lambda: compiled.render(variables)), _MJML: timed(compile_and_render)}


def _require_same(invoice: Invoice, name: str, html: str) -> None:
    if not invoice.is_same(html):
        raise Unmeasured(f"{name} renders another mail than we do, so their times can't be compared")


def _row(name: str, best: Mapping[str, float], size_kb: float) -> Row:
    base = _HANDLEBARS if _HANDLEBARS in best else _OURS
    ratio, target, is_met = best[name] / best[base], "", None
    note = f"{size_kb:.0f} KB, 12 rows, 121 values" if name == _OURS else ""
    if name == _OURS and _HANDLEBARS in best:
        target, is_met = "at most 1.5", ratio <= 1.5
    if name == _MJML:
        slower = best[name] / best[_OURS]
        target, is_met, note = "at least 100 x ours", slower >= 100, f"{slower:,.0f} x ours"
    return Row(
        name, best[name] * 1e6, "us", ratio, "Handlebars" if base == _HANDLEBARS else "ours", target, is_met, note
    )


def _compiling(options: Options) -> Row:
    files = read_files(MAILS)
    compile_template(files, KEY, limits=LIMITS)  # a first call, in which the libraries set themselves up
    samples = []
    for _ in range(max(2, round(15 * options.effort))):
        start = time.perf_counter()
        compile_template(files, KEY, limits=LIMITS)
        samples.append(time.perf_counter() - start)
    return Row("compile one template", min(samples) * 1000, "ms", note="its example rendered")


def _starting_and_reloading(options: Options) -> list[Row]:
    count = max(4, round(COUNT * options.effort))
    with tempfile.TemporaryDirectory() as folder:
        root, cache = Path(folder, "mails"), Path(folder, "cache")
        template_copies.make_templates(root, count)
        cold_s = template_copies.start_s(root, cache, count)
        cached_s = min(template_copies.start_s(root, cache, count) for _ in range(3))
        saves = max(2, round(25 * options.effort))
        runs = [
            reload.measure(root, cache, count=count, saves=saves, rate=_RENDERS_A_SECOND)
            for _ in range(max(1, round(3 * options.effort)))
        ]
    best = min(runs, key=lambda run: run.median_ms)
    failures = [failure for run in runs for failure in run.failures]
    if failures:
        raise Unmeasured(f"{len(failures)} renders failed while templates were saved: {failures[0]}")
    longest_ms = max(best.waits_ms)
    return [
        Row(f"start with {count} templates, cold", cold_s, "s"),
        Row(f"start with {count} templates, cached", cached_s, "s", target="under 2 s", is_met=cached_s < 2),
        Row(
            f"save to served, {count} templates",
            best.median_ms,
            "ms",
            target="under 100 ms",
            is_met=best.median_ms < 100,
            note=f"median of {saves}, best of {len(runs)} runs, up to {max(best.served_ms):.0f}",
        ),
        Row(
            "longest wait of a render meanwhile",
            longest_ms,
            "ms",
            target="at most 50 ms",
            is_met=longest_ms <= 50,
            note=f"{best.renders_a_second:,.0f} renders a second, none failed",
        ),
    ]
