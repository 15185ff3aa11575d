"""Near and far: the same commands, answers, errors and exit statuses on a data directory and on a running server."""

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.unit.cli.conftest import Run

from kiteward import __version__
from kiteward.cli import connection
from kiteward.cli.kept_login import login_file

ALIKE = [
    (0, ["users", "list"]),
    (0, ["users", "list", "--json"]),
    (0, ["users", "describe", "root", "--json"]),
    (1, ["users", "describe", "nobody"]),
    (1, ["users", "create", "root"]),
    (1, ["users", "create", "9lives"]),
    (1, ["users", "delete", "root"]),
    (1, ["keys", "create", "nobody"]),
    (1, ["keys", "create", "root", "--expires-in-days", "99999"]),
    (1, ["keys", "describe", "none"]),
    (1, ["tags", "set", "a b=c", "--user", "root"]),
    (2, ["tags", "set", "a=b"]),
    (0, ["limits", "list", "--json"]),
    (1, ["limits", "set", "--user", "nobody", "--requests-per-second", "1"]),
    (0, ["issuers", "list"]),
    (2, ["identities", "cut-off"]),
    (1, ["identities", "list", "--issuer", "https://idp.example"]),
    (1, ["group-roles", "list", "--issuer", "https://idp.example"]),
    (1, ["group-roles", "grant", "https://idp.example", "a", "public"]),
    (1, ["keys", "list", "--user", "nobody"]),
    (1, ["keys", "set-description", "none", "text"]),
    (1, ["tags", "get", "--user", "nobody"]),
    (1, ["limits", "get", "--user", "nobody"]),
    (1, ["limits", "get", "--role", "nobody"]),
    (1, ["users", "list", "--role", "nobody"]),
    (1, ["grants", "list", "--role", "nobody"]),
    (1, ["grants", "list", "--privilege", "Serch"]),
    (0, ["explain", "--user", "root", "--privilege", "Insert", "--collection", "docs"]),
    (1, ["explain", "--user", "nobody", "--privilege", "Insert"]),
    (1, ["explain", "--user", "root", "--privilege", "Insrt"]),
    (2, ["explain", "--user", "root"]),
    (2, ["explain", "--privilege", "Insert"]),
    (0, ["roles", "list"]),
    (0, ["roles", "describe", "public"]),
    (1, ["roles", "describe", "nobody"]),
    (1, ["roles", "create", "admin"]),
    (1, ["roles", "delete", "admin"]),
    (1, ["roles", "add-member", "nobody", "root"]),
    (0, ["grants", "list", "--json"]),
    (0, ["grants", "grant", "public", "Search", "--dry-run"]),
    (1, ["grants", "grant", "public", "Serch"]),
    (1, ["grants", "grant", "nobody", "Search"]),
    (0, ["groups", "list", "--json"]),
    (1, ["groups", "describe", "nobody"]),
    (1, ["groups", "delete", "ClusterAdmin"]),
    (1, ["groups", "delete", "nobody"]),
    (0, ["collections", "list"]),
    (1, ["collections", "describe", "docs"]),
    (1, ["audit", "show", "999999"]),
    (0, ["audit", "search", "--kind", "system", "--json"]),
    (0, ["audit", "search", "--operation", "DropCollection"]),
    (1, ["access", "--user", "nobody"]),
    (0, ["access", "--collection", "docs"]),
    (0, ["access", "--missing", "--json"]),
]
"""Commands that change nothing, with the status with which they end."""


@pytest.mark.parametrize(("status", "words"), ALIKE, ids=[" ".join(words) for _, words in ALIKE])
def test_near_and_far_answer_alike(
    run: Run, served: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, status: int, words: list[str]
) -> None:
    far = run(*words, "--server", served.url, "--token-file", served.token)
    by_the_server = run(*words, "--data-dir", served.data)
    monkeypatch.setattr("kiteward.cli.served.SOCKET", "none.sock")
    near = run(*words, "--data-dir", served.data)
    assert by_the_server == near == far
    assert near[0] == status
    told = status or "--dry-run" in words or (words[0] == "audit" and not near[1])
    assert near[2].count("\n") == (1 if told else 0)


