from tests.support.gateway import GatewayHarness

from kiteward.domain.errors import CredentialMissing
from kiteward.gateway.call import Call
from kiteward.iam.services import ResponseCache


def call(payload: bytes = b"", operation: str = "SelectRole") -> Call[bytes]:
    return Call(operation, payload, CredentialMissing("nobody"))


def test_answer_is_remembered_for_the_same_request_at_the_same_revision() -> None:
    response_cache = ResponseCache()
    assert response_cache.put(call(b"a"), 7, b"answer") == b"answer"
    assert response_cache.get(call(b"a"), 7) == b"answer"
    assert response_cache.get(call(b"b"), 7) is None
    assert response_cache.get(call(b"a", "ListCredUsers"), 7) is None


def test_answer_is_forgotten_when_the_revision_moves() -> None:
    response_cache = ResponseCache()
    response_cache.put(call(), 7, b"old")
    assert response_cache.get(call(), 8) is None
    response_cache.put(call(), 8, b"new")
    assert (response_cache.get(call(), 7), response_cache.get(call(), 8)) == (None, b"new")


def test_late_answer_of_an_earlier_revision_is_not_remembered() -> None:
    response_cache = ResponseCache()
    response_cache.put(call(), 8, b"new")
    assert response_cache.put(call(), 7, b"old") == b"old"
    assert response_cache.get(call(), 8) == b"new"


def test_no_more_is_remembered_than_the_capacity() -> None:
    response_cache = ResponseCache()
    answer = bytes(ResponseCache.CAPACITY // 2)
    response_cache.put(call(b"a"), 1, answer)
    response_cache.put(call(b"b"), 1, answer)
    assert response_cache.get(call(b"a"), 1) is not None
    assert response_cache.get(call(b"b"), 1) is None


async def holders(harness: GatewayHarness, by: str = "root") -> list[str]:
    answer = await harness.succeed("SelectRole", by=by, include_user_info=True, role={"name": "reader"})
    return [user.name for user in answer.results[0].users]


async def test_described_role_follows_its_bindings(harness: GatewayHarness) -> None:
    assert await holders(harness) == ["alice"]
    await harness.succeed("OperateUserRole", username="bob", role_name="reader")
    assert await holders(harness) == ["alice", "bob"]


async def test_what_is_remembered_for_root_is_not_shown_to_others(harness: GatewayHarness) -> None:
    await harness.succeed("OperateUserRole", username="bob", role_name="reader")
    assert await holders(harness) == ["alice", "bob"]
    assert await holders(harness, by="alice") == ["alice"]
