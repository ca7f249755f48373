"""The parts of scripts/bench work; no test measures time."""

import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import jinja2
import pytest

from tests.support.paths import SCRIPTS

pytestmark = pytest.mark.slow

README = (SCRIPTS / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def benches(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Everything the scripts import; `scripts` is the folder that they run from."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import bench
    import benches.invoice
    import benches.node_peers
    import benches.reload
    import benches.templates
    import benches.timing

    monkeypatch.setattr(benches, "bench", bench, raising=False)
    return benches


def test_bench_measures_the_templates(benches: Any) -> None:
    report = benches.templates.run(benches.report.Options(effort=0.01))
    values = {row.name: row.value for row in report.rows}
    assert all(value > 0 and math.isfinite(value) for value in values.values())
    assert {"compile one template", "start with 5 templates, cached", "save to served, 5 templates"} <= set(values)
    assert len(values) == len(report.rows) == 9


def test_invoice_says_the_same_to_all_who_are_compared(benches: Any) -> None:
    invoice = benches.invoice.Invoice.compiled()
    assert 35_000 < len(invoice.html.encode()) < 39_000
    assert invoice.same(jinja2.Environment(autoescape=True).from_string(invoice.jinja).render(benches.invoice.values()))
    for markup in (invoice.handlebars, invoice.mjml_in_handlebars):
        assert "{%" not in markup
        assert "\x02" not in markup
        assert markup.count("{{#each lines}}") == markup.count("{{/each}}") == 1
        assert markup.count("{{#if paid}}") == markup.count("{{/if}}") == 1


def test_rounds_take_turns_and_the_best_counts(benches: Any) -> None:
    asked: list[str] = []
    rounds: Iterator[float] = iter([3.0, 30.0, 1.0, 10.0, 2.0, 20.0])

    def thing(name: str) -> Callable[[float], float]:
        def measure(_: float) -> float:
            asked.append(name)
            return next(rounds)

        return measure

    best = benches.timing.Contest(rounds=3, round_s=0).best({"a": thing("a"), "b": thing("b")})
    assert asked == ["a", "b"] * 3
    assert best == {"a": 1.0, "b": 10.0}


def test_report_is_a_table_for_people_and_json_for_machines(benches: Any) -> None:
    row = benches.report.Row("a thing", 1234.5, "us", 1.5, "another", "at most 1", is_met=False)
    report = benches.report.Report("templates", (row,), {"node": "1.2"}, machine="this one", date="2026-02-28")
    assert re.search(r"\| a thing +\| 1,23\d us \| 1\.50 x another \| at most 1 \| MISSED \|", report.as_table())
    assert report.as_table().startswith("templates, 2026-02-28, this one\nnode 1.2\n")
    assert json.loads(report.as_json())["rows"][0]["is_met"] is False


def test_bench_that_is_not_there_is_an_error(benches: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "templates.py").touch()
    assert benches.bench.main(["pages"], tmp_path) == 2
    assert capsys.readouterr().err == "error: there is no bench pages yet; there is templates\n"
    with pytest.raises(SystemExit) as wrong:
        benches.bench.main(["nothing"], tmp_path)
    assert wrong.value.code == 2


def test_peers_without_node_are_an_error_that_says_what_to_install(
    benches: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(benches.report.Unmeasured, match="install nodejs npm"), benches.node_peers.peers({}):
        pass


def test_peers_have_exact_versions_and_no_lock_file() -> None:
    peers = SCRIPTS / "benches" / "peers"
    versions = json.loads((peers / "package.json").read_text(encoding="utf-8"))["dependencies"]
    assert [version for version in versions.values() if not re.fullmatch(r"\d+\.\d+\.\d+", version)] == []
    assert [file.name for file in peers.iterdir() if "lock" in file.name or file.name == "node_modules"] == []


def test_readme_says_how_each_bench_is_run(benches: Any) -> None:
    there = [name for name in benches.bench.BENCHES if (SCRIPTS / "benches" / f"{name}.py").is_file()]
    assert "templates" in there
    assert [name for name in there if f"`{name}`" not in README] == []
    assert "./scripts/bench templates --peers" in README
    assert "--json" in README


def test_bench_asks_a_large_archive_what_it_asks_a_small_one(benches: Any) -> None:
    import benches.scale

    report = benches.scale.run(benches.report.Options(effort=0.0002), few=50)
    assert all(row.value > 0 and row.ratio > 0 for row in report.rows)
    assert set(benches.scale.LISTS) < {row.name for row in report.rows}
    assert all("among 200 messages" in row.note for row in report.rows)
