"""`kiteward roles`, `grants` and others: what is shown of everybody's role, and of what changes nothing."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.support.command_line import Run, on
from tests.unit.cli import conftest

from kiteward.cli.remote import sentence


@pytest.fixture
def run_near(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    run = on(tmp_path / "data", capsys)
    run("roles", "create", "reader")
    run("roles", "add-member", "reader", "alice")
    run("groups", "create", "mine", "--privilege", "Search")
    return run


def test_everybody_holds_public_near_and_far(run: conftest.Run, served: SimpleNamespace) -> None:
    for where in (("--data-dir", served.data), ("--server", served.url, "--token-file", served.token)):
        listed = run("roles", "list", *where)[1].splitlines()
        assert next(line for line in listed if line.startswith("public")).split()[1:3] == ["all", "users"]
        assert "users: all users" in run("roles", "describe", "public", *where)[1].splitlines()
        rows = {row["roleName"]: row for row in json.loads(run("roles", "list", "--json", *where)[1])}
        assert (rows["public"]["members"], rows["public"]["allUsers"], rows["admin"]["allUsers"]) == (0, True, False)
        assert json.loads(run("roles", "describe", "public", "--json", *where)[1])["allUsers"] is True


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("grants", "revoke", "reader", "Search", "--collection", "docs"),
            ["nothing was changed", "kiteward: the role reader does not hold Search on default.docs"],
        ),
        (
            ("grants", "revoke", "reader", "Search", "--database", "*"),
            ["nothing was changed", "kiteward: the role reader does not hold Search on *.*"],
        ),
        (("group-roles", "revoke", "scim", "g", "reader"), ["nothing was changed: the group does not give the role"]),
        (("limits", "delete", "--user", "alice"), ["nothing was changed: there are no limits"]),
        (("tags", "delete", "team", "--user", "alice"), ["nothing was changed: there are no such tags"]),
        (
            ("groups", "add", "mine", "Search"),
            ["nothing was changed", "kiteward: the privilege group mine already has Search"],
        ),
        (
            ("groups", "remove", "mine", "Query"),
            ["nothing was changed", "kiteward: the privilege group mine does not have Query"],
        ),
        (("roles", "remove-member", "reader", "db_admin"), ["db_admin: as it was"]),
        (("users", "enable", "alice"), ["nothing was changed: the user is not disabled"]),
        (("users", "unlock", "alice"), ["nothing was changed: the user is not locked"]),
    ],
)
def test_a_change_that_changes_nothing_is_done_and_says_so(
    run_near: Run, words: tuple[str, ...], told: list[str]
) -> None:
    status, printed = run_near(*words)
    assert (status, printed.splitlines()) == (0, told)


def test_what_was_changed_and_what_was_not_are_told_apart(run_near: Run) -> None:
    grants = ("reader", "Search", "Insert", "--collection", "docs")
    run_near("grants", "grant", "reader", "Search", "--collection", "docs")
    held = "kiteward: the role reader already holds Search on default.docs"
    assert run_near("grants", "grant", *grants, "--dry-run")[1].splitlines() == [
        "granted Insert on default.docs",
        "users whom this concerns: alice",
        held,
        "kiteward: nothing was changed: this is what would be without --dry-run",
        "kiteward: Insert allows nothing yet: the collection default.docs does not exist",
    ]
    _, printed = run_near("grants", "revoke", *grants)
    assert printed.splitlines() == [
        "revoked Search on default.docs",
        "users whom this concerns: alice",
        "kiteward: the role reader does not hold Insert on default.docs",
    ]


def test_a_change_of_a_group_says_what_was_changed(run_near: Run) -> None:
    assert run_near("groups", "add", "mine", "Query", "Search") == (
        0,
        "added Query\nkiteward: the privilege group mine already has Search\n",
    )
    assert run_near("groups", "remove", "mine", "Query") == (0, "removed Query\n")


@pytest.mark.parametrize(
    "words",
    [
        ("grants", "grant", "reader", "Isert", "--collection", "docs"),
        ("grants", "revoke", "reader", "Isert", "--collection", "docs"),
        ("grants", "revoke", "reader", "Isert", "--object-type", "Collection", "--collection", "docs"),
        ("grants", "list", "--privilege", "Isert"),
        ("groups", "add", "mine", "Isert"),
        ("groups", "remove", "mine", "Isert"),
        ("groups", "create", "other", "--privilege", "Isert"),
    ],
)
def test_a_misspelt_privilege_is_refused_with_what_is_meant(run_near: Run, words: tuple[str, ...]) -> None:
    told = "kiteward: no such privilege or privilege group: Isert; did you mean Insert?\n"
    assert run_near(*words) == (1, told)


def test_a_change_of_a_group_that_is_built_in_is_refused_as_that(run_near: Run) -> None:
    for change in ("add", "remove"):
        assert run_near("groups", change, "ClusterAdmin", "Search") == (
            1,
            "kiteward: the privilege group ClusterAdmin is built in and cannot be changed\n",
        )


def test_what_is_refused_is_told_in_plain_words(run: conftest.Run, served: SimpleNamespace) -> None:
    token = Path(served.token).with_name("alice")
    token.write_text("alice:Alice-pass-1\n")
    password = token.with_name("password")
    password.write_text("Alice-pass-1\n")
    assert run("users", "create", "alice", "--password-file", str(password), "--data-dir", served.data)[0] == 0
    far = ("--server", served.url, "--token-file", str(token))
    for words, told in (
        (("groups", "list"), "alice lacks the privilege ListPrivilegeGroups, which is needed in all databases"),
        (("users", "list"), "alice may not do this: an administrator is needed"),
    ):
        assert run(*words, *far) == (1, "", f"kiteward: {told}\n")


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            "PrivilegeQuery: permission deny to alice in the `research` database",
            "alice lacks the privilege Query, which is needed in the database research",
        ),
        (
            "PrivilegeQuery: permission deny to alice in the `*` database",
            "alice lacks the privilege Query, which is needed in all databases",
        ),
        (
            "PrivilegeManageRLS: permission deny to alice on `default.docs`",
            "alice lacks the privilege ManageRLS on default.docs",
        ),
        ("invalid user name `permission deny to`", "invalid user name `permission deny to`"),
    ],
)
def test_a_refusal_says_where_the_privilege_is_needed(message: str, told: str) -> None:
    assert sentence(message) == told
