"""What a server has loaded when it opens its ports, so that no request waits for a module."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import kiteward

PROGRAM = """
import json, sys
from dataclasses import replace
from kiteward.bootstrap.ports import PublicPort
from kiteward.bootstrap.server import Server
from kiteward.config.settings import Settings
settings = Settings()
PublicPort(None, settings if sys.argv[1] == "rest" else replace(settings, rest=replace(settings.rest, enabled=False)))
print(json.dumps(list(sys.modules)))
"""

SOURCES = Path(kiteward.__file__).parent
HANDLING = ("api/rest", "audit", "authz", "filters", "gateway", "iam", "milvus")
"""The layers that handle requests; the store and authentication load a library for what is configured."""


def imported_in_functions() -> Iterator[str]:
    """The modules of ours that a function of those layers imports."""
    for layer in HANDLING:
        for file in (SOURCES / layer).rglob("*.py"):
            for function in ast.walk(ast.parse(file.read_text())):
                if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                    for node in ast.walk(function):
                        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("kiteward."):
                            yield from (
                                f"{node.module}.{each.name}" if is_module(node.module, each.name) else node.module
                                for each in node.names
                            )


def is_module(package: str, name: str) -> bool:
    place = SOURCES.parent.joinpath(*package.split("."), name)
    return place.is_dir() or place.with_suffix(".py").is_file()


@pytest.mark.parametrize("served", ["rest", "grpc alone"])
def test_a_server_has_loaded_every_operation_and_what_functions_import_before_its_first_request(served: str) -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM, served], capture_output=True, text=True, check=True)
    loaded = set(json.loads(ended.stdout))
    topics = {f"kiteward.iam.json_api.{file.stem}" for file in (SOURCES / "iam/json_api").glob("[a-z]*.py")}
    rows = {f"kiteward.gateway.operations.{file.stem}" for file in (SOURCES / "gateway/operations").glob("[a-z]*.py")}
    assert topics | rows <= loaded
    late = set(imported_in_functions())
    assert "kiteward.iam.access" in late
    assert late <= loaded
    if served == "rest":
        assert {f"kiteward.api.rest.{file.stem}" for file in (SOURCES / "api/rest").glob("[a-z]*.py")} <= loaded | {
            "kiteward.api.rest.in_process"  # of the command line
        }
