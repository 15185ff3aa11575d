from typing import Any

import pytest
from tests.support.scim import patch

from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import InvalidArgument
from kiteward.iam.scim import patching
from kiteward.iam.scim.patching import PATCH_URN, operations_of, patched, relevant
from kiteward.iam.scim.resources import MOST_VALUES
from kiteward.iam.scim.schemas import GROUP, USER

WORK = {"value": "a@work.example", "type": "work", "primary": True}
HOME = {"value": "a@home.example", "type": "home"}
ALICE = {"userName": "alice", "active": True, "name": {"givenName": "A", "familyName": "B"}, "emails": [WORK, HOME]}
TEAM = {"displayName": "Team", "members": [{"value": "1", "type": "User"}, {"value": "2", "type": "User"}]}


def changed(schema: Any, resource: Any, *operations: Any) -> Any:
    before = repr(resource)
    after = patched(schema, resource, relevant(schema, operations_of(patch(*operations))))
    assert repr(resource) == before, "the resource itself was changed"
    return after


def user(*operations: Any) -> Any:
    return changed(USER, ALICE, *operations)


def members(*operations: Any) -> list[str]:
    return [each["value"] for each in changed(GROUP, TEAM, *operations).get("members", [])]


@pytest.mark.parametrize("op", ["replace", "Replace", "REPLACE", "add", "Add"])
@pytest.mark.parametrize("value", [False, "False", "false"])
def test_a_user_is_deactivated_however_the_operation_is_spelled(op: str, value: Any) -> None:
    assert user({"op": op, "path": "active", "value": value})["active"] is False
    assert user({"op": op, "value": {"active": value}})["active"] is False
    assert user({"Op": op, "Path": "ACTIVE", "Value": value})["active"] is False


def test_a_part_is_replaced_and_the_others_stay() -> None:
    assert user({"op": "replace", "path": "name.familyName", "value": "C"})["name"] == {
        "givenName": "A",
        "familyName": "C",
    }
    assert user({"op": "replace", "path": "name", "value": {"familyName": "C"}})["name"]["givenName"] == "A"
    assert user({"op": "replace", "value": {"name.familyName": "C"}})["name"] == {"givenName": "A", "familyName": "C"}


def test_operations_are_applied_one_after_another() -> None:
    done = user({"op": "remove", "path": "emails"}, {"op": "add", "path": "emails", "value": [HOME]})
    assert done["emails"] == [HOME]


def test_values_are_added_to_a_list_and_those_that_are_there_stay_once() -> None:
    new = {"value": "new@example.com", "type": "other"}
    assert user({"op": "add", "path": "emails", "value": [new, HOME]})["emails"] == [WORK, HOME, new]
    assert user({"op": "add", "path": "emails", "value": new})["emails"] == [WORK, HOME, new]
    assert user({"op": "replace", "path": "emails", "value": [new]})["emails"] == [new]


def test_a_new_primary_value_ends_the_earlier_one() -> None:
    new = {"value": "new@example.com", "primary": True}
    assert [each.get("primary") for each in user({"op": "add", "path": "emails", "value": new})["emails"]] == [
        False,
        None,
        True,
    ]
    chosen = user({"op": "replace", "path": 'emails[type eq "home"].primary', "value": True})["emails"]
    assert [each.get("primary") for each in chosen] == [False, True]


def test_a_value_is_selected_by_a_filter() -> None:
    path = 'emails[type eq "work"]'
    assert user({"op": "replace", "path": f"{path}.value", "value": "x@y"})["emails"][0] == {**WORK, "value": "x@y"}
    assert user({"op": "replace", "path": path, "value": {"value": "x@y"}})["emails"][0] == {"value": "x@y"}
    assert user({"op": "add", "path": path, "value": {"display": "W"}})["emails"][0] == {**WORK, "display": "W"}
    assert user({"op": "remove", "path": path})["emails"] == [HOME]
    assert user({"op": "remove", "path": f"{path}.primary"})["emails"][0] == {
        "value": "a@work.example",
        "type": "work",
    }


@pytest.mark.parametrize("op", ["Add", "Replace"])
def test_entra_fills_a_value_that_its_filter_describes_and_that_is_not_there(op: str) -> None:
    done = user({"op": op, "path": 'emails[type eq "other"].value', "value": "o@example.com"})
    assert done["emails"][-1] == {"type": "other", "value": "o@example.com"}


@pytest.mark.parametrize("value", [None, []])
def test_no_value_removes(value: Any) -> None:
    assert "emails" not in user({"op": "replace", "path": "emails", "value": value})
    assert "name" not in user({"op": "replace", "path": "name", "value": value})


