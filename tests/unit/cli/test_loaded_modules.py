"""What each command loads, which is most of what it costs: modules are counted, because time depends on the machine."""

import subprocess
import sys
from pathlib import Path

import pytest

from kiteward.cli.main import main

PROGRAM = """
import sys
before = set(sys.modules)
from kiteward.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
sys.stderr.write("\\n" + " ".join(set(sys.modules) - before))
"""

STORE = {"aiosqlite", "argon2", "bcrypt", "greenlet", "sqlalchemy"}
"""What reading the store takes, and verifying its passwords."""

GATEWAY = STORE | {"cryptography", "google", "msgspec", "pyotp"}
"""What sending an operation to the store takes."""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with users."""
    directory = tmp_path_factory.mktemp("kept") / "data"
    assert main(["init", "--admin", "db_admin", "--data-dir", str(directory)]) == 0
    return directory


def modules_after(*arguments: str) -> set[str]:
    """The modules that a process has loaded once the command has ended, with what it would load anyway left out."""
    ended = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True)
    return set(ended.stderr.rpartition("\n")[2].split())


def libraries(modules: set[str]) -> set[str]:
    """The libraries among modules, without what compiled ones bring under names of their own."""
    names = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names - {"kiteward"}
    return {name for name in names if not name.startswith("_") and name not in ("cython_runtime", "typing_extensions")}


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_version_and_help_load_no_library_and_none_of_the_commands(argument: str) -> None:
    loaded = modules_after(argument)
    assert {name for name in loaded if name.startswith("kiteward")} == {"kiteward", "kiteward.cli", "kiteward.cli.main"}
    assert libraries(loaded) == set()
    assert len(loaded) < 100


@pytest.mark.parametrize("command", ["serve", "health", "import", "store"])
def test_help_of_a_command_loads_nothing_that_the_command_works_with(command: str) -> None:
    loaded = modules_after(command, "--help")
    assert libraries(loaded) == set()
    assert len(loaded) < 180


@pytest.mark.parametrize(
    ("arguments", "allowed", "most"),
    [
        (["health", "--port", "1"], set(), 130),
        (["audit", "verify"], {"yaml", "msgspec"}, 340),
        (["audit", "tail"], {"yaml", "msgspec"}, 340),
        (["doctor"], {"yaml"} | STORE, 600),
        (["users", "list"], {"yaml"} | GATEWAY, 900),
        (["access", "--missing"], {"yaml"} | GATEWAY, 900),
    ],
)
def test_a_command_loads_only_what_it_works_with(
    directory: Path, arguments: list[str], allowed: set[str], most: int
) -> None:
    place = [] if arguments[0] == "health" else ["--data-dir", str(directory)]
    loaded = modules_after(*arguments, *place)
    assert libraries(loaded) <= allowed
    assert len(loaded) < most


def test_a_doctor_without_a_data_directory_loads_no_database(tmp_path: Path) -> None:
    loaded = modules_after("doctor", "--data-dir", str(tmp_path / "none"))
    assert libraries(loaded) == {"yaml"}
    assert len(loaded) < 340
