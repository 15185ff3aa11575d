"""The program that creates the service account in a Milvus: the account suffices, and no default password is left."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks import peers
from pymilvus import MilvusClient, MilvusException
from tests.support import environments, toolchains

from kiteward.cli.main import main

pytestmark = [pytest.mark.slow, pytest.mark.timeout(toolchains.MAKING_WITHIN + 300)]

PROGRAM = Path(__file__).resolve().parents[2] / "deploy" / "compose" / "service_account.py"
ROOT_PASSWORD, PASSWORD = "Changed-root-1", "Service-account-1"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Milvus as it is after its first start."""
    with peers.milvus(tmp_path_factory.mktemp("milvus") / "data", environments.python("milvus")) as peer:
        yield peer.address


def create(address: str, directory: Path) -> "subprocess.CompletedProcess[str]":
    (directory / "root").write_text(f"{ROOT_PASSWORD}\n")
    (directory / "account").write_text(PASSWORD)
    files = [f"--root-password-file={directory / 'root'}", f"--password-file={directory / 'account'}"]
    command = [sys.executable, str(PROGRAM), f"http://{address}", *files]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_account_is_sufficient_and_the_default_password_of_root_is_gone(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):  # it may be run again
        done = create(address, tmp_path)
        assert done.returncode == 0, done.stderr
        assert "the account kiteward is there" in done.stdout
        assert not any(secret in done.stdout + done.stderr for secret in (ROOT_PASSWORD, PASSWORD))
    with pytest.raises(MilvusException):
        MilvusClient(uri=f"http://{address}", token="root:Milvus")
    engine = f"{{address: 'grpc://{address}', user: kiteward, passwordFile: '{tmp_path / 'account'}'}}"
    (tmp_path / "milvus.yaml").write_text(f"kiteward: {{engine: {engine}, dataDir: '{tmp_path / 'data'}'}}")
    main(["doctor", "--config", str(tmp_path / "milvus.yaml")])
    printed = capsys.readouterr().out
    assert "fault:" not in printed
    assert "remote engine accepts" not in printed
