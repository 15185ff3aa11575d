"""kill -9 while a user drops and creates its collection: the next run of its program works, and nobody inherits.

`make crashes` kills more often.
"""

import os
import random
import threading
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from pymilvus import MilvusClient
from pymilvus.grpc_gen import common_pb2, schema_pb2
from tests.compat import accounts
from tests.support import raw_grpc, server
from tests.support.server import pytest_runtest_makereport

__all__ = ["pytest_runtest_makereport"]

ROUNDS: Final = max(2, int(os.environ.get("TESTS_CRASH_ROUNDS", "0")) // 20)
LONGEST: Final = 0.4
"""Seconds that the user rebuilds at most before the server is killed."""

OWNER: Final = [("CollectionAdmin", "rebuilt"), ("CreateCollection", "rebuilt"), ("DropCollection", "rebuilt")]
SCHEMA: Final = schema_pb2.CollectionSchema(
    name="rebuilt",
    fields=[
        schema_pb2.FieldSchema(name="id", is_primary_key=True, data_type=schema_pb2.Int64),
        schema_pb2.FieldSchema(
            name="vector", data_type=schema_pb2.FloatVector, type_params=[common_pb2.KeyValuePair(key="dim", value="2")]
        ),
    ],
).SerializeToString()


def ask(uri: str, method: str, token: str, **fields: Any) -> Any:
    """Call an RPC about the collection, and demand that it succeeds."""
    answer = raw_grpc.call(uri, method, header=raw_grpc.authorization(token), collection_name="rebuilt", **fields)
    status = getattr(answer, "status", answer)
    assert status.code == 0, f"{method}: {status}"
    return answer


def rebuild(uri: str) -> None:
    """Rebuild a collection as a program with `drop_old` does, and use it."""
    owner = accounts.token("owner")
    if ask(uri, "HasCollection", owner).value:
        ask(uri, "DropCollection", owner)
    ask(uri, "CreateCollection", owner, schema=SCHEMA)
    ask(uri, "GetCollectionStatistics", owner)


def rebuild_until_gone(uri: str, running: threading.Event, faults: list[BaseException]) -> None:
    """Rebuild until the server is gone; whatever else ends it is a fault."""
    try:
        while True:
            rebuild(uri)
            running.set()
    except grpc.RpcError as error:
        if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
            faults.append(error)
    except AssertionError as error:
        faults.append(error)


@pytest.mark.heavy
@pytest.mark.timeout(300 + 60 * ROUNDS)
def test_program_that_rebuilds_its_collection_works_again_after_any_kill(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**32)
    delays = random.Random(seed)
    for number in range(ROUNDS):
        running = server.start(tmp_path / "data")
        try:
            if number == 0:
                root = MilvusClient(uri=running.uri, token=server.ROOT_TOKEN, dedicated=True)
                accounts.add(root, "owner", *OWNER)
                root.close()
            rebuild(running.uri)
            rebuilt, faults = threading.Event(), list[BaseException]()
            program = threading.Thread(target=rebuild_until_gone, args=(running.uri, rebuilt, faults))
            program.start()
            assert rebuilt.wait(60), f"nothing was rebuilt (seed {seed}): {faults}"
            program.join(delays.random() * LONGEST)
        finally:
            running.process.kill()
            running.process.wait()
        program.join(60)
        assert not faults, f"seed {seed}: {faults}"
    with server.running(tmp_path / "data") as last:
        rebuild(last.uri)
        ask(last.uri, "DropCollection", accounts.token("owner"))
        ask(last.uri, "CreateCollection", server.ROOT_TOKEN, schema=SCHEMA)
        refused = raw_grpc.refusal(
            last.uri,
            "GetCollectionStatistics",
            header=raw_grpc.authorization(accounts.token("owner")),
            collection_name="rebuilt",
        )
        assert refused[0] is grpc.StatusCode.PERMISSION_DENIED
