"""The scripts that complete the command line, in the shells that this machine has."""

import shutil
import subprocess
from pathlib import Path

import pytest

from kiteward.cli.completion import SHELLS, levels
from kiteward.cli.main import main, whole_parser

CASES = [
    ([""], {"users", "serve", "audit", "completion"}, {"list", "--json"}),
    (["users", ""], {"list", "create", "delete"}, {"users", "tail"}),
    (["users", "cr"], {"create"}, {"list"}),
    (["users", "list", "--"], {"--prefix", "--json", "--server", "--data-dir"}, {"--outcome"}),
    (["audit", "export", "--format", ""], {"zilliz", "ocsf"}, {"users"}),
    (["users", "list", "--prefix", "keys", "--j"], {"--json"}, {"--prefix"}),
    (["completion", ""], {"bash", "zsh", "fish"}, {"users"}),
    (["users", "list", "--prefix", ""], set(), {"list", "--json", "script"}),
]
"""The words of a line of which the last is completed, what has to be offered, and what must not be."""

ASK = {
    "bash": """
source {script}
COMP_WORDS=(kiteward {words}); COMP_CWORD={number}
_kiteward
printf '%s\\n' "${{COMPREPLY[@]}}"
""",
    "zsh": """
compdef() {{ : }}; _files() {{ print -l *(N) }}; compadd() {{ shift; print -l -- "$@" }}
_describe() {{ print -l -- ${{${{(P)2}}%%:*}} }}
source {script}
typeset -a words; words=(kiteward {words}); CURRENT=$(({number} + 1))
_kiteward
""",
    "fish": "source {script}; complete -C 'kiteward {line}' | string split -f1 \\t",
}


HERE = {shell: path for shell in SHELLS if (path := shutil.which(shell))}
"""The shells that are installed, with their programs; bash always is."""


@pytest.fixture(scope="module", params=sorted(HERE))
def script(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    shell: str = request.param
    path = tmp_path_factory.mktemp(shell) / "script"
    path.write_text(SHELLS[shell](list(levels(whole_parser()))), encoding="utf-8")
    return shell, path


def offered(shell: str, path: Path, words: list[str]) -> set[str]:
    quoted = " ".join(word or "''" for word in words)
    program = ASK[shell].format(script=path, words=quoted, number=len(words), line=" ".join(words))
    ended = subprocess.run(
        [HERE[shell], "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=path.parent,
        env={"PATH": "/usr/bin:/bin", "HOME": str(path.parent)},
    )
    assert ended.stderr == ""
    found = set(ended.stdout.split())
    return {each for each in found if each.startswith(words[-1])} if shell == "zsh" else found


def test_bash_is_here() -> None:
    assert "bash" in HERE


@pytest.mark.parametrize(("words", "wanted", "unwanted"), CASES, ids=[" ".join(case[0]) for case in CASES])
def test_a_shell_completes(script: tuple[str, Path], words: list[str], wanted: set[str], unwanted: set[str]) -> None:
    shell, path = script
    found = offered(shell, path, words)
    assert wanted <= found
    assert not unwanted & found


@pytest.mark.parametrize("words", [["audit", "verify", ""], ["users", "list", "--config", ""]])
def test_files_are_completed_where_files_are_taken(script: tuple[str, Path], words: list[str]) -> None:
    shell, path = script
    assert "script" in offered(shell, path, words)


@pytest.mark.parametrize("shell", sorted(SHELLS))
def test_the_command_prints_the_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    printed = capsys.readouterr().out
    assert printed == SHELLS[shell](list(levels(whole_parser())))
    assert "row-policies" in printed


def test_hidden_options_are_not_offered() -> None:
    doctor = next(level for level in levels(whole_parser()) if level.path == "doctor")
    assert "--server" not in {name for flag in doctor.flags for name in flag.names}
