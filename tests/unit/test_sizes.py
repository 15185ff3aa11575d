"""No module of the product is longer than 400 lines, and no function longer than 40."""

import ast
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).resolve().parents[2]
SOURCE: Final = PROJECT / "src"

MODULE_LINES: Final = 400
FUNCTION_LINES: Final = 40


def too_long(source: str, name: str) -> set[str]:
    """Return the module, if it is too long, and each of its functions that is.

    A function's lines are those from `def` to its end, docstring included and decorators not.
    """
    found = {name} if len(source.splitlines()) > MODULE_LINES else set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            if node.end_lineno - node.lineno + 1 > FUNCTION_LINES:
                found.add(f"{name}: {node.name}")
    return found


def test_every_module_and_function_is_short_enough_to_be_read_at_once() -> None:
    files = sorted(SOURCE.rglob("*.py"))
    assert files
    found = set().union(*(too_long(path.read_text("utf-8"), path.relative_to(SOURCE).as_posix()) for path in files))
    assert found == set()


def test_what_is_too_long_is_found() -> None:
    def function(lines: int) -> str:
        return "class A:\n    async def work(self):\n" + "        pass\n" * (lines - 1)

    assert too_long(function(FUNCTION_LINES), "m.py") == set()
    assert too_long(function(FUNCTION_LINES + 1), "m.py") == {"m.py: work"}
    assert too_long("x = 1\n" * MODULE_LINES, "m.py") == set()
    assert too_long("x = 1\n" * (MODULE_LINES + 1), "m.py") == {"m.py"}
