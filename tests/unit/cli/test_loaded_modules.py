"""What each command loads, which is most of what it costs: modules are counted, because time depends on the machine."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from tests.support.server_in_thread import running

from kiteward.cli.main import COMMANDS, main
from kiteward.iam.json_api import CONTENTS

PROGRAM = """
import json, sys
before = set(sys.modules)
from kiteward.cli.main import main
statuses = []
for arguments in json.loads(sys.argv[1]):
    try:
        statuses.append(main(arguments))
    except SystemExit as ended:
        statuses.append(ended.code)
sys.stderr.write("\\n" + json.dumps([statuses, list(set(sys.modules) - before)]))
"""

STORE = {"aiosqlite", "argon2", "bcrypt", "greenlet", "sqlalchemy"}
"""What reading the store takes, and verifying its passwords."""

GATEWAY = STORE | {"google", "msgspec", "pyotp"}
"""What sending an operation to the store takes."""

RPCS = {"kiteward.gateway.operations.field_use", "kiteward.gateway.operations.identity"}
"""The table of the RPCs, which are what most commands send none of."""

SHARED = {
    *("kiteward.audit.shared", "kiteward.gateway.catalog_following", "kiteward.gateway.replicas.membership"),
    *("kiteward.gateway.replicas.acknowledgements", "kiteward.gateway.row_access.shared_locks"),
}
"""What a store takes that several servers share."""

SERVER = {
    *("alembic", "asyncpg", "faiss", "grpc", "jinja2", "milvus_lite", "numpy", "pandas", "prometheus_client"),
    *("pyarrow", "pymilvus", "starlette", "uvicorn", "uvloop"),
    *("kiteward.api.console.app", "kiteward.api.grpc.service", "kiteward.api.rest.app", "kiteward.bootstrap.server"),
    *("kiteward.engine.embedded.supervisor", "kiteward.net.http1.server", "kiteward.net.http2.connection"),
    "kiteward.config.yaml_text",
    *RPCS,
}
"""What a server takes, or a command that migrates a store, reads a file or sends an RPC; others load none of it."""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with users."""
    directory = tmp_path_factory.mktemp("kept") / "data"
    assert main(["init", "--admin", "db_admin", "--data-dir", str(directory)]) == 0
    return directory


def carried_out(*commands: Sequence[str]) -> tuple[list[int], set[str]]:
    """Exit statuses, and the modules that a process has loaded once commands have ended, less what it has anyway.

    What several commands of one process have not loaded, none of them loads.
    """
    program = [sys.executable, "-c", PROGRAM, json.dumps(commands)]
    ended = subprocess.run(program, capture_output=True, text=True, check=True)
    statuses, loaded = json.loads(ended.stderr.rpartition("\n")[2])
    return statuses, set(loaded)


def modules_after(*commands: Sequence[str]) -> set[str]:
    """The modules alone."""
    return carried_out(*commands)[1]


def libraries(modules: set[str]) -> set[str]:
    """The libraries among modules, without what compiled ones bring under names of their own."""
    names = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names - {"kiteward"}
    return {name for name in names if not name.startswith("_") and name not in ("cython_runtime", "typing_extensions")}


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_version_and_help_load_no_library_and_none_of_the_commands(argument: str) -> None:
    loaded = modules_after([argument])
    ours = {"kiteward", "kiteward.cli", "kiteward.cli.main", "kiteward.cli.parser"}
    assert {name for name in loaded if name.startswith("kiteward")} == ours
    assert libraries(loaded) == set()
    assert len(loaded) < 100


def test_help_of_every_command_loads_nothing_that_the_command_works_with() -> None:
    loaded = modules_after(*([name, "--help"] for helps in COMMANDS.values() for name in helps))
    assert libraries(loaded) <= {"msgspec"}  # of what the commands of the audit trail and of policies choose from
    assert loaded & SERVER == set()
    assert "kiteward.cli.policy" in loaded
    assert len(loaded) < 325


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_loads_nothing_but_the_arguments_of_all_commands(shell: str) -> None:
    loaded = modules_after(["completion", shell])
    assert libraries(loaded) <= {"msgspec"}
    assert loaded & SERVER == set()
    assert len(loaded) < 325


NEAR = (
    "users list",
    "users describe db_admin",
    "users create second",
    "keys list",
    "keys create second",
    "tags set --user second team=red",
    "tags get --user second",
    "limits set --user second --requests-per-second 5",
    "limits list",
    "issuers list",
    "identities list",
    "group-roles list",
    "roles list",
    "roles describe admin",
    "grants list --role admin",
    "access --missing",
    "access --user second",
    "users delete second",
    "whoami",
)
"""Commands that send an operation of our own to the store of this machine."""


def test_a_command_on_the_store_loads_no_server_and_no_table_of_the_rpcs(directory: Path) -> None:
    statuses, loaded = carried_out(*([*line.split(), "--data-dir", str(directory)] for line in NEAR))
    assert dict(zip(NEAR, statuses, strict=True)) == dict.fromkeys(NEAR, 0)
    assert libraries(loaded) <= GATEWAY
    assert loaded & SERVER == set()
    assert "kiteward.store.sql" in loaded
    assert len(loaded) < 740


