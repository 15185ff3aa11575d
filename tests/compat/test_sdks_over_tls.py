"""The official SDKs over TLS: each with the protocols that it offers itself, and none without trusting who signed."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest
import trustme
from tests.support import server as servers
from tests.support import toolchains
from tests.support.server import RunningServer

_HERE: Final = Path(__file__).parent

PROGRAMS: Final[Mapping[str, Callable[[], list[str]]]] = {
    "node": lambda: [*toolchains.node(), str(_HERE / "node" / "tls.mjs"), "@zilliz/milvus2-sdk-node"],
    "go": lambda: toolchains.go("tls", (_HERE / "go" / "tls.go").read_text()),
    "java": lambda: toolchains.java(_HERE / "java" / "Tls.java"),
}

pytestmark = pytest.mark.timeout(toolchains.MAKING_WITHIN + 120)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, Path]]:
    """A server over TLS, and the certificate of who signed for it."""
    directory = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost")
    leaf.private_key_pem.write_to_path(str(directory / "key.pem"))
    leaf.cert_chain_pems[0].write_to_path(str(directory / "cert.pem"))
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    files = f"{{serverPemPath: {directory / 'cert.pem'}, serverKeyPath: {directory / 'key.pem'}}}"
    config = f"{{common: {{security: {{tlsMode: 1}}}}, tls: {files}}}"
    with servers.running(directory / "data", config=config) as live:
        yield live, directory / "ca.pem"


def run(language: str, live: RunningServer, authority: Path) -> "subprocess.CompletedProcess[str]":
    command = [*PROGRAMS[language](), f"localhost:{live.port}", str(authority)]
    environment = {**os.environ, "SSL_CERT_FILE": str(authority)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)


@pytest.mark.parametrize("language", PROGRAMS)
def test_sdk_is_served_over_tls(secured: tuple[RunningServer, Path], language: str) -> None:
    ran = run(language, *secured)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout.splitlines()[-1]) == ["root"]


@pytest.mark.parametrize("language", PROGRAMS)
def test_sdk_sends_nothing_to_a_server_it_does_not_trust(
    secured: tuple[RunningServer, Path], language: str, tmp_path: Path
) -> None:
    live, _ = secured
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    ran = run(language, live, tmp_path / "other.pem")
    assert ran.returncode != 0
    assert '["root"]' not in ran.stdout
