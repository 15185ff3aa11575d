"""The Compose file, read as Docker reads it."""

import json
from pathlib import Path

import pytest
from tests.deploy import tools
from tests.support import toolchains

pytestmark = pytest.mark.timeout(1800)

DIRECTORY = Path(__file__).resolve().parents[2] / "deploy" / "compose"


def test_the_file_is_valid_and_what_it_refers_to_is_there() -> None:
    printed = toolchains.run([*tools.compose(), "-format=json", str(DIRECTORY / "compose.yaml")], cwd=DIRECTORY)
    project = json.loads(printed)
    assert set(project["services"]) == {"etcd", "kiteward", "milvus", "minio", "postgresql", "service-account"}
    built = {each["build"]["context"] for each in project["services"].values() if "build" in each}
    assert built == {str(DIRECTORY.parents[1])}
    assert all(Path(each["file"]).is_file() for each in project["configs"].values())
    (milvus,) = [each for name, each in project["services"].items() if name == "milvus"]
    assert '$(cat /run/secrets/minio)"' in milvus["command"][2]
