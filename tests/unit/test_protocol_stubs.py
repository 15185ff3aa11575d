"""stubs/ holds the types of the pinned protocol, so that mypy checks the names of message fields."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

_SCRIPT = Path(__file__).parents[2] / ".ci" / "protocol_stubs.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("protocol_stubs", _SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_stubs_are_those_of_the_pinned_protocol(script: ModuleType) -> None:
    present = {path: path.read_text("utf-8") for path in script.STUBS.rglob("*.pyi")}
    wanted = script.generated()
    assert {path.name for path in present} == {path.name for path in wanted}
    assert [path.name for path, text in wanted.items() if present[path] != text] == [], "make stubs"
