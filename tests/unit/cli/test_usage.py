"""Wrong usage of any command: it ends with 2, and the error names what was given, and no field of the API."""

import itertools
import re
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from tests.support.described import described
from tests.support.server_in_thread import running
from tests.unit.cli.conftest import Run
from tests.unit.cli.test_commands import COMMANDS, leaves, name_of

from kiteward.cli import access, accounts, audit, collections, roles, row_policies
from kiteward.cli.commands import Command, Demand
from kiteward.cli.main import whole_parser
from kiteward.cli.option_rows import NAMES, OPTIONS, Option
from kiteward.cli.options import exit_status_of


def snake(field: str) -> str:
    return re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", field)


def demands_of(command: Command) -> tuple[Demand, ...]:
    return DEMANDS.get(name_of(command), command.demands)


GROUPS = {
    **{word: table for word, table, _ in accounts.GROUPS},
    "roles": roles.ROLES,
    "grants": roles.GRANTS,
    "groups": roles.PRIVILEGE_GROUPS,
    "collections": collections.COLLECTIONS,
    "row-policies": row_policies.POLICIES,
    "audit": (audit.SHOW,),
    "": access.COMMANDS,
}

WORDS = {name_of(command): [*group.split(), command.word] for group, table in GROUPS.items() for command in table}
"""The words that call each command."""

DEMANDS = {"kiteward/access/explain explain": access.ASKED}
"""Demands that depend on more than the options."""

LEAVES = dict(leaves(whole_parser()))

FIELDS = sorted(
    {
        name
        for row in (*NAMES.values(), *OPTIONS.values())
        for name in (row.field, snake(row.field))
        if not name.islower() or "_" in name
    }
)
"""Fields of the API that are no English words, as JSON and as the protocol has them."""

VALUES = {
    "userName": "root",
    "keyId": "nokey",
    "roleName": "public",
    "owner": "root",
    "issuer": "https://idp.example",
    "group": "staff",
    "collectionName": "docs",
    "policyName": "own",
    "privilege": "Search",
    "privileges": "Search",
    "seq": "1",
    "tags": "team=a",
    "actions": "Query",
    "usingExpr": "owner == 'a'",
    "requestsPerSecond": "1",
    "operation": "Search",
}
"""Names and options, with a value that every command takes that has them."""

REFUSED = {
    "usingExpr": ("owner = 'a'", "n", "ownr == 'a'", "owner == $nobody"),
    "checkExpr": ("owner = 'a'", "n", "ownr == 'a'"),
    "roles": ("nobody", "9 lives"),
    "expiresIn": ("99999",),
    "keepOldFor": ("99999999999",),
    "=tags": ("a b=c", f"{'k' * 200}=v"),
    "onDatabase": ("9 lives",),
    "onCollection": ("9 lives",),
    "=policyName": ("9 lives",),
    "privilege": ("Serch",),
    "privileges": ("Serch",),
    "ofPrivilege": ("Serch",),
    "operation": ("Serch",),
    "userName": ("9 lives",),
    "=userName": ("9 lives",),
    "=keyId": ("nokey",),
    "=privilege": ("Serch",),
    "=privileges": ("Serch",),
    "roleName": ("nobody",),
    "=owner": ("nobody",),
    "keyId": ("nokey",),
    "=roleName": ("9 lives",),
    "=otherRoleName": ("nobody",),
    "ofRole": ("nobody",),
    "=source": ("nobody",),
    "=add": ("nobody",),
    "=remove": ("nobody",),
    "=privilegeGroupName": ("9 lives",),
    "burst": ("99999999999",),
    "requestsPerSecond": ("1e300",),
    "concurrentRequests": ("99999999999",),
    "=seq": ("999999999",),
    "=sessionId": ("nosession",),
    "notBefore": ("2999-01-01",),
    "=key": ("a b",),
    "=keys": ("a b",),
}
"""Names and options, with values that only what answers the request can refuse."""

HARMLESS = {
    ("=keys", "delete"),
    ("onDatabase", "revoke"),
    ("=roleName", "revoke"),
    ("=privilege", "revoke"),
    ("onCollection", "revoke"),
}
"""Names and options with words of commands that have nothing to do then, and say so."""

BEFORE = re.compile("no such identity provider|SCIM is not enabled|row policy not found")
"""What is refused first, because these tests have no identity provider, no SCIM, and no row policy."""

FREE = {
    *("prefix", "contains", "toCollection", "toDatabase", "collectionName", "issuer", "=value"),
    *("password", "newPassword"),  # files
    *("dbName", "=collectionName", "primaryKeys"),  # the engine's to refuse, which is a fake here
    *("=issuer", "=group", "subject", "scimUserName"),  # without an identity provider, that is what is refused
    *("=description", "description"),  # see `test_descriptions`
}
"""Names and options of which no value is refused here: what is not there is not found."""


