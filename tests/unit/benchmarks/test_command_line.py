"""What is said of the cost of commands, from invented figures and a program of the test's own."""

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.command_line import Cost, Program, measured, table


def test_a_command_is_compared_by_the_medians_of_processor_time() -> None:
    peer = [Cost(2.0, 2.5), Cost(9.0, 9.0), Cost(2.0, 2.5)]
    lines = table({"v0.1 --version": peer, "users list": [Cost(0.5, 0.75), Cost(0.5, 0.75), Cost(7.0, 7.0)]})
    assert lines.splitlines()[-1].split() == ["users", "list", "0.500", "0.25", "0.750"]


def test_programs_take_turns_after_a_run_that_does_not_count(tmp_path: Path) -> None:
    module, log = tmp_path / "kiteward.py", tmp_path / "log"
    module.write_text(f"import sys; open({str(log)!r}, 'a').write(sys.argv[1])")
    programs = {name: Program(Path(sys.executable), tmp_path, (name,)) for name in ("a", "b")}
    costs = measured(programs, 2)
    assert log.read_text() == "ab" * 3
    assert {name: len(each) for name, each in costs.items()} == {"a": 2, "b": 2}
    assert all(cost.processor > 0 and cost.clock > 0 for each in costs.values() for cost in each)


def test_a_command_that_fails_is_not_measured(tmp_path: Path) -> None:
    (tmp_path / "kiteward.py").write_text("import sys; sys.exit(1)")
    with pytest.raises(subprocess.CalledProcessError):
        Program(Path(sys.executable), tmp_path, ("users",)).run()
