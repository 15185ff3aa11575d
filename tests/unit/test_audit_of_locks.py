"""What `make audit` makes of what pip-audit reports."""

import importlib.util
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

_SCRIPT = Path(__file__).parents[2] / ".ci" / "audit.py"

_RIGHT = {"name": "jinja2", "version": "3.1.6", "vulns": []}
_WRONG = {"name": "jinja2", "version": "2.10", "vulns": [{"id": "PYSEC-2019-217", "fix_versions": ["2.10.1"]}]}
_SKIPPED = {"name": "milvus", "skip_reason": "not found"}


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit_of_locks", _SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def locks(tmp_path: Path) -> list[Path]:
    for name, text in (("run.lock", "larger"), ("small.lock", "s")):
        (tmp_path / name).write_text(text)
    return list(tmp_path.iterdir())


def _reporting(**dependency: Any) -> Callable[[str, Path], Mapping[str, Any] | None]:
    """Return a service for each keyword that reports this of every lock; all others cannot be reached."""
    return lambda service, _: {"dependencies": [dependency[service]]} if service in dependency else None


def test_pins_without_advisories_pass(script: ModuleType, locks: list[Path]) -> None:
    assert script.audit(locks, _reporting(pypi=_RIGHT)).status == 0


def test_advisory_fails_and_names_the_version_that_mends_it(script: ModuleType, locks: list[Path]) -> None:
    verdict = script.audit(locks, _reporting(pypi=_WRONG))
    assert verdict.status == script.VULNERABLE
    assert "jinja2 2.10: PYSEC-2019-217, fixed by 2.10.1" in str(verdict)


@pytest.mark.parametrize("found", [{}, {"pypi": _SKIPPED}, {"pypi": _SKIPPED, "osv": _SKIPPED}])
def test_index_without_advisories_is_no_all_clear(
    script: ModuleType, locks: list[Path], found: Mapping[str, Any]
) -> None:
    verdict = script.audit(locks, _reporting(**found))
    assert verdict.status == script.NO_SOURCE
    assert "no source of advisories can be reached" in str(verdict)


def test_second_source_is_asked_where_the_first_knows_nothing(script: ModuleType, locks: list[Path]) -> None:
    assert script.audit(locks, _reporting(pypi=_SKIPPED, osv=_WRONG)).status == script.VULNERABLE


def test_pin_that_no_source_knows_is_named(script: ModuleType, locks: list[Path]) -> None:
    def ask(_: str, lock: Path) -> Mapping[str, Any]:
        return {"dependencies": [_RIGHT if lock.name == "small.lock" else _SKIPPED]}

    verdict = script.audit(locks, ask)
    assert verdict.status == script.NO_SOURCE
    assert "no source knows milvus: not checked" in str(verdict)
