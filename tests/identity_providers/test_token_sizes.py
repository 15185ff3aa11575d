"""How long a token may be: each SDK carries one of 16 KiB, and reports the length of a longer one."""

from typing import Final

import pytest
from tests.identity_providers.sdks import PROGRAMS, Programs, by_rest
from tests.identity_providers.worlds import OPEN
from tests.support.server import RunningServer

from kiteward.authn.authenticator import WRONG_KEY
from kiteward.domain.identity import LONGEST_CREDENTIAL

READ: Final = (LONGEST_CREDENTIAL + 1, 30_000)
"""Lengths of tokens that are too long and read all the same: with their base64 they fit into a header block."""

UNREAD: Final = (60_000, 1_000_000)


@pytest.mark.parametrize("language", PROGRAMS)
def test_sdk_carries_the_longest_token_and_is_told_how_long_a_longer_one_is(programs: Programs, language: str) -> None:
    program = programs.of(language)
    longest = program.sign_in("k" * LONGEST_CREDENTIAL)
    longer = {size: program.sign_in("k" * size) for size in (*READ, *UNREAD)}
    assert WRONG_KEY in longest.refused  # it was read, and nobody has issued it
    for size, seen in longer.items():
        said = f"the token has {size} bytes, and at most 16384 are accepted"
        assert (said if size in READ else "larger than can be read: a token may have 16384 bytes") in seen.refused
    assert max(seen.seconds for seen in (longest, *longer.values())) < 15  # none is tried again and again


def test_rest_carries_the_longest_token_and_says_how_long_a_longer_one_is(server: RunningServer) -> None:
    status, answer = by_rest(server, "k" * LONGEST_CREDENTIAL, OPEN)
    assert (status, answer["code"], answer["message"]) == (401, 1800, "user hasn't authenticated")
    for size in (LONGEST_CREDENTIAL + 1, 60_000):
        status, answer = by_rest(server, "k" * size, OPEN)
        assert (status, answer["code"]) == (401, 1800)
        assert answer["message"].startswith(f"the token has {size} bytes, and at most 16384 are accepted")
    status, answer = by_rest(server, "k" * 200_000, OPEN)
    assert (status, answer["code"]) == (431, 1100)
    assert "a token may have 16384 bytes" in answer["message"]
