"""The command line of policy as code: exit statuses, diffs, lines of faults, and passwords that are printed once."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.described import described
from tests.support.server_in_thread import running

from kiteward.cli import policy
from kiteward.cli.main import main
from kiteward.cli.policy_text import lines_of

FILE = """\
version: 1
roles:
  reader:
    grants:
      - privilege: CollectionReadOnly
users:
  boss: {}
  alice:
    roles: [reader]
    tags: {team: red}
"""

NOT_TEXT = "must be text (in quotes where it looks like a number, true, false or null), not a number"

UNKNOWN = "no such privilege or privilege group: CollectionReadOnlyy; did you mean CollectionReadOnly?"

HINT = ": start the server, or ask a running one by --server URL"

Ends = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with an administrator and nothing else; every test plans, and one applies."""
    directory = tmp_path_factory.mktemp("policy") / "data"
    assert main(["init", "--admin", "boss", "--data-dir", str(directory)]) == 0
    return directory


@pytest.fixture
def ends(data: Path, capsys: pytest.CaptureFixture[str]) -> Ends:
    """Run `kiteward policy`, and return its exit status and what it prints."""

    def command(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(["policy", *words, *([] if words[0] == "schema" else ["--data-dir", str(data)])])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return command


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.yaml"
    path.write_text(FILE)
    return path


def test_a_plan_prints_what_differs_and_ends_with_2(ends: Ends, file: Path) -> None:
    status, printed, _ = ends("plan", "-f", str(file))
    assert status == 2
    assert printed.startswith("""\
+ role reader
    + grant CollectionReadOnly on default.*
+ user alice
    + role reader
    + tag team: red
2 changes: 2 to add, 0 to change, 0 to remove
digest: """)
    digest = json.loads(ends("plan", "-f", str(file), "--json")[1])["digest"]
    assert printed.endswith(f"digest: {digest}\n")


def test_what_has_no_effect_is_a_warning_with_its_line_and_changes_no_status(ends: Ends, file: Path) -> None:
    file.write_text("version: 1\nroles:\n  spare:\n    grants:\n      - {privilege: Search, collection: nothing}\n")
    told = """\
kiteward: warning: line 3: nobody holds the role spare: its grants allow nothing
kiteward: warning: line 5: Search allows nothing yet: the collection default.nothing does not exist
"""
    status, printed, warned = ends("plan", "-f", str(file), "--json")
    assert (status, warned) == (2, told)
    assert [each["path"] for each in json.loads(printed)["warnings"]] == ["roles.spare.grants[0]", "roles.spare"]
    assert ends("plan", "-f", str(file))[2] == told


def test_of_many_warnings_some_are_printed_and_the_others_counted(
    ends: Ends, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "_MOST_TOLD", 2)
    roles = "".join(f"  spare_{number}: {{grants: [{{privilege: Search}}]}}\n" for number in range(5))
    file.write_text(f"version: 1\nroles:\n{roles}")
    status, printed, told = ends("plan", "-f", str(file), "--json")
    assert (status, len(json.loads(printed)["warnings"])) == (2, 5)
    assert told.splitlines()[1:] == [
        "kiteward: warning: line 4: nobody holds the role spare_1: its grants allow nothing",
        "kiteward: and 3 more warnings; --json prints all",
    ]


def test_faults_are_told_with_their_lines_all_at_once(ends: Ends, file: Path) -> None:
    file.write_text(FILE.replace("CollectionReadOnly", "CollectionReadOnlyy").replace("[reader]", "[reader, ghost]"))
    status, printed, told = ends("plan", "-f", str(file))
    assert (status, printed) == (1, "")
    assert told == (
        "kiteward: the policy cannot be applied; nothing was changed\n"
        f"{file}:5: roles.reader.grants[0]: {UNKNOWN}\n"
        f"{file}:9: users.alice.roles[1]: role not found: ghost\n"
    )
    assert ends("apply", "-f", str(file))[0::2] == (1, told)
    for command in ("plan", "apply"):
        status, printed, again = ends(command, "-f", str(file), "--json")
        assert (status, again) == (1, told)
        assert [(each["line"], each["message"]) for each in json.loads(printed)["faults"]] == [
            (5, f"roles.reader.grants[0]: {UNKNOWN}"),
            (9, "users.alice.roles[1]: role not found: ghost"),
        ]


def test_a_misspelt_file_is_refused_before_anything_is_asked(ends: Ends, file: Path) -> None:
    file.write_text(FILE.replace("grants:", "grnts:").replace("{team: red}", "{team: 5}"))
    status, _, told = ends("plan", "-f", str(file))
    assert status == 1
    assert told.splitlines()[1:] == [
        f"{file}:4: roles.reader.grnts is unknown: did you mean `grants`?",
        f"{file}:10: users.alice.tags.team {NOT_TEXT}",
    ]
    assert [each["line"] for each in json.loads(ends("plan", "-f", str(file), "--json")[1])["faults"]] == [4, 10]
    file.write_text("version: 1\nversion: 1\n")
    assert ends("plan", "-f", str(file))[2].endswith(f"{file}:2: `version` is here twice: it is in line 1 already\n")
    assert ends("plan", "-f", str(file.with_name("none")))[0] == 1


@pytest.mark.parametrize("words", [["plan"], ["plan", "-f", "x", "--force"], ["plan", "-f", "x", "more"]])
def test_options_that_are_wrong_end_with_1_because_2_says_that_something_would_change(words: list[str]) -> None:
    for line in (["policy", *words], ["--bogus", "policy", *words]):
        with pytest.raises(SystemExit) as caught:
            main(line)
        assert caught.value.code == 1


def test_a_file_is_applied_and_passwords_are_told_once(ends: Ends, file: Path, tmp_path: Path) -> None:
    passwords = tmp_path / "passwords"
    status, printed, told = ends("apply", "-f", str(file), "--passwords-file", str(passwords))
    assert (status, passwords.stat().st_mode & 0o777) == (0, 0o600)
    assert printed.endswith("2 changes: 2 added, 0 changed, 0 removed\n")
    name, password = passwords.read_text().split()
    assert name == "alice"
    assert password not in printed + told
    assert ends("plan", "-f", str(file))[0] == 0
    assert ends("apply", "-f", str(file), "--json")[1].startswith('{\n  "changes": [],')
    exported = ends("export", "--section", "users")[1]
    assert exported.startswith("# yaml-language-server: $schema=policy.schema.json\nversion: 1\nusers:\n  alice:\n")
    file.write_text(exported)
    assert ends("plan", "-f", str(file))[0] == 0
    assert json.loads(ends("export", "--json", "-o", str(file))[1] or file.read_text())["roles"]["reader"]["grants"]
    assert ends("plan", "-f", str(file))[0] == 0
    _deleting(ends, file)


def _deleting(ends: Ends, file: Path) -> None:
    """Deletions are marked, and refused without the option."""
    file.write_text("version: 1\nusers: {boss: {}}\n")
    status, printed, _ = ends("plan", "-f", str(file))
    assert status == 2
    assert printed.startswith("- user alice  (needs --allow-deletions)\n    - role reader\n")
    status, _, told = ends("apply", "-f", str(file))
    assert status == 1
    assert "repeat it with --allow-deletions" in told
    digest = json.loads(ends("plan", "-f", str(file), "--json")[1])["digest"]
    assert ends("apply", "-f", str(file), "--allow-deletions", "--expect", "0" * 32)[0] == 1
    assert ends("apply", "-f", str(file), "--allow-deletions", "--expect", digest)[0] == 0
    assert ends("plan", "-f", str(file))[0] == 0


def test_a_server_is_planned_and_changed_too_with_what_needs_its_engine(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = tmp_path / "token"
    token.write_text("root:Milvus")
    rows = "rowPolicies:\n  - collection: docs\n    enforced: true\n    policies:\n"
    file.write_text(f"{FILE}{rows}      own: {{actions: [Query], using: owner == $current_principal}}\n")
    with running(tmp_path) as (url, engine):
        far = ["-f", str(file), "--server", url, "--token-file", str(token)]
        # There is no collection yet, and boss is somebody else here.
        assert main(["policy", "plan", *far]) == 1
        assert f"{file}:15: rowPolicies[0].policies.own: collection not found" in capsys.readouterr().err
        engine.create("docs")
        engine.answers["DescribeCollection"] = described(owner="VarChar")
        assert main(["policy", "plan", *far]) == 2
        assert main(["policy", "apply", *far, "--print-passwords"]) == 0
        assert "alice\t" in capsys.readouterr().out
        assert main(["policy", "plan", *far]) == 0
        assert main(["policy", "plan", *far, "--data-dir", str(tmp_path)]) == 1
        capsys.readouterr()
        assert main(["policy", "export", *far[2:]]) == 0
        file.write_text(capsys.readouterr().out)
        assert main(["policy", "plan", *far]) == 0


def test_near_what_needs_the_engine_is_refused_with_its_line(ends: Ends, file: Path) -> None:
    file.write_text("version: 1\nrowPolicies:\n  - collection: docs\n    enforced: true\n")
    status, _, told = ends("plan", "-f", str(file))
    assert status == 1
    assert told.endswith(f"{file}:3: rowPolicies[0]: there is no engine here{HINT}\n")


def test_the_schema_is_printed(ends: Ends) -> None:
    assert json.loads(ends("schema")[1])["$ref"] == "#/$defs/PolicyDocument"


def test_colours_show_what_happens_and_no_text_commands_a_terminal() -> None:
    changes = [
        {
            "action": "change",
            "kind": "user",
            "name": "alice",
            "deletion": False,
            "differences": [{"action": "change", "what": "description", "before": "old", "after": "new\x1b[2J"}],
        }
    ]
    assert list(lines_of(changes, coloured=False, allow_deletions=False)) == [
        "~ user alice",
        "    ~ description: old -> new\\u001b[2J",
    ]
    assert next(iter(lines_of(changes, coloured=True, allow_deletions=False))) == "\x1b[33m~ user alice\x1b[0m"