@pytest.mark.parametrize(
    ("line", "declares"),
    [
        ("users list", {"accounts"}),
        ("keys list", {"keys"}),
        ("roles list", {"roles"}),
        ("grants list --role admin", {"role_details"}),
        ("tags users team red", {"tags"}),
        ("limits list", {"limits"}),
        ("issuers list", {"issuers"}),
        ("identities list", {"identities"}),
    ],
)
def test_a_command_loads_the_operation_that_it_calls_and_no_other(
    directory: Path, line: str, declares: set[str]
) -> None:
    statuses, loaded = carried_out([*line.split(), "--data-dir", str(directory)])
    assert statuses == [0]
    assert {topic for topic in CONTENTS if f"kiteward.iam.json_api.{topic}" in loaded} == declares
    assert loaded & {f"kiteward.api.rest.{name}" for name in ("collections", "entities", "indexes", "roles")} == set()
    assert loaded & SHARED == set()
    assert loaded & {"kiteward.cli.remote", "http.client"} == set()
    assert len(loaded) < 715
    assert len([name for name in loaded if name.startswith("kiteward")]) < 325


def test_a_new_store_is_made_without_what_migrates_an_older_one(tmp_path: Path) -> None:
    statuses, loaded = carried_out(["init", "--admin", "db_admin", "--data-dir", str(tmp_path / "data")])
    assert statuses == [0]
    assert libraries(loaded) <= GATEWAY
    assert loaded & SERVER == set()
    assert len(loaded) < 715


def test_a_command_that_sends_an_rpc_loads_their_table_and_no_more(directory: Path) -> None:
    loaded = modules_after(["roles", "create", "reader", "--data-dir", str(directory)])
    assert loaded & SERVER == RPCS
    assert libraries(loaded) <= GATEWAY
    assert len(loaded) < 745


@pytest.mark.parametrize(
    ("arguments", "allowed", "most"),
    [
        (["health", "--port", "1"], set(), 130),
        (["backup", "list", "--to"], set(), 130),
        (["audit", "verify"], {"msgspec"}, 340),
        (["audit", "tail"], {"msgspec"}, 340),
        (["doctor"], STORE, 520),
        (["policy", "export"], GATEWAY | {"yaml"}, 755),
        (["users", "list", "--server"], set(), 250),
    ],
)
def test_a_command_loads_only_what_it_works_with(
    directory: Path, tmp_path: Path, arguments: list[str], allowed: set[str], most: int
) -> None:
    place = {
        "health": [],
        "backup": [str(tmp_path)],
        "users": ["http://127.0.0.1:1", "--token-file", str(directory / "LOCK")],
    }
    loaded = modules_after([*arguments, *place.get(arguments[0], ["--data-dir", str(directory)])])
    assert libraries(loaded) <= allowed
    assert loaded & SERVER == set()
    assert len(loaded) < most


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data directory of a running server."""
    directory = tmp_path_factory.mktemp("served")
    with running(directory):
        yield directory / "data"


@pytest.mark.parametrize(
    "line",
    [
        *("users list", "users create second", "keys list", "roles list", "roles create reader", "grants list"),
        *(
            "groups list",
            "collections list",
            "limits list",
            "identities list",
            "sessions list",
            "servers list",
            "whoami",
        ),
        *("explain --user root --privilege Query", "access --user root", "policy export"),
    ],
)
def test_a_command_near_a_running_server_loads_neither_a_store_nor_a_gateway(served: Path, line: str) -> None:
    statuses, loaded = carried_out([*line.split(), "--data-dir", str(served)])
    assert statuses == [0]
    reads_files = line.startswith("policy")
    assert libraries(loaded) <= ({"msgspec", "yaml"} if reads_files else set())
    assert loaded & (SERVER | RPCS | {"kiteward.cli.near", "kiteward.gateway.gateway", "kiteward.store.sql"}) == set()
    assert len(loaded) < (375 if reads_files else 305)
    assert len([name for name in loaded if name.startswith("kiteward")]) < (130 if reads_files else 105)


def test_a_configuration_file_is_what_loads_yaml(directory: Path, tmp_path: Path) -> None:
    file = tmp_path / "milvus.yaml"
    file.write_text(f"kiteward:\n  dataDir: {directory}\n")
    assert "yaml" in modules_after(["audit", "tail", "--config", str(file)])


def test_a_doctor_without_a_data_directory_loads_no_database(tmp_path: Path) -> None:
    loaded = modules_after(["doctor", "--data-dir", str(tmp_path / "none")])
    assert libraries(loaded) == set()
    assert len(loaded) < 340


def test_what_a_command_loads_is_not_looked_through_for_cycles() -> None:
    program = (
        "import gc, sys; from kiteward.__main__ import run\n"
        "before = sum(each['collections'] for each in gc.get_stats()[1:])\n"
        "sys.argv = ['kiteward', 'completion', 'bash']; run(); sys.stdout.flush()\n"
        "print(sum(each['collections'] for each in gc.get_stats()[1:]) - before, gc.get_freeze_count() > 0)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "0 True"
