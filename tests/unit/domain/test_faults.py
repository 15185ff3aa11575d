"""Everything that is wrong with a request, found one check after another."""

import pytest

from kiteward.domain.errors import EngineUnavailable, InvalidArgument
from kiteward.domain.faults import Faults


def test_the_first_refusal_is_raised_and_has_the_others() -> None:
    first, second, faults = InvalidArgument("a", field="a"), InvalidArgument("b", field="b"), Faults()
    for error in (first, second):
        with faults:
            raise error
    with pytest.raises(InvalidArgument) as raised:
        faults.require_none()
    assert (raised.value, raised.value.others) == (first, (second,))


def test_nothing_is_raised_where_nothing_is_wrong_and_other_errors_are_not_kept() -> None:
    faults = Faults()
    with pytest.raises(EngineUnavailable), faults:
        raise EngineUnavailable("away")
    with faults:
        pass
    faults.require_none()
