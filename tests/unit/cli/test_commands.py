"""The whole command line: each command can be asked for JSON, each request has an endpoint, messages name options."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from kiteward.api.rest.endpoint_table import TABLE
from kiteward.cli import access, accounts, audit, collections, roles, row_policies
from kiteward.cli.commands import Command, in_words_of
from kiteward.cli.main import main, whole_parser
from kiteward.cli.option_rows import NAMES, OPTIONS
from kiteward.cli.output import table
from kiteward.domain.errors import InvalidArgument
from kiteward.iam.json_api import ADMIN_OPERATIONS

COMMANDS: list[Command] = [
    *(command for _, group, _ in accounts.GROUPS for command in group),
    *roles.ROLES,
    *roles.GRANTS,
    *roles.PRIVILEGE_GROUPS,
    *collections.COLLECTIONS,
    *row_policies.POLICIES,
    *access.COMMANDS,
    audit.SHOW,
]

WITHOUT_JSON = {"serve", "completion", "policy schema", "backup key"}
"""A server, a script for a shell, what is JSON anyway, and what only writes a file."""

ELSEWHERE = {"audit/search", "policy/export", "policy/plan", "policy/apply"}
"""Endpoints that commands ask which are made of no table."""

OVERVIEW = {"access/credentials", "collections/sizes", "server/activity"}
"""Endpoints for the charts and lists of the console's first page."""

MANY_IN_ONE_STEP = {"users/change", "api_keys/change", "group_roles/change"}
"""Endpoints for lists with boxes to tick: commands change one at a time."""


def leaves(parser: argparse.ArgumentParser, path: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    groups = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    if not groups:
        yield path, parser
    for group in groups:
        for word, below in group.choices.items():
            yield from leaves(below, f"{path} {word}".strip())


def name_of(command: Command) -> str:
    return f"{command.path} {command.word}"


def test_every_command_prints_json_if_asked_to() -> None:
    lacking = {path for path, parser in leaves(whole_parser()) if "--json" not in parser._option_string_actions}
    assert lacking == WITHOUT_JSON


def test_every_argument_has_a_help_text() -> None:
    lacking = [
        (path, action.dest) for path, parser in leaves(whole_parser()) for action in parser._actions if not action.help
    ]
    assert not lacking


def test_every_request_has_an_endpoint() -> None:
    asked = {path for command in COMMANDS for path in (command.path, *command.also)}
    assert {f"/v2/{path}" for path in asked} <= set(TABLE)


def test_every_operation_for_administrators_has_a_command() -> None:
    asked = {path.removeprefix("kiteward/") for command in COMMANDS for path in (command.path, *command.also)}
    wanted = {row.path for row in ADMIN_OPERATIONS.values() if row.administrators and row.rest}
    assert wanted - asked - ELSEWHERE - OVERVIEW - MANY_IN_ONE_STEP == set()


@pytest.mark.parametrize("command", [each for each in COMMANDS if each.work is None], ids=name_of)
def test_a_request_has_the_members_that_its_endpoint_takes(command: Command) -> None:
    body = TABLE[f"/v2/{command.path}"].body
    taken = {each.encode_name for each in msgspec.structs.fields(body)}
    assert {row.field for row in command.rows} <= taken


@pytest.mark.parametrize("command", COMMANDS, ids=name_of)
def test_columns_of_a_table_are_members_of_its_rows(command: Command) -> None:
    if not command.columns:
        return
    data = TABLE[f"/v2/{command.path}"].data
    rows = next(each for each in msgspec.structs.fields(data) if each.encode_name == command.lists)
    (row,) = rows.type.__args__
    assert set(command.columns) <= {each.encode_name for each in msgspec.structs.fields(row)}


@pytest.mark.parametrize("command", COMMANDS, ids=name_of)
def test_messages_name_options_of_the_command_and_no_members(command: Command) -> None:
    for row in command.rows:
        for given in (f"`{row.field}` is wrong", f"Expected `int` - at `$.{row.field}`", f"`{row.field}[0]` is wrong"):
            text = in_words_of(command.rows, InvalidArgument(given, field=row.field), {})
            assert row.field not in text.replace(row.shown, "")
            assert row.shown in text
        if not row.field.islower():
            assert in_words_of(command.rows, InvalidArgument(f"give {row.field}!"), {}) == f"give {row.shown}!"


def test_what_a_user_typed_is_not_mistaken_for_a_member() -> None:
    create = next(each for each in accounts.USERS if each.word == "create")
    error = InvalidArgument("invalid user name `roles`", field="userName")
    assert in_words_of(create.rows, error, {"userName": "roles"}) == "invalid user name `roles`"


def test_a_lifetime_is_told_in_the_days_that_the_option_takes() -> None:
    create = next(each for each in accounts.KEYS if each.word == "create")
    error = InvalidArgument("`expiresIn` must be from 1 to 864000 seconds", field="expiresIn")
    assert in_words_of(create.rows, error, {}) == "--expires-in-days must be more than 0, and at most 10"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["keys", "create", "a", "--expires-in-days", "0"], "give a number of days, more than 0"),
        (["keys", "create", "a", "--expires-in-days", "nan"], "give a number of days, more than 0"),
        (["keys", "rotate", "a", "--keep-old-for", "-1"], "give a whole number from 0 on"),
        (["limits", "set", "--user", "a", "--burst", "0"], "give a whole number from 1 on"),
        (["limits", "set", "--user", "a", "--requests-per-second", "inf"], "more than 0"),
        (["access", "--unused-since", "yesterday"], "give a time such as 2026-11-27"),
        (["audit", "show", "last"], "give a whole number from 1 on"),
        (["audit", "tail", "-n", "-5"], "give a whole number from 0 on"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_what_would_be_right(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert told in capsys.readouterr().err


def test_a_period_of_the_trail_in_which_nothing_can_be_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "audit").mkdir()
    words = ["--since", "2026-11-27", "--until", "2026-11-27"]
    assert main(["audit", "search", *words, "--data-dir", str(tmp_path)]) == 2
    assert "--until must be later than --since" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Serch", "--operation: there is no operation Serch; did you mean Search"),
        # What has lines without being an operation: starts and stops, and calls of what does not exist.
        ("Stop", ""),
        ("Bootstrap", ""),
        ("NobodyKnowsIt", ""),
    ],
)
def test_any_name_is_searched_for_and_one_that_is_mistyped_is_told(
    name: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "audit").mkdir()
    assert main(["audit", "search", "--operation", name, "--data-dir", str(tmp_path)]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    note, _, last = shown.err.rpartition("kiteward: ")
    assert last == "no line matches\n"
    assert told in note
    assert bool(note) == bool(told)


def test_a_table_on_a_terminal_is_as_wide_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"name": "a" * 30, "text": "b" * 100, "enabled": True}]
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, table(rows).splitlines())) > 100
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    lines = table(rows).splitlines()
    assert max(map(len, lines)) <= 60
    assert "…" in lines[1]
    assert lines[1].endswith("yes")
    assert max(map(len, table(rows, whole=True).splitlines())) > 100


def test_no_text_of_the_store_controls_the_terminal() -> None:
    shown = table([{"description": '\x1b[31mred\nline \x9b31m "\x7f" \u202eleft'}]).splitlines()
    assert shown[1:] == [r"\u001b[31mred\nline \u009b31m \"\u007f\" \u202eleft"]


def test_options_and_names_are_all_used() -> None:
    assert {key for command in COMMANDS for key in command.options} == set(OPTIONS)
    assert {key for command in COMMANDS for key in command.names} == set(NAMES)
