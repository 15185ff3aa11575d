"""A short form of the races, and proof that they notice a defect."""

from typing import Any

import pytest
from tests.row_policies.races import changes_while_reading, writes_while_reassigning

from kiteward.authz.policy import PolicySnapshot
from kiteward.gateway.row_access.locks import CollectionLocks

_READS = 2_000
_WRITES = 900
_SEED = 1


async def test_no_read_sees_a_policy_whose_change_was_acknowledged_before_it_began() -> None:
    done, wrong = await changes_while_reading(_READS, _SEED)
    assert not wrong
    assert done == _READS


async def test_row_that_was_given_away_is_not_written_by_its_former_owner() -> None:
    done, wrong = await writes_while_reassigning(_WRITES, _SEED)
    assert not wrong
    assert done >= _WRITES


async def test_policy_that_stays_in_force_too_long_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    held: dict[tuple[str, str], Any] = {}
    protected = PolicySnapshot.protected

    def outdated(snapshot: PolicySnapshot, database: str, collection: str) -> Any:
        return held.setdefault((database, collection), protected(snapshot, database, collection))

    monkeypatch.setattr(PolicySnapshot, "protected", outdated)
    _, wrong = await changes_while_reading(_READS, _SEED)
    assert "acknowledged before" in wrong or "no one policy" in wrong


async def test_writes_that_do_not_wait_for_one_another_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(*_: Any, **__: Any) -> bool:
        return False

    monkeypatch.setattr(CollectionLocks, "acquire", at_once)
    monkeypatch.setattr(CollectionLocks, "release", lambda *_, **__: None)
    _, wrong = await writes_while_reassigning(_WRITES, _SEED)
    assert "are" in wrong
