"""The bench of accepting works; no test measures time."""

import pytest

from tests.support.paths import SCRIPTS

pytestmark = pytest.mark.slow


def test_bench_measures_accepting_beside_an_empty_handler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from benches import accept, report

    empty, *accepts, disk = accept.rows(report.Options(effort=0.06))
    assert (empty.name, empty.ratio) == ("empty Litestar handler", None)
    assert [row.name for row in accepts] == ["accept, 25 KB", "accept, 25 KB, by a key", "accept, 37 KB"]
    assert disk.value > 0
    for row in accepts:
        assert row.value > 0
        assert row.ratio == pytest.approx(row.value / empty.value)
        assert "p99" in row.note
