"""Starts that are refused, and the sentences that say why."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from pymilvus import MilvusClient
from tests.support import raw_grpc
from tests.support import server as servers
from tests.support.server import ROOT_TOKEN, RunningServer

from kiteward.cli.main import main
from kiteward.config.loading import load
from kiteward.config.settings import Settings


def refused(cwd: Path, *arguments: str) -> tuple[int, str]:
    """Return exit status and last line of a start that must fail, after checking that it fails politely."""
    done = servers.refused_start(servers.command(cwd / "data", *arguments), cwd=cwd)
    assert done.returncode != 0
    assert "ready" not in done.stdout
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.strip().splitlines()[-1]


@pytest.fixture
def refused_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """The same in this process, for what is refused before anything starts."""

    async def serve(_settings: Settings) -> None:
        raise AssertionError("the server was started")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("kiteward.bootstrap.serving.serve", serve)

    def refused_here(*arguments: str) -> tuple[int, str]:
        try:
            status = main(["serve", "--data-dir", "data", *arguments])
        except SystemExit as ended:
            status = int(ended.code or 0)
        shown = capsys.readouterr()
        assert shown.out == ""
        assert not Path("data").exists()
        return status, shown.err.strip().splitlines()[-1]

    return refused_here


def configured(cwd: Path, text: str) -> Sequence[str]:
    (cwd / "milvus.yaml").write_text(text, encoding="utf-8")
    return "--config", "milvus.yaml"


def test_default_root_password_is_served_on_this_machine_only(tmp_path: Path) -> None:
    status, message = refused(tmp_path, "--host", "0.0.0.0")
    assert status == 1
    assert message.startswith("kiteward: refusing to listen on 0.0.0.0: root still has the default password")
    assert "update_password" in message
    with servers.running(tmp_path / "data") as server:
        root = MilvusClient(uri=server.uri, token=ROOT_TOKEN, dedicated=True)
        root.update_password("root", "Milvus", "Chang3d-root")
        root.close()
    with servers.running(tmp_path / "data", "--host", "0.0.0.0") as server:
        assert server.host == "0.0.0.0"
        assert raw_grpc.accepts(server.uri, "root:Chang3d-root")
        assert not raw_grpc.accepts(server.uri, ROOT_TOKEN)


def test_first_root_password_may_be_in_the_configuration(tmp_path: Path) -> None:
    config = "common:\n  security:\n    defaultRootPassword: Fr0m-the-file\n"
    with servers.running(tmp_path / "data", "--host", "0.0.0.0", config=config) as server:
        assert raw_grpc.accepts(server.uri, "root:Fr0m-the-file")
        assert not raw_grpc.accepts(server.uri, ROOT_TOKEN)
        assert "Fr0m-the-file" not in server.log()
    other = config.replace("Fr0m", "0ther")
    with servers.running(tmp_path / "data", "--host", "0.0.0.0", config=other) as server:
        assert raw_grpc.accepts(server.uri, "root:Fr0m-the-file")


@pytest.mark.parametrize("port", ["-1", "65536", "http", "", "19530.0", "\uff11\uff19"])
def test_port_that_is_none_is_refused(refused_here: Callable[..., tuple[int, str]], port: str) -> None:
    status, message = refused_here(f"--port={port}")
    assert status == 2
    assert f"a port is a number from 0 to 65535, not {port!r}" in message


def test_unknown_argument_is_refused_with_the_status_of_a_wrong_command_line(tmp_path: Path) -> None:
    status, message = refused(tmp_path, "--no-such-thing")
    assert status == 2
    assert "--no-such-thing" in message


def test_port_in_use_is_named(server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # That of metrics is tried first, and the default may be another server's.
    monkeypatch.setenv("KITEWARD_METRICS_PORT", "0")
    status, message = refused(tmp_path, "--port", str(server.port))
    assert status == 1
    assert f"127.0.0.1:{server.port}" in message
    assert raw_grpc.accepts(server.uri, ROOT_TOKEN)


def test_address_of_another_machine_is_refused(tmp_path: Path) -> None:
    config = configured(tmp_path, "common: {security: {defaultRootPassword: Fr0m-the-file}}")
    status, message = refused(tmp_path, "--host", "192.0.2.1", *config)
    assert status == 1
    assert "192.0.2.1" in message


def test_configuration_that_is_not_there_is_named(tmp_path: Path) -> None:
    status, message = refused(tmp_path, "--config", "nowhere.yaml")
    assert (status, message) == (
        1,
        "kiteward: the configuration file nowhere.yaml cannot be read: No such file or directory",
    )


def test_directory_as_configuration_is_refused(refused_here: Callable[..., tuple[int, str]]) -> None:
    status, message = refused_here("--config", ".")
    assert (status, message) == (1, "kiteward: the configuration file . cannot be read: Is a directory")


WRONG_FILES = {
    "not YAML": ("common: [", "is not YAML"),
    "not sections": ("- a\n- b\n", "must hold sections"),
    "unknown key of ours": ("kiteward:\n  pasword: x\n", "unknown key kiteward.pasword ("),
    "unknown key further down": ("kiteward:\n  engine:\n    sync: x\n", "unknown key kiteward.engine.sync"),
    "value in place of our section": ("kiteward: yes\n", "kiteward"),
    "unknown password policy": ("kiteward:\n  passwordPolicy: lax\n", "kiteward.passwordPolicy must be one of "),
    "port as a word": ("proxy:\n  port: http\n", "proxy.port must be a whole number"),
    "port out of range": ("proxy:\n  port: 70000\n", "proxy.port must be at least 0 and at most 65535"),
    "flag that is none": ("common:\n  security:\n    authorizationEnabled: perhaps\n", "must be true or false"),
    "password lengths that contradict": ("proxy:\n  minPasswordLength: 100\n", "proxy.minPasswordLength (100)"),
}


@pytest.mark.parametrize(("text", "why"), WRONG_FILES.values(), ids=WRONG_FILES)
def test_configuration_that_cannot_be_is_refused_with_the_reason(
    refused_here: Callable[..., tuple[int, str]], tmp_path: Path, text: str, why: str
) -> None:
    status, message = refused_here(*configured(tmp_path, text))
    assert status == 1
    assert message.startswith("kiteward: ")
    assert why in message


def test_keys_of_milvus_that_do_not_concern_us_are_ignored(tmp_path: Path) -> None:
    config = "etcd:\n  endpoints: [localhost:2379]\nproxy:\n  maxTaskNum: 1024\ncommon:\n  gracefulTime: 5000\n"
    (tmp_path / "milvus.yaml").write_text(config, encoding="utf-8")
    assert load(tmp_path / "milvus.yaml") == load(None)


def test_data_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a directory")
    status, message = refused(tmp_path)
    assert status == 1
    assert str(tmp_path / "data") in message
    assert (tmp_path / "data").read_text() == "not a directory"


def test_data_directory_may_have_a_name_that_no_address_has(tmp_path_factory: pytest.TempPathFactory) -> None:
    # Short, so that the engine's socket is below it.
    with servers.running(tmp_path_factory.mktemp("ä %25#?") / "data") as server:
        client = MilvusClient(uri=server.uri, token=ROOT_TOKEN, dedicated=True)
        client.create_collection("papers", dimension=4)
        assert client.list_collections() == ["papers"]
        client.close()
        assert list((server.data_dir / "engine").glob("socket-*"))
