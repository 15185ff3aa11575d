"""Keys change while many requests run: no good token is refused, no bad one accepted."""

from pathlib import Path

from tests.identity_providers.rotation import rotate_under_load
from tests.identity_providers.sdks import by_rest
from tests.identity_providers.worlds import OPEN, World, dex_world
from tests.support import dex
from tests.support.keycloak import Keycloak
from tests.support.oauth import key_id


async def test_no_token_is_judged_wrongly_while_keycloak_changes_its_keys(by_keycloak: World[Keycloak]) -> None:
    # A minute between the changes: within it the server may have asked for keys already, once at its start.
    outcome = await rotate_under_load(by_keycloak, rate=100.0, pauses=(2.0, 61.0, 2.0), seed=1)
    assert outcome.faults == 0, "\n".join(outcome.lines())
    assert (outcome.rotations, outcome.withdrawals) == (2, 1)
    assert outcome.accepted
    assert outcome.refused


def test_tokens_by_both_keys_of_dex_are_good_while_it_changes_them_by_itself(tmp_path: Path) -> None:
    with dex_world(tmp_path, key_life="1s") as world, world.provider.client() as client:

        def issued() -> str:
            return client.by_code(dex.person("alice", "searchers")).access

        before = issued()
        assert by_rest(world.server, before, OPEN)[1]["code"] == 0
        world.provider.await_rotation()
        after = issued()
        assert key_id(after) != key_id(before)
        for token in (after, before):
            assert by_rest(world.server, token, OPEN)[1]["code"] == 0
