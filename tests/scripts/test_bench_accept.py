"""The bench of accepting measures each kind of request; rates are not tested."""

import pytest

from benches import accept
from benches.report import Options

pytestmark = pytest.mark.slow


def test_bench_measures_accepting_beside_an_empty_handler() -> None:
    empty, *accepts, fsync = accept.rows(Options(effort=0.06))
    assert (empty.name, empty.ratio) == ("empty Litestar handler", None)
    assert [row.name for row in accepts] == ["accept, 25 KB", "accept, 25 KB, by a key", "accept, 37 KB"]
    assert fsync.value > 0
    for row in accepts:
        assert row.value > 0
        assert row.ratio == pytest.approx(row.value / empty.value)
        assert "p99" in row.note
