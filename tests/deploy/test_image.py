"""The image: its steps are carried out in an empty Debian, and what results runs as a container does."""

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.deploy import dockerfile, image, tools
from tests.deploy.image import Container
from tests.support import toolchains

SOURCE = Path(__file__).resolve().parents[2]
DOCKERFILE = SOURCE / "deploy" / "image" / "Dockerfile"
CLIENT = Path(__file__).with_name("image_client.py")
PASSWORD = "Container-1-root"
SECRET = "/run/secrets/root"
IGNORED = ("DL3008",)
"""DL3008: Debian keeps one version of a package in a release, so that none can be named that will still be there."""

pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.skipif(os.geteuid() != 0, reason="chroot and namespaces need root: run `make check-deploy` as root"),
]


@dataclass(frozen=True, slots=True)
class Image:
    """What the steps have made."""

    root: Path
    stage: dockerfile.Stage
    secrets: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    toolchains.installed("unshare", package="util-linux")
    directory = tmp_path_factory.mktemp("image")
    root, stage = image.build(SOURCE, DOCKERFILE, directory, cache=SOURCE / ".cache" / "deploy")
    secrets = tmp_path_factory.mktemp("secrets")
    (secrets / "root").write_text(PASSWORD)
    yield Image(root, stage, secrets)
    image.remove(directory)


@contextlib.contextmanager
def started(built: Image, data: Path, **variables: str) -> Iterator[Container]:
    """A container that is ready, for as long as the block lasts."""
    running = image.run(built.root, built.stage, data, secrets=built.secrets, variables=variables)
    try:
        assert running.process.stdout is not None
        printed = image.lines_until(running.process.stdout, "is ready on")
        assert "is ready on" in printed, printed
        yield running
    finally:
        running.kill()


@pytest.fixture(scope="module")
def container(built: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    with started(built, tmp_path_factory.mktemp("data"), KITEWARD_ROOT_PASSWORD_FILE=SECRET) as running:
        yield running


def client(running: Container, secrets: Path) -> None:
    done = running.execute(sys.executable, str(CLIENT), str(secrets / "root"), inside=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_linter_of_dockerfiles_finds_nothing() -> None:
    ignored = [f"--ignore={rule}" for rule in IGNORED]
    toolchains.run([*tools.hadolint(), "--failure-threshold=info", *ignored, str(DOCKERFILE)], cwd=SOURCE)


def test_the_image_has_the_server_and_nothing_to_install_or_compile_with(built: Image) -> None:
    site = built.root / "opt" / "kiteward" / "lib" / "python3.11" / "site-packages"
    assert (site / "kiteward" / "__init__.py").is_file()
    assert not list(site.glob("pip*"))
    assert not list(site.glob("pytest*"))
    assert not (built.root / "source").exists()
    for program in ("pip", "pip3", "gcc", "curl", "wget"):
        assert not (built.root / "usr" / "bin" / program).exists()


def test_nothing_in_the_image_is_its_users_but_the_volume(built: Image) -> None:
    owner = int(built.stage.last("USER")[0].split(":")[0])
    owned = [path for path in (built.root / "opt").rglob("*") if path.lstat().st_uid == owner]
    writable = [
        path for path in (built.root / "opt").rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o022
    ]
    assert (owned, writable) == ([], [])
    assert (built.root / "var" / "lib" / "kiteward").stat().st_uid == owner


def test_a_client_searches_in_a_container_that_is_read_only_and_finds_its_data_after_a_stop(
    built: Image, tmp_path: Path
) -> None:
    with started(built, tmp_path, KITEWARD_ROOT_PASSWORD_FILE=SECRET) as running:
        client(running, built.secrets)
        status, printed = running.stop()
        assert (status, "Traceback" in printed) == (0, False), printed
    with started(built, tmp_path) as running:
        client(running, built.secrets)


def test_the_probe_of_the_image_finds_it_healthy(container: Container) -> None:
    (probe,) = [each.text for each in container.stage.instructions if each.name == "HEALTHCHECK"]
    command = dockerfile.Instruction("CMD", probe.partition("CMD ")[2]).words
    done = container.execute(*command)
    assert (done.returncode, done.stdout) == (0, "OK\n"), done.stderr
    script = (SOURCE / "deploy" / "helm" / "kiteward" / "files" / "test_service.py").read_text()
    of_helm = container.execute("env", "SERVICE=http://127.0.0.1:19530", "python3", "-c", script)
    assert of_helm.returncode == 0, of_helm.stdout + of_helm.stderr


def test_every_process_is_without_rights_and_cannot_write_outside_of_the_volumes(container: Container) -> None:
    state = container.execute("cat", "/proc/1/status").stdout
    found = dict(re.findall(r"^(\w+):\s+(\S+)", state, re.MULTILINE))
    assert (found["Uid"], found["Gid"], found["NoNewPrivs"]) == ("65532", "65532", "1")
    assert {int(found[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    for directory in ("/", "/etc/kiteward", "/opt/kiteward", "/usr/bin"):
        refused = container.execute("touch", f"{directory}/new")
        assert "Read-only file system" in refused.stderr
    assert container.execute("touch", "/tmp/new", "/var/lib/kiteward/new").returncode == 0  # noqa: S108  its own


def test_the_engine_confines_itself_in_the_container(container: Container) -> None:
    printed = container.execute("kiteward", "doctor", "--config", "/etc/kiteward/milvus.yaml").stdout
    assert "the network is blocked by seccomp" in printed
    assert "native code of the engine can access" not in printed


def test_without_a_password_the_container_ends_and_says_which_is_missing(built: Image, tmp_path: Path) -> None:
    empty = tmp_path / "secrets"
    empty.mkdir()
    volume = tmp_path / "data"
    volume.mkdir()
    running = image.run(built.root, built.stage, volume, secrets=empty, variables={})
    try:
        printed, _ = running.process.communicate(timeout=120)
    finally:
        running.kill()
    assert running.process.returncode == 1
    assert "refusing to listen on 0.0.0.0" in printed
