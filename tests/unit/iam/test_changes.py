"""What is read for the answer of a change is read before it is committed.

A read that failed afterwards would tell the caller that the store is not available, and that says: nothing was changed.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.support.python_sources import syntax_tree

import kiteward.iam

NEVER_RAISES = {"_enrolled"}
"""Functions that return less where the store fails."""

SOURCES = Path(kiteward.iam.__file__).parent


def changing_functions() -> Iterator[tuple[str, ast.AsyncFunctionDef, ast.AsyncWith]]:
    """Yield each function that opens the transaction of a change, with the block."""
    for path in sorted(SOURCES.rglob("*.py")):
        for function in ast.walk(syntax_tree(path.read_text("utf-8"))):
            if isinstance(function, ast.AsyncFunctionDef):
                for block in ast.walk(function):
                    if isinstance(block, ast.AsyncWith) and "change()" in ast.unparse(block.items[0]):
                        yield f"{path.relative_to(SOURCES)}: {function.name}", function, block


def test_nothing_is_awaited_after_the_transaction_of_a_change() -> None:
    found = list(changing_functions())
    assert len(found) > 20
    late = [
        f"{name}, line {node.lineno}"
        for name, function, block in found
        for node in ast.walk(function)
        if isinstance(node, ast.Await | ast.AsyncWith | ast.AsyncFor) and node.lineno > (block.end_lineno or 0)
        if not (isinstance(node, ast.Await) and ast.unparse(node.value).partition("(")[0] in NEVER_RAISES)
    ]
    assert late == []
