"""The bench of feedback posts signed events and counts them in the database; rates are not tested."""

from pathlib import Path

import pytest

from benches.feedback import bench_environment, post_events
from benches.feedback_sns import sns
from benches.processes import RGZ_EMAIL, started
from benches.services import NO_RELAY_PORT, built_services

pytestmark = pytest.mark.slow


def test_bench_posts_signed_events_and_proves_that_each_was_counted_once(tmp_path: Path) -> None:
    with sns(tmp_path) as signer:
        environment = bench_environment(tmp_path, signer, NO_RELAY_PORT)
        with (
            built_services(environment, mailbox_port=None) as services,
            started([*RGZ_EMAIL, "api", "--port", "0"], environment) as api,
        ):
            result = post_events(services, signer, api, 60, per_second=2_000.0)
    assert (result.answered, result.refused) == (66, 0)  # one in ten comes twice
    assert 0 < result.p50_ms <= result.p99_ms
