"""dex: every SDK signs in with its tokens, groups there decide what it may do here, and keys change."""

import pytest
from tests.identity_providers.sdks import PROGRAMS, Programs, by_rest, demand_that_groups_decide, who
from tests.identity_providers.worlds import OPEN
from tests.support import dex
from tests.support.dex import Dex
from tests.support.oauth import key_id
from tests.support.server import RunningServer

pytestmark = pytest.mark.heavy


@pytest.mark.parametrize("language", PROGRAMS)
def test_sdk_signs_in_with_tokens_of_dex(by_dex: Dex, programs: Programs, language: str) -> None:
    with by_dex.client() as own, by_dex.client(dex.OTHER) as other:
        member = own.by_code(dex.person("alice", "searchers")).access
        outsider = own.by_code(dex.person("bob")).access
        foreign = other.by_code(dex.person("alice", "searchers")).access
    demand_that_groups_decide(programs.of(language), member, outsider, foreign)


# Nothing in dex's tokens says what they are for, so that both are taken.
@pytest.mark.parametrize("flow", ["device", "code"])
def test_user_of_dex_is_the_same_whatever_the_token_came_by(by_dex: Dex, server: RunningServer, flow: str) -> None:
    with by_dex.client() as client:
        ask = client.by_device if flow == "device" else client.by_code
        tokens = ask(dex.person("alice", "searchers"))
    for token in (tokens.access, tokens.identity):
        assert who(server, token)["userName"] == "dex_alice"
        assert by_rest(server, token, OPEN)[1]["code"] == 0


def test_tokens_by_both_keys_of_dex_are_good_while_it_changes_them_by_itself(
    by_dex: Dex, server: RunningServer
) -> None:
    with by_dex.client() as client:

        def issued() -> str:
            return client.by_code(dex.person("alice", "searchers")).access

        before = issued()
        assert by_rest(server, before, OPEN)[1]["code"] == 0
        by_dex.await_rotation()
        after = issued()
        assert key_id(after) != key_id(before)
        for token in (after, before):
            assert by_rest(server, token, OPEN)[1]["code"] == 0