def test_what_is_not_kept_changes_nothing_and_the_rest_of_the_request_counts() -> None:
    enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    done = user(
        {"op": "Add", "path": f"{enterprise}:department", "value": "secret"},
        {"op": "Add", "path": "phoneNumbers", "value": [{"value": "1"}]},
        {"op": "Replace", "value": {f"{enterprise}:manager": "x", enterprise: {"department": "x"}, "title": "x"}},
        {"op": "Replace", "path": "displayName", "value": "Alice"},
    )
    assert done == {**ALICE, "displayName": "Alice"}


def test_what_is_not_kept_is_not_even_passed_on() -> None:
    sent = patch(
        {"op": "replace", "path": "password", "value": "secret"},
        {"op": "replace", "value": {"password": "secret", "displayName": "A", "id": "7"}},
    )
    assert [each.value for each in relevant(USER, operations_of(sent))] == [{"displayName": "A"}]


@pytest.mark.parametrize("path", ["name", "displayName", "name.familyName", "emails", "active", ""])
def test_members_that_no_attribute_has_are_not_even_passed_on(path: str) -> None:
    hidden = {"password": "secret", "familyName": {"password": "secret"}, "value": [{"password": "secret"}]}
    value: object = hidden if path else {"name": hidden, "emails": [hidden], "displayName": hidden}
    passed = relevant(USER, operations_of(patch({"op": "replace", "path": path, "value": value})))
    assert passed
    assert "secret" not in str(passed)


def test_okta_names_the_id_in_an_operation_without_a_path() -> None:
    done = changed(GROUP, TEAM, {"op": "replace", "value": {"id": "abc", "displayName": "New"}})
    assert done == {**TEAM, "displayName": "New"}


@pytest.mark.parametrize(
    ("operation", "left"),
    [
        ({"op": "add", "path": "members", "value": [{"value": "3"}]}, ["1", "2", "3"]),
        ({"op": "add", "path": "members", "value": [{"value": "2", "display": "B", "$ref": "…"}]}, ["1", "2"]),
        ({"op": "Add", "path": "members", "value": [{"value": "3"}, {"value": "3"}]}, ["1", "2", "3"]),
        ({"op": "add", "value": {"members": [{"value": "3"}]}}, ["1", "2", "3"]),
        ({"op": "replace", "path": "members", "value": [{"value": "3"}]}, ["3"]),
        ({"op": "replace", "value": {"members": [{"value": "3"}]}}, ["3"]),
        ({"op": "remove", "path": 'members[value eq "1"]'}, ["2"]),
        ({"op": "remove", "path": 'members[value eq "9"]'}, ["1", "2"]),
        ({"op": "Remove", "path": "members", "value": [{"value": "1"}]}, ["2"]),
        ({"op": "Remove", "path": "members", "value": [{"$ref": None, "value": "9"}]}, ["1", "2"]),
        ({"op": "remove", "path": "members", "value": {"value": "2"}}, ["1"]),
        ({"op": "remove", "path": "members"}, []),
        ({"op": "replace", "path": "members", "value": []}, []),
    ],
)
def test_members_come_and_go_in_every_spelling(operation: Any, left: list[str]) -> None:
    assert members(operation) == left


