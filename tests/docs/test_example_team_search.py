"""The example of two teams runs, twice in a row, and shows what it promises."""

import re
import runpy
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from pymilvus import MilvusClient, MilvusException
from tests.support.server import ROOT_TOKEN, RunningServer

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "team_search.py"
MEMBERS = {"even_ada": "even", "even_ben": "even", "odd_cleo": "odd", "odd_dan": "odd"}


def check(shown: str) -> None:
    """Every member recognises the team's digits and is refused in the other team's collection."""
    assert shown.startswith("1797 digits of 64 pixels: 1437 to search in\n")
    for member, team in MEMBERS.items():
        other = "odd" if team == "even" else "even"
        found = re.search(
            rf"^{member} sees {team}_digits\n"
            rf"  {team}_digits: (?P<percent>[\d.]+)% of \d+ unseen digits recognised\n"
            rf"  {other}_digits: refused, PrivilegeSearch: permission deny to {member} in the `default` database$",
            shown,
            re.MULTILINE,
        )
        assert found, shown
        assert float(found["percent"]) > 95


def test_example_of_two_teams_runs_twice_and_tells_no_password(
    server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), "--uri", server.uri],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    check(done.stdout)
    # Something of an earlier run that was cut short is in the way.
    with closing(MilvusClient(uri=server.uri, token=ROOT_TOKEN, dedicated=True)) as root:
        root.create_collection("odd_digits", dimension=4)
        root.create_user("even_ada", "0f-an-earlier-run")
        root.create_role("team_even")
        root.grant_privilege_v2("team_even", "Search", "odd_digits", "default")
        monkeypatch.setattr("secrets.token_urlsafe", lambda _size: "never-to-be-shown")
        monkeypatch.setenv("KITEWARD_TOKEN", ROOT_TOKEN)
        assert runpy.run_path(str(EXAMPLE))["main"](["--uri", server.uri]) == 0
        shown = capsys.readouterr()
        check(shown.out)
        assert "never-to-be-shown" not in shown.out + shown.err + server.log()
        assert list(root.list_users()) == ["root"]
        assert sorted(root.list_roles()) == ["admin", "public"]
        assert root.list_collections() == []
    with pytest.raises(MilvusException) as caught:
        runpy.run_path(str(EXAMPLE))["main"](["--uri", server.uri, "--token", "root:not-the-one"])
    assert "not-the-one" not in str(caught.value)
