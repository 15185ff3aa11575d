"""The wheel and the source distribution: what is in them, and that what is installed from them runs."""

import os
import re
import signal
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Mapping
from email.parser import Parser
from pathlib import Path
from typing import Final

import pytest

from kiteward import __version__

REPOSITORY: Final = Path(__file__).parents[2]
LIBRARIES: Final = Path(sysconfig.get_path("purelib"))


def built(kind: str, source: Path, target: Path) -> Path:
    """Build a distribution of a source tree with the pinned build system, and return it."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(target)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (made,) = target.iterdir()
    return made


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source tree that the source distribution holds."""
    place = tmp_path_factory.mktemp("sdist")
    with tarfile.open(built("sdist", REPOSITORY, place / "made")) as archive:
        archive.extractall(place, filter="data")
    return place / f"kiteward-{__version__}"


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from nothing but the source distribution."""
    return built("wheel", sdist, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def bin_directory(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of a new environment with the wheel, and with the pinned libraries of this one."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=False)
    (libraries,) = place.glob("lib/python*/site-packages")
    (libraries / "pinned.pth").write_text(f"{LIBRARIES}\n", "utf-8")
    command = [
        sys.executable,
        "-m",
        "uv",
        "pip",
        "install",
        "--quiet",
        "--offline",
        "--no-deps",
        "--python",
        str(place),
    ]
    subprocess.run([*command, str(wheel)], check=True, capture_output=True)
    return place / "bin"


def environment() -> Mapping[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("KITEWARD_", "PYTHON"))}


def ran(bin_directory: Path, *arguments: str) -> str:
    command = [str(bin_directory / "kiteward"), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment()).stdout


def test_source_distribution_has_what_people_look_for(sdist: Path) -> None:
    for name in ("README.md", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs", "tests", "Makefile"):
        assert (sdist / name).exists(), name
    assert not list(sdist.rglob("__pycache__"))


def test_wheel_has_every_file_of_the_package_and_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        about = Parser().parsestr(archive.read(f"kiteward-{__version__}.dist-info/METADATA").decode())
    package = REPOSITORY / "src"
    files = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    assert {name for name in files if "__pycache__" not in name} <= names
    assert not [name for name in names if name.startswith(("tests/", "docs/"))]
    assert (about["Name"], about["Version"], about["License-Expression"]) == ("kiteward", __version__, "Apache-2.0")
    assert about["Summary"]
    assert about["Requires-Python"] == ">=3.11"
    assert about["Description-Content-Type"] == "text/markdown"


def test_what_is_installed_from_the_wheel_runs(bin_directory: Path, tmp_path: Path) -> None:
    python = [str(bin_directory / "python"), "-c", "import kiteward; print(kiteward.__file__)"]
    where = subprocess.run(python, check=True, capture_output=True, text=True, env=environment()).stdout
    assert Path(where.strip()).is_relative_to(bin_directory.parent)
    assert ran(bin_directory, "--version") == f"kiteward {__version__}\n"
    data = tmp_path / "data"
    assert re.search(
        r"user: db_admin\npassword: \S+", ran(bin_directory, "init", "--admin", "db_admin", "--data-dir", str(data))
    )
    command = [str(bin_directory / "kiteward"), "serve", "--data-dir", str(data), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as server:
        assert server.stdout is not None
        assert "is ready on http://127.0.0.1:" in server.stdout.readline()
        server.send_signal(signal.SIGTERM)
        server.stdout.read()
    assert server.returncode == 0
