"""Third-party libraries are imported only by the modules that the table names, each with the reason."""

import ast
import itertools
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.support.python_sources import syntax_tree

PROJECT = Path(__file__).parents[2]
SOURCE = PROJECT / "src"

STANDARD = sys.stdlib_module_names | {"kiteward"}


@dataclass(frozen=True, slots=True)
class ImportScope:
    """Where one third-party package may be imported.

    Attributes:
        distribution: the name under which `pyproject.toml` declares it.
        modules: patterns of our modules; each holds for what lies below it too.
        reason: why there and nowhere else.
    """

    distribution: str
    modules: tuple[str, ...]
    reason: str

    def admits(self, module: str) -> bool:
        """Return whether `module` may import the package."""
        return any(fnmatchcase(module, pattern) or fnmatchcase(module, f"{pattern}.*") for pattern in self.modules)


# The longest name that fits an import decides.
IMPORT_SCOPES = {
    "aiosqlite": ImportScope("aiosqlite", ("kiteward.store",), "SQL ends where the store ends"),
    "alembic": ImportScope("alembic", ("kiteward.store",), "migrations belong to the schema"),
    "argon2": ImportScope("argon2-cffi", ("kiteward.authn.hashing",), "one place chooses hashes and their parameters"),
    "asyncpg": ImportScope("asyncpg", ("kiteward.store",), "SQL ends where the store ends"),
    "bcrypt": ImportScope(
        "bcrypt", ("kiteward.authn.hashing",), "hashes imported from Milvus, verified once and replaced"
    ),
    "cryptography": ImportScope(
        "cryptography",
        ("kiteward.authn.sealing", "kiteward.bootstrap.backup.sealed_file"),
        "one place seals what the store must not reveal, and one seals whole files, chunk by chunk",
    ),
    "google.protobuf": ImportScope(
        "protobuf",
        ("kiteward.milvus", "kiteward.engine.embedded"),
        "payloads stay bytes everywhere else; the engine's process parses what it executes",
    ),
    "grpc": ImportScope(
        "grpcio", ("kiteward.engine.embedded",), "Milvus Lite's servicer takes its contexts; the server does without it"
    ),
    "httptools": ImportScope("httptools", ("kiteward.net.http1",), "what uvicorn parses HTTP/1.1 with"),
    "httpx": ImportScope("httpx", ("kiteward.authn.oidc.fetching",), "one place asks identity providers"),
    "jinja2": ImportScope("jinja2", ("kiteward.api.console",), "pages for people are made there alone"),
    "jwt": ImportScope(
        "pyjwt", ("kiteward.authn.oidc.tokens", "kiteward.authn.oidc.key_sets"), "tokens are verified in one place"
    ),
    "milvus_lite": ImportScope("milvus-lite", ("kiteward.engine.embedded",), "it runs in the child process alone"),
    "msgspec": ImportScope(
        "msgspec",
        (
            "kiteward.api.rest",
            "kiteward.milvus.json_codec",
            "kiteward.milvus.json_rows",
            "kiteward.iam.json_api",
            "kiteward.iam.policy_files",
            "kiteward.gateway.audit_details",
            "kiteward.audit",
            "kiteward.bootstrap.backup",
            "kiteward.cli.backup",
        ),
        "JSON ends where REST ends; our own operations and policies as code are defined in it, and the audit trail and "
        "backups are written in it",
    ),
    "ngh2": ImportScope(
        "ngh2", ("kiteward.net.http2.session",), "alpha: one module holds it, and its tests are the contract"
    ),
    "numpy": ImportScope("numpy", ("kiteward.engine.embedded",), "the embedded engine compares vectors in it"),
    "opentelemetry": ImportScope(
        "opentelemetry-sdk", ("kiteward.telemetry.tracing",), "an extra, loaded where tracing is on"
    ),
    "opentelemetry.exporter": ImportScope(
        "opentelemetry-exporter-otlp-proto-http", ("kiteward.telemetry.tracing",), "one place knows where traces go"
    ),
    "prometheus_client": ImportScope(
        "prometheus-client", ("kiteward.telemetry.metrics",), "one place knows their format"
    ),
    "pyarrow": ImportScope("pyarrow", ("kiteward.engine.embedded",), "the embedded engine's own files"),
    "pymilvus": ImportScope("pymilvus", ("kiteward.milvus.builders",), "one place builds requests as the SDK does"),
    "pymilvus.grpc_gen": ImportScope(
        "pymilvus",
        ("kiteward.milvus.generated", "kiteward.engine.embedded"),
        "the server loads the generated files without pymilvus' client; the engine's process has it anyway",
    ),
    "pyotp": ImportScope("pyotp", ("kiteward.authn.second_factor.totp",), "one place computes codes of apps"),
    "segno": ImportScope("segno", ("kiteward.api.console.qr_code",), "pages for people are made there alone"),
    "sqlalchemy": ImportScope("sqlalchemy", ("kiteward.store",), "SQL ends where the store ends"),
    "starlette": ImportScope("starlette", ("kiteward.api.rest", "kiteward.api.console"), "the core knows no protocol"),
    "structlog": ImportScope("structlog", ("kiteward.telemetry.logs",), "everybody logs with the standard library"),
    "uvicorn": ImportScope("uvicorn", ("kiteward.net.http1",), "the core knows no protocol"),
    "uvloop": ImportScope(
        "uvloop",
        ("kiteward.cli", "kiteward.bootstrap", "kiteward.engine.embedded.child"),
        "the loop is chosen once, where a process starts",
    ),
    "webauthn": ImportScope(
        "webauthn", ("kiteward.authn.second_factor.passkeys",), "one place reads what devices have signed"
    ),
    "zxcvbn": ImportScope("zxcvbn", ("kiteward.authn.common_passwords",), "only its list of common passwords is used"),
    "yaml": ImportScope(
        "pyyaml",
        ("kiteward.config", "kiteward.cli.policy_yaml"),
        "settings are read once, into types; and policies as code, which are written too",
    ),
}


