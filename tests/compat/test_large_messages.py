"""Official SDKs send and receive messages that are larger than what may be sent unasked, through each engine."""

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import pytest
from pymilvus import DataType, MilvusClient
from tests.support import toolchains
from tests.support.server import RunningServer

_HERE: Final = Path(__file__).parent
_PROGRAM: Final = _HERE / "node" / "large.mjs"
_WITHIN: Final = 100.0
MILLIONS_OF_BYTES: Final = 30
DIMENSION: Final = 1_000
ROWS: Final = MILLIONS_OF_BYTES * 1_000_000 // (4 * DIMENSION)

PROGRAMS: Final[Mapping[str, Callable[[], list[str]]]] = {
    "go": lambda: toolchains.go("large", (_HERE / "go" / "large.go").read_text()),
    "java": lambda: toolchains.java(_HERE / "java" / "Large.java"),
}
"""The program of each language, made if need be."""

pytestmark = pytest.mark.timeout(toolchains.MAKING_WITHIN + 120)


@pytest.mark.parametrize("sdk", ["milvus2-sdk-node-2.3", "milvus2-sdk-node-2.5", "@zilliz/milvus2-sdk-node"])
def test_a_thousand_rows_in_one_message_are_inserted(server: RunningServer, sdk: str) -> None:
    command = [*toolchains.node(), str(_PROGRAM), sdk, server.uri.removeprefix("http://")]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=_WITHIN, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1]) == 1_000


def test_messages_of_many_megabytes_pass_both_ways(root: MilvusClient) -> None:
    schema = root.create_schema()
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=DIMENSION)
    root.create_collection("large", schema=schema)
    index = root.prepare_index_params()
    index.add_index("vector", index_type="FLAT", metric_type="L2")
    root.create_index("large", index, sync=False)
    root.load_collection("large")
    data = [{"id": number, "vector": [float(number)] * DIMENSION} for number in range(ROWS)]
    assert root.insert("large", data)["insert_count"] == ROWS
    found = root.query("large", filter="id >= 0", output_fields=["vector"])
    assert len(found) == ROWS
    assert all(row["vector"][-1] == float(row["id"]) for row in found)
    root.drop_collection("large")


@pytest.mark.heavy
@pytest.mark.parametrize("language", PROGRAMS)
def test_messages_of_many_megabytes_pass_both_ways_with_other_sdks(server: RunningServer, language: str) -> None:
    command = [*PROGRAMS[language](), server.uri.removeprefix("http://"), str(ROWS), str(DIMENSION)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=_WITHIN, check=False)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1]) == [ROWS, ROWS]
