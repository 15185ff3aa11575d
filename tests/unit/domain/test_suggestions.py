"""What somebody may have meant by a misspelt word."""

import pytest

from kiteward.domain.suggestions import did_you_mean


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("grnts", ": did you mean `grants`?"),
        ("GRANTS", ": did you mean `grants`?"),
        ("requestspersecond", ": did you mean `requestsPerSecond`?"),
        ("something", ""),
        ("", ""),
    ],
)
def test_a_word_is_compared_with_the_known_ones_in_any_case(word: str, told: str) -> None:
    assert did_you_mean(word, ["grants", "requestsPerSecond", "limits"]) == told
