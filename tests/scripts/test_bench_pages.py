"""The bench of the pages measures each of them; durations are not tested."""

import pytest

from benches import pages
from benches.report import Options

pytestmark = pytest.mark.slow


def test_bench_measures_every_page() -> None:
    report = pages.run(Options(effort=0.001))
    assert len(report.rows) == 18
    assert all(row.value > 0 and "kB" in row.note for row in report.rows)