def imported_names(tree: ast.Module, module: str) -> Iterator[str]:
    """Yield every absolute name that `module` imports at any depth, by statement or by `import_module("…")`."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=source, names=names, level=0) if source:
                yield from (f"{source}.{alias.name}" for alias in names)
            case ast.ImportFrom(level=level) if level:
                yield module.partition(".")[0]
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield name


def scope_of(name: str) -> ImportScope | None:
    """Return the scope of the imported `name`, or None if it has none."""
    parts = name.split(".")
    candidates = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((IMPORT_SCOPES[candidate] for candidate in candidates if candidate in IMPORT_SCOPES), None)


def complaints(source: str, module: str) -> list[str]:
    """Return one sentence per import in `source` that the table does not allow."""
    found = []
    for name in imported_names(syntax_tree(source), module):
        if name.split(".")[0] in STANDARD:
            continue
        scope = scope_of(name)
        if scope is None:
            found.append(f"{module} imports {name}, which has no scope: add one to IMPORT_SCOPES, with its reason")
        elif not scope.admits(module):
            found.append(f"{module} imports {name}, allowed in {', '.join(scope.modules)} only: {scope.reason}")
    return found


def module_of(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_every_third_party_import_is_in_its_scope() -> None:
    files = sorted(SOURCE.rglob("*.py"))
    assert files
    found = [complaint for path in files for complaint in complaints(path.read_text("utf-8"), module_of(path))]
    assert not found, "\n".join(found)


def test_every_scope_belongs_to_a_declared_dependency_and_the_other_way_round() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    assert {scope.distribution for scope in IMPORT_SCOPES.values()} == declared


@pytest.mark.parametrize(
    "source",
    [
        "import grpc",
        "import grpc.aio as aio",
        "from grpc import aio",
        "def late():\n    import grpc",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import grpc",
        "import importlib\nimportlib.import_module('grpc.aio')",
        "from importlib import import_module\nimport_module('grpc')",
        "__import__('grpc')",
    ],
)
def test_an_import_outside_its_scope_is_found_however_it_is_written(source: str) -> None:
    (complaint,) = complaints(source, "kiteward.gateway.gateway")
    assert "the server does without it" in complaint
    assert complaints(source, "kiteward.engine.embedded.call_context") == []


def test_a_library_without_a_scope_is_found_everywhere() -> None:
    assert complaints("import requests", "kiteward.api.grpc.server")


def test_a_scope_for_a_part_of_a_library_does_not_admit_the_rest() -> None:
    assert complaints("from pymilvus import MilvusClient", "kiteward.milvus.generated")
    assert complaints("import google.cloud", "kiteward.milvus.messages")
    assert complaints("from pymilvus.grpc_gen import milvus_pb2", "kiteward.milvus.generated") == []
    assert complaints("from google.protobuf import message", "kiteward.milvus.messages") == []


def test_a_scope_admits_no_neighbour_whose_name_begins_alike() -> None:
    assert complaints("import argon2", "kiteward.authn.hashing_again")


def test_the_domain_is_in_no_scope() -> None:
    found = {name for name, scope in IMPORT_SCOPES.items() if scope.admits("kiteward.authz.policy")}
    assert found == set()


def test_the_standard_library_and_our_own_modules_are_free() -> None:
    source = "import json, os.path\nfrom kiteward.domain import policy\nfrom . import access"
    assert complaints(source, "kiteward.domain.naming") == []
