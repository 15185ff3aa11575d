"""What commands print: what somebody else has chosen neither controls a terminal nor has a line of its own."""

import ast
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.support.one_answer import answering
from tests.unit.cli.conftest import Run

import kiteward.cli
from kiteward.cli.output import json_of, print_json, say, spelled_out, table, text_of

HOSTILE = "\x1b[31mred\x9b2J\u202e\nusers: root"
SHOWN = "\\u001b[31mred\\u009b2J\\u202e\\nusers: root"

PRINTS = {
    "audit": 3,  # a number, JSON, and a line that is JSON within
    "completion": 1,  # a script
    "init": 1,
    "import_policy": 2,  # numbers
    "login": 1,  # a question
    "output": 3,
    "password_files": 3,  # names and passwords, made printable there, with a tab between them
    "policy": 3,  # a file, lines with colours, and numbers
    "progress": 1,
    "store": 1,
}
"""How often each module prints past `say`, `note` and `print_json`."""


@pytest.fixture
def token(tmp_path: Path) -> str:
    path = tmp_path / "token"
    path.write_text("root:Milvus\n")
    return str(path)


def test_lines_are_those_of_the_command_and_control_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say("one", "two\x1b[2J\nthree")
    assert capsys.readouterr().out == "one\ntwo\\u001b[2J\\nthree\n"


def test_json_is_the_same_document_without_characters_that_control_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    value = {"name": [HOSTILE, "Größe 集合 \U000e0001"]}
    print_json(value)
    printed = capsys.readouterr().out
    assert json.loads(printed) == value
    assert printed.replace("\n", "").isprintable()
    assert "Größe 集合" in printed
    assert json_of({"a": "ä"}) == '{\n  "a": "ä"\n}'


def test_a_response_for_people_keeps_its_values_and_spells_out_its_texts() -> None:
    given = {"roles": [{HOSTILE: HOSTILE, "number": 1, "none": None, "yes": True}]}
    assert spelled_out(given) == {"roles": [{SHOWN: SHOWN, "number": 1, "none": None, "yes": True}]}


def test_names_of_members_have_no_line_of_their_own() -> None:
    assert text_of({"a\nb": {HOSTILE: HOSTILE}}) == f"a\\nb: {SHOWN}={SHOWN}"
    assert table([{"a\nb": [{HOSTILE: 1}]}]).splitlines() == ["a\\nb", f"{SHOWN}=1"]


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (
            ("roles", "describe", "r"),
            {
                "roleName": "r",
                "builtIn": False,
                "description": HOSTILE,
                "allUsers": False,
                "users": [],
                "grants": [],
            },
        ),
        (
            ("explain", "--line", "1"),
            {
                "line": {"time": "t", "outcome": "refused", "reason": HOSTILE},
                "gone": HOSTILE,
                "today": None,
                "differs": False,
            },
        ),
        (
            ("audit", "show", "1"),
            {
                "line": {"reason": HOSTILE, "details": {"collection": HOSTILE}},
                "gone": "",
                "today": {"allowed": False, "reason": HOSTILE},
                "differs": False,
            },
        ),
        (("roles", "list", "--wide"), {"roles": [{"roleName": HOSTILE, "allUsers": False}], "next": ""}),
        (
            ("whoami",),
            dict.fromkeys(("userName", "credential", "keyId", "expiresAt", "administrator", "roles"), HOSTILE),
        ),
    ],
)
def test_what_others_have_chosen_neither_controls_a_terminal_nor_has_a_line_of_its_own(
    run: Run, token: str, words: tuple[str, ...], answer: object
) -> None:
    with answering(200, {"code": 0, "data": answer}) as (server, _asked):
        status, printed, told = run(*words, "--server", server, "--token-file", token)
    assert (status == 0, told) == (True, "")
    assert SHOWN in printed
    assert printed.replace("\n", "").isprintable()
    assert "users: root" not in printed.split("\n")


def test_every_other_text_is_printed_by_what_makes_it_printable() -> None:
    found = {}
    for path in Path(kiteward.cli.__file__).parent.glob("*.py"):
        calls = [each for each in ast.walk(ast.parse(path.read_text())) if isinstance(each, ast.Call)]
        found[path.stem] = sum(isinstance(each.func, ast.Name) and each.func.id == "print" for each in calls)
    assert {name: number for name, number in found.items() if number} == PRINTS


def test_a_line_of_the_trail_is_one_line(run: Run, served: SimpleNamespace) -> None:
    asked = run("explain", "--user", "root", "--privilege", "Query", "--collection", HOSTILE, "--data-dir", served.data)
    # What other tests have the server do may be recorded in between. A server writes the lines of reads a little later.
    search = ("audit", "search", "--operation", "ExplainAccess", "--limit", "1")
    while not (found := run(*search, "--data-dir", served.data))[1]:
        pass
    status, printed, _ = found
    assert (status, SHOWN in printed, printed.count("\n")) == (0, True, 1), (asked, printed)
