"""Our own operations over REST: each body is read once and each outcome written once."""

import pytest
from tests.support.gateway import GatewayHarness
from tests.support.json_counter import counted_json
from tests.support.rest import Rest

from kiteward.api.rest.endpoints import OWN_PREFIX
from kiteward.domain.identity import Secret
from kiteward.iam.json_api.accounts import Accounts, IssuedPassword, Listing, NewAccount


async def test_body_is_decoded_once_and_outcome_encoded_once(rest: Rest, harness: GatewayHarness) -> None:
    with counted_json() as counter:
        answer = await rest.send(f"{OWN_PREFIX}users/create", content=b'{"userName": "ann"}')
        assert (counter.read, counter.written) == ([NewAccount], [IssuedPassword, dict])
        counter.clear()
        listing = await rest.send(f"{OWN_PREFIX}users/list", content=b'{"prefix": "ann"}')
        assert (counter.read, counter.written) == ([Listing], [Accounts, dict])
    assert [each["userName"] for each in listing.json()["data"]["users"]] == ["ann"]
    password = Secret(answer.json()["data"]["password"])
    stored = await harness.store.user("ann")
    assert stored is not None
    assert await harness.hasher.verify(stored.password_hash, password)


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (b"{", 1801, ""),
        (b"[]", 1801, ""),
        (b"\xff", 1801, ""),
        (b'{"userName": 1}', 1801, "userName"),
        (b'{"userName": "root", "newPassword": 5}', 1801, "newPassword"),
        (b'{"userName": "root", "keepoldfor": 60}', 1801, ""),
        (b"{}", 1802, "userName"),
        (b'{"userName": ""}', 1802, "userName"),
    ],
)
async def test_wrong_body_is_reported_by_its_field_and_changes_nothing(
    rest: Rest, harness: GatewayHarness, body: bytes, code: int, field: str
) -> None:
    before = await harness.state()
    answer = await rest.whole(f"{OWN_PREFIX}users/reset_password", content=body)
    assert (answer["code"], answer.get("field", "")) == (code, field)
    assert await harness.state() == before
