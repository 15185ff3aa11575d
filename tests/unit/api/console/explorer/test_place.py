"""What a user may do, from what its roles hold."""

import pytest

from kiteward.api.console.explorer.place import Rights


@pytest.mark.parametrize(
    ("held", "allowed"),
    [
        ({("default", "docs"): frozenset({"Query"})}, True),
        ({("default", "*"): frozenset({"Query"})}, True),
        ({("*", "*"): frozenset({"Query"})}, True),
        ({("default", "docs"): frozenset({"Search"})}, False),
        ({("default", "other"): frozenset({"Query"})}, False),
        ({("other", "*"): frozenset({"Query"})}, False),
        ({}, False),
    ],
)
def test_privilege_counts_on_the_collection_its_database_and_everywhere(
    held: dict[tuple[str, str], frozenset[str]], allowed: bool
) -> None:
    assert Rights(administrator=False, held=held).may("Query", "default", "docs") is allowed


def test_administrator_may_everything_and_others_what_needs_no_privilege() -> None:
    assert Rights(administrator=True, held={}).may("DropDatabase", "default")
    nobody = Rights(administrator=False, held={})
    assert nobody.may("ListDatabases", "default")
    assert not nobody.may("CreateDatabase", "default")
    assert Rights(administrator=False, held={}, cluster=frozenset({"CreateDatabase"})).may("CreateDatabase", "default")
