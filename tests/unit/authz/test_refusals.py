"""Refusals name the object on which a privilege is missing, wherever they are not read as those of Milvus."""

import pytest

from kiteward.authz.model import Policy
from kiteward.authz.policy import Condition, PolicySnapshot, decide
from kiteward.authz.privileges import PRIVILEGES
from kiteward.authz.refusals import on_object
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.identity import Principal

ALICE = Principal("alice")
NOTHING = PolicySnapshot.compile(Policy(1, (), (), ()))


@pytest.mark.parametrize(
    ("privilege", "name", "place"),
    [
        ("ManageRLS", "docs", "research.docs"),
        ("Query", "docs", "research.docs"),
        ("DropCollection", "docs", "research.docs"),
        ("SelectUser", "bob", "bob"),
    ],
)
def test_the_object_is_named_where_a_grant_on_it_would_be_enough(privilege: str, name: str, place: str) -> None:
    condition = Condition(PRIVILEGES[privilege], "research", (name,))
    decision = decide(ALICE, (condition,), NOTHING)
    told = on_object(decision, ALICE, condition, name)
    assert told.detail == ErrorDetail(ErrorCode.PRIVILEGE_MISSING_ON, {"privilege": privilege, "object": place})
    assert told.message == f"Privilege{privilege}: permission deny to alice on `{place}`"
    assert (told.allowed, told.reason) == (False, decision.reason)


@pytest.mark.parametrize("name", ["", "*"])
@pytest.mark.parametrize("privilege", ["Query", "ShowCollections", "CreateOwnership", "SelectUser"])
def test_without_an_object_the_database_is_named(privilege: str, name: str) -> None:
    condition = Condition(PRIVILEGES[privilege], "research", (name or "*",))
    decision = decide(ALICE, (condition,), NOTHING)
    assert on_object(decision, ALICE, condition, name) == decision


@pytest.mark.parametrize("privilege", ["ShowCollections", "CreateOwnership"])
def test_a_privilege_that_no_object_gives_names_none(privilege: str) -> None:
    condition = Condition(PRIVILEGES[privilege], "research")
    decision = decide(ALICE, (condition,), NOTHING)
    assert on_object(decision, ALICE, condition, "docs") == decision


def test_other_decisions_are_as_they_were() -> None:
    condition = Condition(PRIVILEGES["UpdateUser"], names=("alice",), not_oneself=True)
    for principal in (ALICE, Principal("root", unrestricted=True)):
        decision = decide(principal, (condition,), NOTHING)
        assert on_object(decision, principal, condition, "alice") == decision
