"""kill -9 of a backup and of its server: every backup that was made is whole, and shows one moment.

`make backup-faults` makes more of them.
"""

import os
import random
import time
from pathlib import Path
from typing import Final

import pytest
from tests.faults.backups import Trial

ROUNDS: Final = 3


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_backup_that_was_made_has_all_that_was_acknowledged_and_nothing_torn_whatever_is_killed(tmp_path: Path) -> None:
    seed = os.environ.get("TESTS_BACKUPS_SEED", str(time.time_ns()))
    print(f"TESTS_BACKUPS_SEED={seed}")
    trial = Trial(tmp_path, random.Random(seed))
    trial.run(ROUNDS)
    print(sorted(trial.outcomes.items()))
    assert trial.outcomes["checked"] >= 1
    # Nothing is left of the backups that were killed but what the next one removes.
    assert len(list((tmp_path / "backups").iterdir())) <= 1
