"""What grants cover: by a wider scope, a larger group, several together; and privileges in few names."""

import pytest

from kiteward.authz.coverage import Coverage, summed_up
from kiteward.authz.model import GrantKey, PrivilegeGroup
from kiteward.authz.privileges import BUILT_IN_GROUPS, PRIVILEGES, ObjectType

GROUPS = {"searchers": PrivilegeGroup("searchers", ("Search", "Query"))}


def grant(text: str) -> GrantKey:
    """Return the grant that `Search on default.docs` names."""
    privilege, _, scope = text.partition(" on ")
    database, _, name = scope.partition(".")
    kind = PRIVILEGES[privilege].object_type if privilege in PRIVILEGES else ObjectType.GLOBAL
    return GrantKey(kind, database, name, privilege)


@pytest.mark.parametrize(
    ("held", "wanted", "expected"),
    [
        (["CollectionAdmin on default.*"], "CollectionReadOnly on default.docs", ["CollectionAdmin on default.*"]),
        (["CollectionAdmin on *.*"], "Search on default.docs", ["CollectionAdmin on *.*"]),
        (["CollectionReadOnly on default.docs"], "searchers on default.docs", ["CollectionReadOnly on default.docs"]),
        (["searchers on default.docs"], "Search on default.docs", ["searchers on default.docs"]),
        (["searchers on default.docs"], "CollectionReadOnly on default.docs", []),
        (["CollectionAdmin on default.docs"], "CollectionReadOnly on default.*", []),
        (["CollectionAdmin on other.*"], "Search on default.docs", []),
        (
            ["Search on default.*", "Query on default.docs"],
            "searchers on default.docs",
            ["Search on default.*", "Query on default.docs"],
        ),
        (["CollectionAdmin on default.*"], "CollectionAdmin on default.*", []),
        (["ClusterAdmin on *.*"], "ClusterReadOnly on *.*", ["ClusterAdmin on *.*"]),
        (["ClusterAdmin on *.*"], "ClusterReadOnly on default.*", []),
        (["ClusterReadOnly on *.*"], "ClusterAdmin on *.*", []),
        (["ClusterAdmin on *.*"], "SelectUser on *.*", ["ClusterAdmin on *.*"]),
        ([], "Search on default.docs", []),
    ],
)
def test_a_grant_is_covered_by_those_that_give_all_of_it(held: list[str], wanted: str, expected: list[str]) -> None:
    assert list(Coverage(map(grant, held), GROUPS).of(grant(wanted))) == [grant(each) for each in expected]


def test_privileges_are_summed_up_by_the_largest_groups() -> None:
    held = [*BUILT_IN_GROUPS["CollectionReadWrite"], "ManageRLS"]
    assert summed_up(held, ()) == ["CollectionReadWrite", "ManageRLS"]
    assert summed_up(["Query", "Search", "Insert"], GROUPS.values()) == ["searchers", "Insert"]
    assert summed_up(["Search"], GROUPS.values()) == ["Search"]
    assert summed_up([], GROUPS.values()) == []
