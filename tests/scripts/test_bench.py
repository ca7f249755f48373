"""scripts/bench measures the templates, and reports; durations are not tested."""

import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import jinja2
import pytest

import bench
from benches import node_peers, scale, templates
from benches.invoice import Invoice, values
from benches.report import Options, Report, Row, Unmeasured
from benches.timing import Contest
from tests.support.paths import SCRIPTS

pytestmark = pytest.mark.slow

README = (SCRIPTS / "README.md").read_text(encoding="utf-8")


def test_bench_measures_the_templates() -> None:
    report = templates.run(Options(effort=0.01))
    measured = {row.name: row.value for row in report.rows}
    assert all(value > 0 and math.isfinite(value) for value in measured.values())
    assert {"compile one template", "start with 5 templates, cached", "save to served, 5 templates"} <= set(measured)
    assert len(measured) == len(report.rows) == 9


def test_invoice_says_the_same_to_all_who_are_compared() -> None:
    invoice = Invoice.compiled()
    assert 35_000 < len(invoice.html.encode()) < 39_000
    assert invoice.is_same(jinja2.Environment(autoescape=True).from_string(invoice.jinja).render(values()))
    for markup in (invoice.handlebars, invoice.mjml_in_handlebars):
        assert "{%" not in markup
        assert "\x02" not in markup
        assert markup.count("{{#each lines}}") == markup.count("{{/each}}") == 1
        assert markup.count("{{#if paid}}") == markup.count("{{/if}}") == 1


def test_rounds_take_turns_and_the_best_counts() -> None:
    asked: list[str] = []
    rounds: Iterator[float] = iter([3.0, 30.0, 1.0, 10.0, 2.0, 20.0])

    def thing(name: str) -> Callable[[float], float]:
        def measure(_: float) -> float:
            asked.append(name)
            return next(rounds)

        return measure

    best = Contest(rounds=3, round_s=0).best({"a": thing("a"), "b": thing("b")})
    assert asked == ["a", "b"] * 3
    assert best == {"a": 1.0, "b": 10.0}


def test_report_is_a_table_for_people_and_json_for_machines() -> None:
    row = Row("a thing", 1234.5, "us", 1.5, "another", "at most 1", is_met=False)
    report = Report("templates", (row,), {"node": "1.2"}, machine="this one", date="2026-02-28")
    assert re.search(r"\| a thing +\| 1,23\d us \| 1\.50 x another \| at most 1 \| MISSED \|", report.as_table())
    assert report.as_table().startswith("templates, 2026-02-28, this one\nnode 1.2\n")
    assert json.loads(report.as_json())["rows"][0]["is_met"] is False


def test_bench_that_is_unknown_is_wrong_usage_that_names_the_benches(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as wrong:
        bench.main(["nothing"])
    assert wrong.value.code == 2
    assert "choose from 'templates', 'delivery', 'feedback', 'pages', 'scale'" in capsys.readouterr().err


def test_peers_without_node_are_an_error_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unmeasured, match="install nodejs npm"), node_peers.peers({}):
        pass


def test_peers_have_exact_versions_and_no_lock_file() -> None:
    peers = SCRIPTS / "benches" / "peers"
    versions = json.loads((peers / "package.json").read_text(encoding="utf-8"))["dependencies"]
    assert [version for version in versions.values() if not re.fullmatch(r"\d+\.\d+\.\d+", version)] == []
    assert [file.name for file in peers.iterdir() if "lock" in file.name or file.name == "node_modules"] == []


def test_readme_says_how_each_bench_is_run() -> None:
    assert [name for name in bench.BENCHES if not (SCRIPTS / "benches" / f"{name}.py").is_file()] == []
    assert [name for name in bench.BENCHES if f"`{name}`" not in README] == []
    assert "./scripts/bench templates --peers" in README
    assert "--json" in README


def test_bench_runs_each_query_on_a_small_and_on_a_large_archive() -> None:
    report = scale.run(Options(effort=0.0002), few=50)
    assert all(row.value > 0 and row.ratio is not None and row.ratio > 0 for row in report.rows)
    assert set(scale.LISTS) < {row.name for row in report.rows}
    assert all("among 200 messages" in row.note for row in report.rows)
