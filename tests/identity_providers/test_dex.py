"""dex: every SDK signs in with its tokens, groups there decide what it may do here, and keys change."""

from pathlib import Path

import pytest
from tests.identity_providers.sdks import PROGRAMS, by_rest, sign_in_everywhere, who
from tests.identity_providers.worlds import OPEN, World, dex_world
from tests.support import dex
from tests.support.oauth import key_id


@pytest.mark.parametrize("language", PROGRAMS)
def test_sdk_signs_in_with_tokens_of_dex(by_dex: World[dex.Dex], language: str) -> None:
    provider, server = by_dex.provider, by_dex.server
    with provider.client() as own, provider.client(dex.OTHER) as other:
        member = own.by_code(dex.person("alice", "searchers")).access
        outsider = own.by_code(dex.person("bob")).access
        foreign = other.by_code(dex.person("alice", "searchers")).access
    sign_in_everywhere(language, server, member, outsider, foreign)


# Nothing in dex's tokens says what they are for, so that both are taken.
@pytest.mark.parametrize("flow", ["device", "code"])
def test_user_of_dex_is_the_same_whatever_the_token_came_by(by_dex: World[dex.Dex], flow: str) -> None:
    with by_dex.provider.client() as client:
        ask = client.by_device if flow == "device" else client.by_code
        tokens = ask(dex.person("alice", "searchers"))
    for token in (tokens.access, tokens.identity):
        assert who(by_dex.server, token)["userName"] == "idp_alice"
        assert by_rest(by_dex.server, token, OPEN)[1]["code"] == 0


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
