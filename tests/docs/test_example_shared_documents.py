"""The example of shared documents runs, also twice in a row, and shows what it promises."""

import os
import re
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from pymilvus import MilvusClient
from tests.support import environments, toolchains
from tests.support.server import ROOT_TOKEN, RunningServer

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "shared_documents.py"
VISIBLE = {"docs_ana": 41, "docs_ben": 44, "docs_eve": 38}
"""Each owns 30 documents; the others are shared with that person, or are the team's."""
ATTACKS = 5
WITHIN = 300
"""How long two runs may take, in seconds; the model is computed in each."""


def check(shown: str) -> None:
    """Each person finds the best of what is theirs, and no filter finds anything else."""
    for person, count in VISIBLE.items():
        found = re.search(rf"^{person} may see (\d+) of 90 documents$((?:\n  .*)+)", shown, re.MULTILINE)
        assert found, shown
        assert int(found[1]) == count
        outcomes = re.findall(r"^  filter .*: (.+)$", found[2], re.MULTILINE)
        assert len(outcomes) == ATTACKS
        assert all(re.fullmatch(r"\d documents, all theirs|refused \(\w+\)", outcome) for outcome in outcomes), shown
        assert {outcome.split()[0] for outcome in outcomes} == {"4", "refused"}
    assert "NOT THE BEST" not in shown
    assert "LEAKED" not in shown


@pytest.mark.timeout(toolchains.MAKING_WITHIN + WITHIN + 60)
@pytest.mark.parametrize("runs", [1, pytest.param(2, marks=pytest.mark.heavy)], ids=["once", "twice"])
def test_example_of_shared_documents_runs_and_leaves_nothing(server: RunningServer, tmp_path: Path, runs: int) -> None:
    for _ in range(runs):
        done = subprocess.run(
            [environments.python("frameworks"), str(EXAMPLE), "--uri", server.uri, "--token", ROOT_TOKEN],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "OPENBLAS_NUM_THREADS": "1"},  # others spin
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr[-4000:]
        check(done.stdout)
    with closing(MilvusClient(uri=server.uri, token=ROOT_TOKEN, dedicated=True)) as root:
        assert list(root.list_users()) == ["root"]
        assert sorted(root.list_roles()) == ["admin", "public"]
        assert root.list_collections() == []
