"""A few faults of each kind under a load of changes; `make replica-faults` makes a thousand."""

from pathlib import Path

import pytest
from tests.replicas.faults.run import run_faults
from tests.replicas.faults.servers import Clock

pytestmark = [
    pytest.mark.asyncio,
    pytest.mark.slow,
    pytest.mark.heavy,
    pytest.mark.timeout(1800),
    # Processes that are stopped and killed leave connections of the proxies half open.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


async def test_nothing_acknowledged_is_lost_and_nothing_stale_accepted_while_everything_fails(tmp_path: Path) -> None:
    if Clock.library() is None:
        pytest.skip("the clocks of servers cannot be moved; on Debian, the package libfaketime can")
    report = await run_faults(tmp_path, number=10, seed=1, workers=3, readers=1, lease=3, minutes=20)
    assert not report.outcome.faults, "\n".join(report.lines())
    assert report.made.total() >= 10
    assert report.outcome.reads > 0
