"""The unit, as systemd itself reads and rates it."""

import re
import sys
from pathlib import Path

from tests.support import toolchains

DIRECTORY = Path(__file__).resolve().parents[2] / "deploy" / "systemd"
UNIT = DIRECTORY / "kiteward.service"
EXPOSURE = 15
"""The highest exposure, in tenths of a point out of ten. It listens on the network, and starts a process of its own."""


def analyze(*arguments: str) -> str:
    program = toolchains.installed("systemd-analyze", package="systemd")
    return toolchains.run([program, "--no-pager", *arguments], cwd=DIRECTORY)


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    # It wants to find the program, which is in the environment of the tests here.
    program = Path(sys.executable).with_name("kiteward")
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/kiteward/bin/kiteward", str(program)))
    command = [toolchains.installed("systemd-analyze", package="systemd"), "verify", "--man=no", str(unit)]
    done = toolchains.run(["sh", "-c", 'exec "$@" 2>&1', "sh", *command], cwd=tmp_path)
    assert done == ""


def test_the_unit_exposes_no_more_than_it_has_to() -> None:
    printed = analyze("security", "--offline=yes", f"--threshold={EXPOSURE}", str(UNIT))
    (rated,) = re.findall(r"Overall exposure level for kiteward\.service: ([\d.]+)", printed)
    assert float(rated) * 10 <= EXPOSURE


def test_the_user_and_the_directories_are_ones_that_systemd_can_make(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    for program, name in (("systemd-sysusers", "kiteward.sysusers"), ("systemd-tmpfiles", "kiteward.tmpfiles")):
        create = ["--create"] if program == "systemd-tmpfiles" else []
        found = toolchains.installed(program, package="systemd")
        toolchains.run([found, *create, f"--root={tmp_path}", str(DIRECTORY / name)], cwd=tmp_path)
    assert "kiteward:" in (tmp_path / "etc" / "passwd").read_text()
    assert (tmp_path / "etc" / "kiteward" / "secrets").stat().st_mode & 0o777 == 0o700