@pytest.fixture(scope="module")
def docs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A server with the collection `docs`, its data directory, and a file with the credential of root."""
    directory = tmp_path_factory.mktemp("docs")
    token = directory / "token"
    token.write_text("root:Milvus\n")
    with running(directory) as (url, engine):
        engine.create("docs")
        engine.answers["DescribeCollection"] = described(owner="VarChar", n="Int64")
        yield SimpleNamespace(data=str(directory / "data"), far=("--server", url, "--token-file", str(token)))


def given(command: Command, **values: str) -> list[str]:
    """The words of a command with what it demands, and these values of names and options."""
    words = [*WORDS[name_of(command)], *(values.pop(f"={name}", VALUES.get(name, "a")) for name in command.names)]
    wanted = {key for key in command.options if OPTIONS[key].how.get("required")}
    for options in [demand.options for demand in demands_of(command) if demand.least]:
        if not values.keys() & set(options):
            wanted.add(options[0])
    if "usingExpr" in command.options and not values.keys() & {"usingExpr", "checkExpr"}:
        wanted.add("usingExpr")
    chosen = {key: VALUES[key] for key in sorted(wanted - values.keys())} | values
    if "checkExpr" in values:
        chosen["actions"] = "Insert"
    return [*words, *(f"{OPTIONS[key].flag}={value}" for key, value in chosen.items())]


def words_of(field: str) -> str:
    return snake(field).replace("_", " ").removesuffix("s")


def takes_text(row: Option) -> bool:
    return not {"type", "choices", "const"} & row.how.keys()


def refused(run: Run, words: list[str], *, status: int = 2) -> str:
    """What a command says that must be refused with this status."""
    ended, printed, told = run(*words)
    assert (ended, printed) == (status, ""), (words, told)
    assert "Traceback" not in told
    return told


@pytest.mark.parametrize("path", LEAVES)
def test_an_option_that_there_is_not_is_wrong_usage(run: Run, path: str) -> None:
    actions = [each for each in LEAVES[path]._actions if each.required and each.nargs != "*"]
    status = 1 if path.startswith("policy ") else 2  # 2 is what `policy plan` says where something would change
    words = [
        f"{each.option_strings[0]}=1" if each.option_strings else str(next(iter(each.choices or ["1"])))
        for each in actions
        if not each.choices or not each.option_strings
    ]
    words += [
        f"{each.option_strings[0]}={next(iter(each.choices))}"
        for each in actions
        if each.option_strings and each.choices
    ]
    assert "--no-such-option" in refused(run, [*path.split(), *words, "--no-such-option"], status=status)
    if actions:
        assert "required" in refused(run, path.split(), status=status)


@pytest.mark.parametrize("word", sorted({path.split()[0] for path in LEAVES if " " in path}))
def test_a_group_without_a_command_is_wrong_usage(run: Run, word: str) -> None:
    # Of `policy` 2 says that something would change.
    assert "COMMAND" in refused(run, [word], status=1 if word == "policy" else 2)


@pytest.mark.parametrize("command", COMMANDS, ids=name_of)
def test_a_value_that_is_empty_or_cannot_be_is_wrong_usage(run: Run, command: Command) -> None:
    for marked, row in [
        *((f"={key}", NAMES[key]) for key in command.names),
        *((key, OPTIONS[key]) for key in command.options),
    ]:
        if row.empty or "const" in row.how:
            continue
        told = refused(run, given(command, **{marked: "" if takes_text(row) else "what cannot be"}))
        if takes_text(row):
            assert told == f"kiteward: {row.shown} must not be empty\n"
        else:
            assert f"argument {row.shown}: " in told


@pytest.mark.parametrize("command", [each for each in COMMANDS if demands_of(each)], ids=name_of)
def test_options_that_are_missing_or_contradict_are_wrong_usage(
    run: Run, docs: SimpleNamespace, command: Command
) -> None:
    where = docs.far if command.needs_server else ("--data-dir", docs.data)
    for demand in demands_of(command):
        flags = [OPTIONS[each].flag for each in demand.options]
        words = [each for each in given(command) if each.partition("=")[0] not in flags]
        if demand.least and command.word != "explain":
            assert all(flag in refused(run, [*words, *where]) for flag in flags)
        for one, other in itertools.combinations(demand.options, 2):
            if demand.most == 1:
                told = refused(run, [*given(command, **{one: "1", other: "1"}), *where])
                assert told.startswith("kiteward: give only one of ")
                assert all(flag in told for flag in flags)


@pytest.mark.parametrize("command", COMMANDS, ids=name_of)
def test_what_is_refused_is_named_as_it_was_given_and_no_field_of_the_api(
    run: Run, docs: SimpleNamespace, command: Command
) -> None:
    where = docs.far if command.needs_server else ("--data-dir", docs.data)
    marked = {**{f"={key}": NAMES[key] for key in command.names}, **{key: OPTIONS[key] for key in command.options}}
    for key, row in marked.items():
        for value in REFUSED.get(key, ()):
            named = {"=userName": "anew"} if command.word == "create" and "userName" in command.names else {}
            status, printed, told = run(*given(command, **named | {key: value}), *where)
            if (key, command.word) in HARMLESS or BEFORE.search(told):
                continue
            # What else is wrong, such as a role to be copied that does not exist, has a line of its own.
            assert (status, printed, told.count("\n")) == (1, "", told.count("kiteward: ")), (key, value, told)
            assert any(each in told for each in (row.shown, value, words_of(row.field))), (key, value, told)
            assert not [field for field in FIELDS if re.search(rf"\b{field}\b", told.replace(value, ""))], told


def test_every_name_and_option_is_held_against_values_that_are_refused() -> None:
    texts = {f"={key}" for key, row in NAMES.items() if takes_text(row)}
    texts |= {key for key, row in OPTIONS.items() if takes_text(row)}
    assert texts - FREE == REFUSED.keys() & texts


def test_what_another_user_owns_is_refused_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    def work() -> None:
        raise PermissionError(13, "Permission denied", "data/store.db")

    assert exit_status_of(work) == 1
    assert capsys.readouterr().err == "kiteward: data/store.db: Permission denied; run the command as its owner\n"
