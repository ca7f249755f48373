"""The bench of feedback works; no test measures time."""

import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.paths import SCRIPTS

pytestmark = pytest.mark.slow


def test_bench_posts_signed_events_and_proves_that_each_was_counted_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from benches import feedback
    from benches.accept import started
    from benches.feedback_sns import sns

    from service.bootstrap import build

    with sns(tmp_path) as signer, closing(build(feedback.settings_of(tmp_path), delivers=False)) as services:
        environment = feedback.environment_of(tmp_path, signer, 25)
        with started([sys.executable, "-m", "service.cli", "api", "--port", "0"], environment) as api:
            answered = feedback.taken(services, signer, api, 60, per_second=2_000.0)
    assert (answered.answered, answered.refused) == (66, 0)  # one in ten comes twice
    assert 0 < answered.p50_ms <= answered.p99_ms
