from typing import Any

import pytest
from tests.support.scim import group, user

from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import InvalidArgument
from kiteward.iam.scim.resources import LONGEST_TEXT, accepted
from kiteward.iam.scim.schemas import GROUP, SCHEMAS, USER, USER_URN, Kind, Mutability


def test_names_of_attributes_are_read_in_any_case_and_with_the_schema() -> None:
    body = {"schemas": [USER_URN.upper()], "USERNAME": "a", f"{USER_URN}:displayName": "A", "name": {"GIVENNAME": "A"}}
    assert accepted(USER, body) == {"userName": "a", "displayName": "A", "name": {"givenName": "A"}}


def test_what_clients_cannot_set_and_what_is_not_kept_is_left_out() -> None:
    body = user("a", id="7", groups=[{"value": "1"}], meta={}, password="secret", phoneNumbers=[{}], shoeSize=7)
    assert accepted(USER, body) == {"userName": "a"}


def test_null_and_an_empty_list_are_no_value() -> None:
    assert accepted(USER, user("a", displayName=None, emails=[], name=None)) == {"userName": "a"}


def test_entra_sends_booleans_as_text() -> None:
    body = user("a", active="False", emails=[{"value": "x", "primary": "True"}])
    assert accepted(USER, body) == {"userName": "a", "active": False, "emails": [{"value": "x", "primary": True}]}


def test_an_address_of_a_directory_is_kept_as_it_is() -> None:
    assert accepted(USER, user("a", emails=[{"value": "alice@corp.local"}]))["emails"] == [
        {"value": "alice@corp.local"}
    ]


def test_a_member_counts_once() -> None:
    assert accepted(GROUP, group("Team", "1", "2", "1"))["members"] == [
        {"value": "1", "type": "User"},
        {"value": "2", "type": "User"},
    ]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"userName": "a"}, ErrorCode.SCIM_SYNTAX_INVALID),
        ({"schemas": "x", "userName": "a"}, ErrorCode.SCIM_SYNTAX_INVALID),
        ({"schemas": [7], "userName": "a"}, ErrorCode.SCIM_SYNTAX_INVALID),
        (group("Team"), ErrorCode.SCIM_SYNTAX_INVALID),
        ({**user("a"), "USERNAME": "b"}, ErrorCode.SCIM_SYNTAX_INVALID),
        ({"schemas": [USER_URN]}, ErrorCode.SCIM_VALUE_INVALID),
        (user(""), ErrorCode.SCIM_VALUE_INVALID),
        (user("a", displayName=7), ErrorCode.SCIM_VALUE_INVALID),
        (user("a", displayName="x" * (LONGEST_TEXT + 1)), ErrorCode.SCIM_VALUE_INVALID),
        (user("a", displayName="\0"), ErrorCode.SCIM_VALUE_INVALID),
        (user("a", name="A"), ErrorCode.SCIM_VALUE_INVALID),
        (user("a", name={}), ErrorCode.SCIM_VALUE_INVALID),
        (
            user("a", emails=[{"value": "1", "primary": True}, {"value": "2", "primary": True}]),
            ErrorCode.SCIM_VALUE_INVALID,
        ),
    ],
)
def test_a_wrong_resource_is_refused_with_its_reason(body: Any, code: ErrorCode) -> None:
    with pytest.raises(InvalidArgument) as refused:
        accepted(USER, body)
    assert refused.value.code is code


def test_errors_contain_no_values() -> None:
    with pytest.raises(InvalidArgument) as refused:
        accepted(USER, user("a", displayName=["confidential"]))
    assert "confidential" not in str(refused.value)


def test_schemas_describe_every_attribute_as_rfc_7643_wants() -> None:
    for schema in SCHEMAS.values():
        for attribute in schema.attributes:
            described = attribute.document()
            assert described["description"]
            assert (attribute.kind is Kind.COMPLEX) is ("subAttributes" in described)
            assert attribute.mutability in Mutability
            assert attribute.name.lower() not in schema.not_kept