def test_a_word_that_is_not_utf_8_is_refused_in_plain_words_wherever_it_goes(
    run: Run, served: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("roles", "create", "a\udcff")  # how Python reads the byte FF in a word
    far = run(*words, "--server", served.url, "--token-file", served.token)
    by_the_server = run(*words, "--data-dir", served.data)
    monkeypatch.setattr("kiteward.cli.served.SOCKET", "none.sock")
    assert far == by_the_server == run(*words, "--data-dir", served.data)
    assert far == (1, "", "kiteward: a value that was given is not UTF-8\n")


def test_the_environment_names_a_server_and_options_come_first(
    run: Run, served: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KITEWARD_SERVER", served.url)
    monkeypatch.setenv("KITEWARD_TOKEN_FILE", served.token)
    assert json.loads(run("whoami", "--json")[1])["where"] == served.url
    assert json.loads(run("whoami", "--json", "--data-dir", served.data)[1])["where"] == served.data
    status, _, told = run("whoami", "--server", "http://127.0.0.1:1")
    assert (status, told) == (1, "kiteward: no response from http://127.0.0.1:1: Connection refused\n")


def test_it_is_said_whether_a_server_answers(run: Run, served: SimpleNamespace, tmp_path: Path) -> None:
    unserved = str(tmp_path / "data")
    assert run("init", "--admin", "db_admin", "--data-dir", unserved)[0] == 0
    far = ("--server", served.url, "--token-file", served.token)
    for where, by in ((("--data-dir", unserved), "command"), (("--data-dir", served.data), "server"), (far, "server")):
        assert json.loads(run("whoami", "--json", *where)[1])["answeredBy"] == by
        assert f"answered by: {by}\n" in run("whoami", *where)[1]


def test_the_trail_names_the_command_line_as_the_client_of_its_requests(run: Run, served: SimpleNamespace) -> None:
    far = ("--server", served.url, "--token-file", served.token)
    run("users", "unlock", "root", *far)
    line = json.loads(run("audit", "search", "--operation", "UnlockUser", "--limit", "1", "--json", *far)[1])
    assert line["client"] == f"kiteward/{__version__}"


def test_where_no_server_is_named_and_none_runs_it_is_said_which_is_asked(
    run: Run, served: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(connection, "HERE", served.url)
    status, _, told = run("sessions", "list")
    assert status == 1
    asked, refused = told.splitlines()
    assert asked == f"kiteward: no server of this version and store answers in data: {served.url} is asked"
    assert refused.startswith("kiteward: there is no terminal to prompt for the credential")


@pytest.mark.parametrize("far", [["--server", "http://localhost:1"], ["--token-file", "-"], ["--ca-file", "x"]])
@pytest.mark.parametrize("near", [["--data-dir", "x"], ["--config", "x"]])
def test_near_and_far_are_not_given_together(run: Run, near: list[str], far: list[str]) -> None:
    status, printed, told = run("users", "list", *near, *far)
    assert (status, printed) == (2, "")
    assert told == f"kiteward: {near[0]} names the store of this machine and {far[0]} a server: give one of them\n"


def test_a_credential_without_a_server_is_refused(run: Run, served: SimpleNamespace) -> None:
    status, _, told = run("users", "list", "--token-file", served.token)
    assert status == 2
    assert "name it by --server URL" in told


@pytest.mark.parametrize("words", [["row-policies", "list", "docs"], ["sessions", "list"], ["sessions", "end-all"]])
@pytest.mark.parametrize("named", ["--data-dir", "--config"])
def test_what_only_a_server_can_do_is_said(run: Run, tmp_path: Path, words: list[str], named: str) -> None:
    file = tmp_path / "milvus.yaml"
    file.write_text(f"kiteward:\n  dataDir: {tmp_path}\n")
    status, printed, told = run(*words, named, str({"--data-dir": tmp_path, "--config": file}[named]))
    assert (status, printed) == (1, "")
    assert told == (
        "kiteward: only a running server can do this, and none of this version and store answers in "
        f"{tmp_path}: start it, or give --server URL\n"
    )


def test_what_only_a_server_can_do_is_done_near_while_one_runs(run: Run, served: SimpleNamespace) -> None:
    assert run("sessions", "list", "--data-dir", served.data) == (0, "none\n", "")
    described = json.loads(run("servers", "describe", "--json", "--data-dir", served.data)[1])
    assert described["engine"]["ready"]


def test_what_a_store_in_a_file_does_not_say_is_asked_of_the_server_that_uses_it(
    run: Run, served: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, printed, _ = run("servers", "list", "--data-dir", served.data)
    assert (status, "yes" in printed) == (0, True)
    monkeypatch.setattr("kiteward.cli.served.SOCKET", "none.sock")
    status, printed, told = run("servers", "list", "--data-dir", served.data)
    assert (status, printed) == (1, "")
    assert "ask that server by --server URL" in told


@pytest.mark.parametrize("word", ["list", "end-all"])
def test_an_unknown_user_is_not_one_without_sessions(run: Run, served: SimpleNamespace, word: str) -> None:
    far = ("--server", served.url, "--token-file", served.token)
    assert run("sessions", word, "--user", "nobody", *far) == (1, "", "kiteward: user not found: nobody\n")


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--collection", "no_docs"], "collection default.no_docs"),
        (["--collection", "no_docs", "--database", "no_base"], "collection no_base.no_docs"),
        (["--database", "no_base"], "database no_base"),
    ],
)
def test_grants_for_what_does_not_exist_are_listed_with_a_note(
    run: Run, served: SimpleNamespace, words: list[str], what: str
) -> None:
    near = run("grants", "list", *words, "--data-dir", served.data)
    far = run("grants", "list", *words, "--server", served.url, "--token-file", served.token)
    assert near == far
    assert near[0] == 0
    assert near[2] == f"kiteward: the {what} does not exist; these grants would apply to it if it did\n"


def test_descriptions_of_keys_and_roles_are_set_and_cleared(run: Run, served: SimpleNamespace) -> None:
    far = ("--server", served.url, "--token-file", served.token)
    made = json.loads(run("keys", "create", "root", "--description", "before", "--json", *far)[1])["keyId"]
    assert run("roles", "create", "described", *far)[0] == 0
    for group, name in (("keys", made), ("roles", "described")):
        for words in (["after"], []):
            assert run(group, "set-description", name, *words, *far)[0] == 0
            shown = json.loads(run(group, "describe", name, "--json", "--data-dir", served.data)[1])
            assert shown["description"] == "".join(words)
    assert run("roles", "copy", "nobody", "other", *far) == (1, "", "kiteward: role not found: nobody\n")
    assert run("roles", "copy", "described", "alike", *far) == (0, "grants: 0\n", "")
    assert run("roles", "compare", "described", "alike", *far) == (0, "both roles have the same grants: 0\n", "")
    assert run("grants", "grant", "alike", "DatabaseReadOnly", "--database", "default", *far)[0] == 0
    told = "only described: none\nonly alike:\n  DatabaseReadOnly on default.*\nin both: 0\n"
    assert run("roles", "compare", "described", "alike", "--data-dir", served.data) == (0, told, "")
    assert run("grants", "grant", "described", "DatabaseAdmin", "--database", "*", *far)[0] == 0
    told = (
        "only described:\n  DatabaseAdmin on *.*\nonly alike:\n  DatabaseReadOnly on default.* "
        "(the other role has it by DatabaseAdmin on *.*)\nin both: 0\n"
    )
    assert run("roles", "compare", "described", "alike", *far) == (0, told, "")
    for name in ("described", "alike"):
        assert run("grants", "revoke", name, "DatabaseReadOnly", "--database", "default", *far)[0] == 0
        assert run("grants", "revoke", name, "DatabaseAdmin", "--database", "*", *far)[0] == 0
        assert run("roles", "delete", name, *far)[0] == 0


@pytest.mark.parametrize("words", [["init", "--admin", "a"], ["doctor"], ["audit", "verify"], ["serve"]])
def test_what_only_this_machine_can_do_is_said(run: Run, words: list[str]) -> None:
    status, _, told = run(*words, "--server", "http://localhost:1")
    assert status == 2
    assert "this works on the files of this machine only" in told


@pytest.mark.parametrize(
    ("server", "status", "told"),
    [
        ("http://milvus.example:19530", 1, "everybody in between could read the credential"),
        ("localhost:19530", 2, "the address of a server is such as http://localhost:19530"),
        ("ftp://localhost", 2, "the address of a server is"),
        ("http://root:hidden@localhost:1", 2, "the address of a server is"),
        ("http://localhost:port", 2, "the address of a server is"),
    ],
)
def test_an_address_that_is_none_or_not_safe_is_refused(
    run: Run, served: SimpleNamespace, server: str, status: int, told: str
) -> None:
    ended, _, printed = run("users", "list", "--server", server, "--token-file", served.token)
    assert ended == status
    assert told in printed
    assert "hidden" not in printed


def test_a_server_without_tls_that_is_asked_for_it_is_said(run: Run, served: SimpleNamespace) -> None:
    address = served.url.replace("http://", "https://")
    status, _, told = run("users", "list", "--server", address, "--token-file", served.token)
    assert status == 1
    assert f"no response from {address}: it does not speak TLS as this program does: is its address http://" in told


@pytest.mark.parametrize("credential", ["root:wrong", "root:\u4f60\u597d", "kw_0000000000_wrong", "nonsense"])
def test_a_wrong_credential_is_said_and_not_shown(
    run: Run, served: SimpleNamespace, tmp_path: Path, credential: str
) -> None:
    token = tmp_path / "token"
    token.write_text(credential)
    status, printed, told = run("users", "list", "--server", served.url, "--token-file", str(token))
    assert (status, printed) == (1, "")
    assert told.startswith(f"kiteward: {served.url} does not accept the credential")
    assert credential.partition(":")[2] not in told.replace(served.url, "") or ":" not in credential
    assert credential not in told


def test_no_proxy_gets_the_credential_for_this_machine(
    run: Run, served: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    status, _, told = run("users", "list", "--server", served.url, "--token-file", served.token)
    assert (status, told) == (0, "")


def test_a_credential_with_control_characters_is_not_shown(run: Run, served: SimpleNamespace, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("root:hid\tden")
    status, _, told = run("users", "list", "--server", served.url, "--token-file", str(token))
    assert status == 1
    assert "control character" in told
    assert "hid" not in told


def test_a_credential_that_is_not_utf_8_is_not_shown(
    run: Run, served: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ("--server", served.url)
    given = io.TextIOWrapper(io.BytesIO(b"root:hid\xff"), encoding="utf-8", errors="surrogateescape")
    monkeypatch.setattr(sys, "stdin", given)
    status, _, told = run("users", "list", *where, "--token-file", "-")
    assert (status, told) == (1, "kiteward: the credential file - cannot be read\n")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("getpass.getpass", lambda _question: "root:hid\udcff")
    status, _, told = run("users", "list", *where)
    assert (status, told.count("\n"), "hid" in told, "is not UTF-8" in told) == (1, 1, False, True)


def test_without_a_terminal_a_credential_is_asked_of_nobody(run: Run, served: SimpleNamespace) -> None:
    status, _, told = run("users", "list", "--server", served.url)
    assert status == 1
    assert "give --token-file FILE" in told


def test_an_empty_name_is_refused(run: Run, served: SimpleNamespace) -> None:
    status, _, told = run("keys", "create", "", "--data-dir", served.data)
    assert (status, told) == (2, "kiteward: OWNER must not be empty\n")
    assert not login_file().exists()


def test_the_trail_of_a_server_is_read_searched_and_exported(run: Run, served: SimpleNamespace) -> None:
    far = ("--server", served.url, "--token-file", served.token)
    for number in range(3):
        assert run("users", "create", f"trail{number}", *far)[0] == 0
    kind = ("--kind", "user", "--operation", "CreateUserAccount", "--outcome", "succeeded")
    found = [json.loads(line) for line in run("audit", "search", *kind, "--json", *far)[1].splitlines()]
    assert [entry["details"]["userName"] for entry in found] == ["trail2", "trail1", "trail0"]
    newest = run("audit", "tail", "-n", "2", *kind, "--json", *far)[1].splitlines()
    assert [json.loads(line)["details"]["userName"] for line in newest] == ["trail1", "trail2"]
    assert len(run("audit", "export", *kind, *far)[1].splitlines()) == 3
    shown = run("audit", "show", str(found[0]["seq"]), *far)[1].splitlines()
    assert "details.userName: trail2" in shown
    assert f"seq: {found[0]['seq']}" in shown


def test_roles_and_groups_are_managed_on_a_server(run: Run, served: SimpleNamespace) -> None:
    def far(*words: str) -> str:
        status, printed, told = run(*words, "--server", served.url, "--token-file", served.token)
        assert status == 0, told
        return printed

    far("users", "create", "member")
    far("roles", "create", "reader", "--description", "who reads")
    far("groups", "create", "readers", "--privilege", "Search")
    far("groups", "add", "readers", "Query")
    assert "privileges: Query, Search" in far("groups", "describe", "readers")
    assert far("grants", "grant", "reader", "readers", "--collection", "docs") == "granted readers on default.docs\n"
    assert far("roles", "add-member", "reader", "member") == "member: changed\n"
    described = json.loads(far("roles", "describe", "reader", "--json"))
    assert (described["users"], described["description"]) == (["member"], "who reads")
    assert [each["privilege"] for each in described["grants"]] == ["readers"]
    assert "reader" in far("grants", "list", "--collection", "docs")
    status, _, told = run("roles", "delete", "reader", "--data-dir", served.data)
    assert (status, "or use --force" in told) == (1, True)
    assert "revoked readers on default.docs" in far("grants", "revoke", "reader", "readers", "--collection", "docs")
    far("roles", "remove-member", "reader", "member")
    far("roles", "delete", "reader")
    far("groups", "delete", "readers")


def test_a_group_whose_members_are_refused_is_not_created(run: Run, served: SimpleNamespace) -> None:
    status, _, told = run("groups", "create", "odd", "--privilege", "Serch", "--data-dir", served.data)
    assert (status, "Serch" in told) == (1, True)
    assert "odd" not in run("groups", "list", "--data-dir", served.data)[1]
