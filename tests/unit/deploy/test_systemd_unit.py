"""The unit of systemd: what the engine's confinement needs is left to it, and stops have time."""

import re
from pathlib import Path

from tests.unit.deploy.test_chart import STOP_SECONDS

from kiteward.config.keys import KEYS
from kiteward.config.sources import ROOT_PASSWORD_FILE, variable_of

DIRECTORY = Path(__file__).resolve().parents[3] / "deploy" / "systemd"
TEXT = (DIRECTORY / "kiteward.service").read_text()
LINES = [line for line in TEXT.splitlines() if line and not line.startswith("#")]


def values(name: str) -> list[str]:
    return [line.partition("=")[2] for line in LINES if line.startswith(f"{name}=")]


def test_the_engine_may_confine_itself_further() -> None:
    """It filters system calls, which it finds in /proc/sys, and gives up files by Landlock (decision 0026)."""
    assert not values("ProcSubset")
    assert {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"} <= set(
        values("SystemCallFilter")[0].split()
    )


def test_a_stop_reaches_the_server_alone_and_has_time() -> None:
    assert values("KillMode") == ["mixed"]
    assert int(values("TimeoutStopSec")[0]) >= STOP_SECONDS


def test_every_variable_that_the_unit_and_its_comments_name_is_one_of_kiteward() -> None:
    named = set(re.findall(r"\b(KITEWARD_[A-Z_]+)=", TEXT))
    assert ROOT_PASSWORD_FILE in named
    assert named <= {variable_of(key.name) for key in KEYS} | {ROOT_PASSWORD_FILE}


def test_no_secret_is_in_the_unit() -> None:
    given = re.findall(r"\bKITEWARD_\w*PASSWORD\w*=(\S+)", TEXT)
    assert given
    assert all(value.startswith("%d/") for value in given)
