"""Errors of a service under other texts."""

import pytest

from kiteward.domain.errors import InvalidArgument, InvalidGrant, NotFound, RequestRefused, UserNotFound
from kiteward.iam.wording import reworded


def test_error_of_the_class_or_a_subclass_gets_the_text_and_keeps_its_class() -> None:
    with pytest.raises(UserNotFound, match=r"^gone$"), reworded(NotFound, "gone"):
        raise UserNotFound("user not found: alice")


def test_error_of_another_class_passes_unchanged() -> None:
    with pytest.raises(InvalidArgument, match=r"^empty$"), reworded(NotFound, "gone"):
        raise InvalidArgument("empty")


def test_error_may_become_one_of_another_class() -> None:
    with pytest.raises(RequestRefused) as refusal, reworded(NotFound, "gone", instead=InvalidGrant):
        raise NotFound("role not found: reader")
    assert (type(refusal.value), str(refusal.value)) == (InvalidGrant, "gone")


def test_text_of_the_service_is_not_in_the_traceback() -> None:
    with pytest.raises(NotFound) as refusal, reworded(NotFound, "gone"):
        raise NotFound("user not found: alice")
    assert refusal.value.__suppress_context__
