"""A short form of the races, of which `make row-policies` has a long one, and proof that they notice a defect.

Where there is a defect, a race ends as soon as it is noticed, so that it may take more requests.
"""

import functools
from typing import Any

import pytest
from tests.row_policies.beside import serving_two
from tests.row_policies.change_race import changes_during_requests
from tests.row_policies.races import writes_while_reassigning
from tests.support.postgresql import Cluster

from kiteward.authz.policy import PolicySnapshot
from kiteward.gateway.row_access.locks import CollectionLocks
from kiteward.gateway.row_access.shared_locks import SharedCollectionLocks
from kiteward.gateway.row_access.write_checks import WriteCheck

_REQUESTS = 800
_MOST_REQUESTS = 2_000
_WRITES = 270
_MOST_WRITES = 900
_WRITES_BESIDE = 90
_SEED = 1


def silent(_done: int) -> None:
    """Tell nobody."""


async def test_no_request_sees_rules_whose_change_was_acknowledged_before_it_began() -> None:
    done, wrong = await changes_during_requests(_REQUESTS, _SEED, silent)
    assert not wrong
    assert done == _REQUESTS


async def test_row_that_was_given_away_is_not_written_by_its_former_owner() -> None:
    done, wrong = await writes_while_reassigning(_WRITES, _SEED, silent)
    assert not wrong
    assert done >= _WRITES


async def test_row_that_was_given_away_on_one_server_is_not_written_by_its_former_owner_on_another(
    cluster: Cluster,
) -> None:
    serve = functools.partial(serving_two, cluster)
    done, wrong = await writes_while_reassigning(_WRITES_BESIDE, _SEED, silent, serve=serve)
    assert not wrong
    assert done >= _WRITES_BESIDE


@pytest.mark.heavy
async def test_writes_that_do_not_wait_for_those_of_another_server_are_noticed(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SharedCollectionLocks, "acquire", CollectionLocks.acquire)
    monkeypatch.setattr(SharedCollectionLocks, "release", CollectionLocks.release)
    monkeypatch.setattr(SharedCollectionLocks, "confirm", CollectionLocks.confirm)
    serve = functools.partial(serving_two, cluster)
    _, wrong = await writes_while_reassigning(_MOST_WRITES, _SEED, silent, serve=serve)
    assert "are" in wrong


@pytest.mark.heavy
async def test_policy_that_stays_in_force_too_long_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    held: dict[tuple[str, str], Any] = {}
    protected = PolicySnapshot.protected

    def outdated(snapshot: PolicySnapshot, database: str, collection: str) -> Any:
        return held.setdefault((database, collection), protected(snapshot, database, collection))

    monkeypatch.setattr(PolicySnapshot, "protected", outdated)
    _, wrong = await changes_during_requests(_MOST_REQUESTS, _SEED, silent)
    assert "acknowledged before" in wrong or "no one change" in wrong


@pytest.mark.heavy
@pytest.mark.parametrize("method", ["insert", "upsert"])
async def test_write_by_an_outdated_caller_is_noticed(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    check = getattr(WriteCheck, method)
    known: dict[str, Any] = {}

    async def outdated(self: WriteCheck, write: Any) -> None:
        principal = known.setdefault(self.principal.user_name, self.principal)
        await check(WriteCheck(self.rules, principal, self.stored), write)

    monkeypatch.setattr(WriteCheck, method, outdated)
    wrong = ""
    for seed in range(_SEED, _SEED + 5):  # how many writes come beside a change depends on the machine
        known.clear()
        _, wrong = await changes_during_requests(_MOST_REQUESTS, seed, silent)
        if wrong:
            break
    assert method.capitalize() in wrong
    assert "acknowledged before" in wrong or "no one change" in wrong


@pytest.mark.heavy
async def test_writes_that_do_not_wait_for_one_another_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(*_: Any, **__: Any) -> bool:
        return False

    monkeypatch.setattr(CollectionLocks, "acquire", at_once)
    monkeypatch.setattr(CollectionLocks, "release", lambda *_, **__: None)
    _, wrong = await writes_while_reassigning(_MOST_WRITES, _SEED, silent)
    assert "are" in wrong
