"""An environment of an older client or framework is made when a test needs it, once, and a failure is reported."""

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support import environments, toolchains

REPOSITORY = Path(__file__).resolve().parents[2]
MAKEFILE = """
.venv-client/.ready:
	echo made >>builds
	sleep 0.2
	mkdir -p .venv-client
	touch $@

.venv-broken/.ready:
	echo 'no such package: client' >&2
	false
"""


def planned(*arguments: str) -> str:
    """Return the commands that make would run, each run of spaces as one."""
    make = [toolchains.installed("make", package="make"), "--no-print-directory", "--dry-run", *arguments]
    return " ".join(toolchains.run(make, cwd=REPOSITORY, environment={"MAKEFLAGS": ""}).split())


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "Makefile").write_text(MAKEFILE)
    return tmp_path


def test_an_environment_that_several_tests_need_at_once_is_made_once(repository: Path) -> None:
    with ThreadPoolExecutor(3) as executor:
        found = list(executor.map(lambda _: environments.python("client", repository=repository), range(3)))
    assert found == [repository / ".venv-client" / "bin" / "python"] * 3
    assert (repository / "builds").read_text() == "made\n"


def test_a_build_that_fails_fails_the_test_with_what_it_printed(repository: Path) -> None:
    with pytest.raises(AssertionError, match="no such package: client"):
        environments.python("broken", repository=repository)


@pytest.mark.parametrize("target", ["unit", "test"])
def test_no_such_environment_is_made_before_the_tests_are_chosen(target: str) -> None:
    assert "pytest" in planned(target)
    assert ".venv-" not in planned(target)


@pytest.mark.parametrize(
    ("arguments", "chosen"),
    [("", "tests/unit"), ("-k login", "tests/unit -k login"), ("tests/unit/domain -x", "tests/unit/domain -x")],
)
def test_make_unit_runs_the_unit_tests_or_those_that_are_named_without_slow_ones(arguments: str, chosen: str) -> None:
    assert planned("unit", f"ARGS={arguments}").endswith(f"-m 'not slow' {chosen}")


def test_uv_comes_by_its_digest_and_fills_the_environment_of_the_server_by_theirs() -> None:
    plan = planned("--always-make", ".venv/.run-ready")
    assert "--require-hashes --no-deps -r requirements/uv.lock" in plan
    assert "uv pip install --no-config --no-deps --require-hashes --python .venv -r requirements/build.lock" in plan
    pinned, tests = (pins((REPOSITORY / "requirements" / name).read_text("utf-8")) for name in ("uv.lock", "dev.lock"))
    assert pinned == {"uv": tests["uv"]}  # the tests' environment leaves it as it is


def pins(lock: str) -> dict[str, str]:
    """Return the pinned version of each package of a lock."""
    return dict(line.split(" ")[0].split("==") for line in lock.splitlines() if "==" in line and line[0] not in "# ")


def test_an_index_in_the_settings_of_pip_is_asked_for_every_environment() -> None:
    """uv, which fills environments, does not read pip's settings."""
    settings = {
        "PIP_INDEX_URL": "https://name:word@index.invalid/simple",
        "PIP_EXTRA_INDEX_URL": "https://more.invalid",
    }
    _, variable, recipe = planned("--always-make", ".venv-pymilvus25/.ready").partition("UV_DEFAULT_INDEX=")
    prefix, _, _ = recipe.partition(".venv/bin/uv")
    handed = subprocess.run(
        ["/bin/sh", "-euc", f"{variable}{prefix} env"],
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], **settings},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"UV_DEFAULT_INDEX={settings['PIP_INDEX_URL']}\n" in handed.stdout
    assert f"UV_INDEX={settings['PIP_EXTRA_INDEX_URL']}\n" in handed.stdout
