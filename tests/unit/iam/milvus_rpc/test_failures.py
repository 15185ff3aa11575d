"""Handlers report failures by raising: the audit trail does not read their responses for a status."""

import ast
from pathlib import Path

from tests.support.python_sources import syntax_tree

import kiteward.iam.milvus_rpc

FOLDER = Path(kiteward.iam.milvus_rpc.__file__).parent


def test_no_handler_makes_a_response_that_reports_a_failure() -> None:
    statuses = []
    for path in sorted(FOLDER.glob("*.py")):
        for node in ast.walk(syntax_tree(path.read_text("utf-8"))):
            if (
                not isinstance(node, ast.Attribute)
                or not isinstance(node.value, ast.Name)
                or node.value.id != "messages"
            ):
                continue
            assert node.attr != "failure", f"{path.name}:{node.lineno} makes a failure: raise instead"
            if node.attr == "Status":
                statuses.append((path.name, node.lineno))
    assert statuses
    for path in sorted(FOLDER.glob("*.py")):
        for call in ast.walk(syntax_tree(path.read_text("utf-8"))):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "Status":
                assert not call.args, f"{path.name}:{call.lineno}"
                assert not call.keywords, f"{path.name}:{call.lineno}: a status with content: raise instead"
                statuses.remove((path.name, call.func.lineno))
    assert not statuses, f"a status that is not made empty at once: {statuses}"
