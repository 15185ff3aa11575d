"""Where the reason of a refusal is shown: at the field whose argument is at fault, else above the form."""

from collections.abc import Iterable
from typing import cast

import pytest

from kiteward.api.console.forms import Field, reason_at_field
from kiteward.api.console.request import ConsoleRequest, Reason
from kiteward.domain.error_codes import ErrorDetail
from kiteward.domain.errors import InvalidArgument

FIELDS = (Field("user_name"), Field("new_password"))


class Asked:
    """A request whose page says of an error which codes it has."""

    @staticmethod
    def reason(details: Iterable[ErrorDetail]) -> Reason:
        return Reason(" ".join(detail.code for detail in details))


@pytest.mark.parametrize(
    ("argument", "field"),
    [("userName", "user_name"), ("newPassword", "new_password"), ("password", "new_password"), ("roles", ""), ("", "")],
)
def test_reason_stands_at_the_field_of_the_argument_at_fault(argument: str, field: str) -> None:
    error = InvalidArgument("not so: password", field=argument)
    request = cast("ConsoleRequest", Asked())
    at = reason_at_field(request, error, FIELDS, password="new_password")
    assert at == {field: Reason("invalid_argument")}
