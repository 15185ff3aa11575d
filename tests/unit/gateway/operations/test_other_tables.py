"""All that is known of an RPC is in its row: no other module keeps a table of RPCs."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.support.python_sources import syntax_tree

import kiteward
from kiteward.gateway.operations import OPERATIONS

SOURCES: Final = Path(kiteward.__file__).parent
ROWS: Final = "gateway/operations/"

EXEMPT: Final = {
    ("authz/privileges.py", "DATABASE_READS"): "these are privileges; some are called as the RPCs that need them",
    ("engine/offline.py", "_ANSWERS"): "these are answered without an engine, from its files, each by a function",
    ("api/console/audit_lines.py", "_OF_ROWS"): "these are what a page of the data explorer sends together",
    ("bootstrap/engine_review.py", "TRIALS"): "these are privileges too, each with a request that changes nothing",
}
"""Module and name of tables that stay elsewhere -> why."""


def texts(node: ast.expr) -> list[str]:
    """Return the texts that a literal has as members: the keys of a mapping, the elements of a set, list or tuple.

    A text that is split into words where it stands counts as the words.
    """
    match node:
        case ast.Dict(keys=members) | ast.Set(elts=members) | ast.List(elts=members) | ast.Tuple(elts=members):
            found = [text for member in members if member is not None for text in member_texts(member)]
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str(words)), attr="split")):
            found = words.split()
        case ast.Call(args=arguments, keywords=keywords):
            values = [*arguments, *(keyword.value for keyword in keywords)]
            found = [text for value in values for text in texts(value)]
        case ast.BinOp(left=left, right=right):
            found = [*texts(left), *texts(right)]
        case _:
            found = []
    return found


def member_texts(member: ast.expr) -> list[str]:
    match member:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.Tuple(elts=[ast.Constant(value=str(text)), *_]):
            return [text]
        case _:
            return []


def tables(source: str) -> Iterator[str]:
    """Yield the names of what is assigned, at the level of the module or of a class, and mostly names RPCs."""
    for node in ast.walk(syntax_tree(source)):
        if not isinstance(node, ast.Module | ast.ClassDef):
            continue
        for statement in node.body:
            if isinstance(statement, ast.Assign):
                target, value = statement.targets[0], statement.value
            elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
                target, value = statement.target, statement.value
            else:
                continue
            members = texts(value)
            if len(members) > 1 and 2 * sum(text in OPERATIONS for text in members) > len(members):
                yield ast.unparse(target)


def test_no_module_but_the_rows_keeps_a_table_of_rpcs() -> None:
    found = {
        (name, table)
        for path in sorted(SOURCES.rglob("*.py"))
        if not (name := path.relative_to(SOURCES).as_posix()).startswith(ROWS)
        for table in tables(path.read_text())
    }
    assert found - set(EXEMPT) == set(), "put it into the rows of kiteward.gateway.operations"
    assert set(EXEMPT) <= found, "an exemption is no longer needed"


def test_a_table_is_found_however_it_is_written() -> None:
    written = (
        'A = {"Insert": 1, "Search": 2}',
        'A: Final = frozenset({"Insert", "Search"})',
        'A: Final[Mapping[str, int]] = MappingProxyType({"Insert": 1, "Search": 2, "other": 3})',
        'A = dict.fromkeys(("Insert", "Search"), 1)',
        'A = frozenset("Insert Search".split())',
        'A = (("Insert", 1), ("Search", 2))',
        'class Some:\n    A = {"Insert", "Search"}',
    )
    for source in written:
        assert list(tables(source)) == ["A"], source


def test_other_tables_are_left_alone() -> None:
    for source in ('A = {"reader": 1, "writer": 2, "Insert": 3}', "A = {1: 2}", 'A = "Insert"', "A = call()"):
        assert list(tables(source)) == [], source