@pytest.mark.parametrize(
    ("operation", "code"),
    [
        ({"op": "replace", "path": "id", "value": "x"}, ErrorCode.SCIM_READ_ONLY),
        ({"op": "add", "path": "groups", "value": [{"value": "x"}]}, ErrorCode.SCIM_READ_ONLY),
        ({"op": "replace", "path": "meta.created", "value": "x"}, ErrorCode.SCIM_READ_ONLY),
        ({"op": "remove", "path": "userName"}, ErrorCode.SCIM_READ_ONLY),
        ({"op": "replace", "path": "userName", "value": None}, ErrorCode.SCIM_READ_ONLY),
        ({"op": "remove", "path": "active"}, ErrorCode.SCIM_READ_ONLY),
        ({"op": "replace", "path": "active", "value": None}, ErrorCode.SCIM_READ_ONLY),
        ({"op": "replace", "path": "userName", "value": ""}, ErrorCode.SCIM_VALUE_INVALID),
        ({"op": "replace", "path": "userName", "value": 7}, ErrorCode.SCIM_VALUE_INVALID),
        ({"op": "replace", "path": "userName", "value": "\ud800"}, ErrorCode.SCIM_VALUE_INVALID),
        ({"op": "replace", "path": "active", "value": "no"}, ErrorCode.SCIM_VALUE_INVALID),
        ({"op": "replace", "path": "active", "value": 1}, ErrorCode.SCIM_VALUE_INVALID),
        ({"op": "replace", "path": "name", "value": "A B"}, ErrorCode.SCIM_VALUE_INVALID),
        ({"op": "add", "path": "displayName"}, ErrorCode.SCIM_VALUE_INVALID),
        ({"op": "add", "value": "x"}, ErrorCode.SCIM_VALUE_INVALID),
        (
            {"op": "add", "path": "emails", "value": [{**WORK, "value": str(n)} for n in range(2)]},
            ErrorCode.SCIM_VALUE_INVALID,
        ),
        (
            {"op": "add", "path": "emails", "value": [{"value": str(n)} for n in range(101)]},
            ErrorCode.SCIM_VALUE_INVALID,
        ),
        ({"op": "remove"}, ErrorCode.SCIM_NO_TARGET),
        ({"op": "replace", "path": 'emails[type eq "x"]', "value": {"value": "x"}}, ErrorCode.SCIM_NO_TARGET),
        ({"op": "replace", "path": 'emails[type pr and value sw "x"].value', "value": "x"}, ErrorCode.SCIM_NO_TARGET),
        ({"op": "replace", "path": "shoeSize", "value": 7}, ErrorCode.SCIM_PATH_INVALID),
        ({"op": "replace", "value": {"shoeSize": 7}}, ErrorCode.SCIM_PATH_INVALID),
        ({"op": "replace", "path": 7, "value": 7}, ErrorCode.SCIM_PATH_INVALID),
        ({"op": "replace", "path": "emails[type is 5].value", "value": "x"}, ErrorCode.SCIM_FILTER_INVALID),
        ({"op": "move", "path": "userName", "value": "x"}, ErrorCode.SCIM_SYNTAX_INVALID),
        ("replace", ErrorCode.SCIM_SYNTAX_INVALID),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_reason(operation: Any, code: ErrorCode) -> None:
    with pytest.raises(InvalidArgument) as refused:
        user(operation)
    assert refused.value.code is code


@pytest.mark.parametrize(
    "value",
    [[{"value": "1", "type": "Group"}], [{"display": "no id"}], [{"value": ""}], [7], "", {"value": 7}],
)
def test_members_are_users_with_an_id(value: Any) -> None:
    with pytest.raises(InvalidArgument) as refused:
        members({"op": "add", "path": "members", "value": value})
    assert refused.value.code is ErrorCode.SCIM_VALUE_INVALID


def test_a_member_is_not_changed_into_another() -> None:
    with pytest.raises(InvalidArgument) as refused:
        members({"op": "replace", "path": 'members[value eq "1"].value', "value": "3"})
    assert refused.value.code is ErrorCode.SCIM_READ_ONLY


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"schemas": [PATCH_URN]},
        {"schemas": [PATCH_URN], "Operations": []},
        {"schemas": [PATCH_URN], "Operations": {}},
        {"schemas": [], "Operations": [{"op": "remove", "path": "emails"}]},
        {"Operations": [{"op": "remove", "path": "emails"}]},
        {"schemas": [PATCH_URN], "Operations": [{"op": "remove", "path": "emails"}] * 1001},
    ],
)
def test_a_body_that_is_no_patch_is_refused(body: Any) -> None:
    with pytest.raises(InvalidArgument) as refused:
        operations_of(body)
    assert refused.value.code is ErrorCode.SCIM_SYNTAX_INVALID


def test_members_that_are_held_are_not_read_again_for_each_operation(monkeypatch: pytest.MonkeyPatch) -> None:
    held = {"displayName": "G", "members": [{"value": str(number), "type": "User"} for number in range(500)]}
    read: list[object] = []

    def counted(function: Any) -> Any:
        def counting(about: Any, value: Any) -> Any:
            read.append(value)
            return function(about, value)

        return counting

    for name in ("typed", "matches"):
        monkeypatch.setattr(patching, name, counted(getattr(patching, name)))
    added = [{"op": "add", "path": "members", "value": [{"value": f"new {number}"}]} for number in range(50)]
    removed = [{"op": "remove", "path": f'members[value eq "{number}"]'} for number in range(50)]
    found = [each["value"] for each in changed(GROUP, held, *added, *removed)["members"]]
    assert found == [str(number) for number in range(50, 500)] + [f"new {number}" for number in range(50)]
    assert len(read) == len(added) + len(removed)


def test_operations_do_not_add_more_values_than_an_attribute_may_have() -> None:
    full = {"userName": "a", "emails": [{"value": f"{number}@x.example"} for number in range(MOST_VALUES)]}
    one_more = {"op": "add", "path": "emails", "value": [{"value": "one.more@x.example"}]}
    with pytest.raises(InvalidArgument, match="has more than"):
        changed(USER, full, one_more)
    assert len(changed(USER, full, {**one_more, "value": [{"value": "0@x.example"}]})["emails"]) == MOST_VALUES
