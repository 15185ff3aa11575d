"""Errors of a service under other texts."""

import pytest

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument, InvalidGrant, NotFound, RequestRefused, UserNotFound
from kiteward.iam.wording import reworded


def test_error_of_the_class_or_a_subclass_gets_the_text_and_keeps_its_class() -> None:
    with pytest.raises(UserNotFound, match=r"^gone$"), reworded(NotFound, "gone"):
        raise UserNotFound("user not found: alice")


def test_error_of_another_class_passes_unchanged() -> None:
    with pytest.raises(InvalidArgument, match=r"^empty$"), reworded(NotFound, "gone"):
        raise InvalidArgument("empty")


def test_errors_of_another_code_keep_their_text_where_one_is_named() -> None:
    for code, told in ((ErrorCode.GROUP_EMPTY, "^empty$"), (ErrorCode.GROUP_LEVELS, "^other$")):
        with pytest.raises(InvalidGrant, match=told), reworded(InvalidGrant, "other", code=ErrorCode.GROUP_LEVELS):
            raise InvalidGrant("empty", ErrorDetail(code))


def test_the_text_may_be_made_of_the_error() -> None:
    with pytest.raises(NotFound, match=r"^gone: alice$"), reworded(NotFound, lambda error: f"gone: {error}"):
        raise NotFound("alice")


def test_error_may_become_one_of_another_class() -> None:
    with pytest.raises(RequestRefused) as refusal, reworded(NotFound, "gone", instead=InvalidGrant):
        raise NotFound("role not found: reader")
    assert (type(refusal.value), str(refusal.value)) == (InvalidGrant, "gone")


def test_text_of_the_service_is_not_in_the_traceback() -> None:
    with pytest.raises(NotFound) as refusal, reworded(NotFound, "gone"):
        raise NotFound("user not found: alice")
    assert refusal.value.__suppress_context__
