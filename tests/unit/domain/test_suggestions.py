"""What somebody may have meant by a misspelt word."""

import pytest

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.suggestions import did_you_mean, no_such


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


def test_an_unknown_name_is_told_with_what_is_meant_in_words_and_as_a_detail() -> None:
    unknown = ErrorDetail(ErrorCode.PRIVILEGE_UNKNOWN, {"name": "Isert"})
    assert no_such("privilege", "Isert", ["Insert", "Query"], ErrorCode.PRIVILEGE_UNKNOWN) == (
        "no such privilege: Isert; did you mean Insert?",
        [unknown, ErrorDetail(ErrorCode.DID_YOU_MEAN, {"name": "Insert"})],
    )
    assert no_such("privilege", "Isert", ["Query"], ErrorCode.PRIVILEGE_UNKNOWN) == (
        "no such privilege: Isert",
        [unknown],
    )
