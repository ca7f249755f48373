"""The bench of the pages works; no test measures time."""

import pytest

from tests.support.paths import SCRIPTS

pytestmark = pytest.mark.slow


def test_bench_measures_every_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from benches import pages
    from benches.report import Options

    report = pages.run(Options(effort=0.001))
    assert len(report.rows) == 18
    assert all(row.value > 0 and "kB" in row.note for row in report.rows)
