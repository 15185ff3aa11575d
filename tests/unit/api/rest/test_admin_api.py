"""Our own operations over REST: each body is read once and each outcome written once."""

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
