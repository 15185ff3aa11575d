"""Carries out the steps of a Dockerfile without Docker, and runs what results as a container would run.

The base is what Debian's images are made from: debootstrap's minimal variant. Every stage is a directory, in which
`RUN` is carried out by chroot. A container has its own mount, process and network namespaces, a file system that is
read only, and a user without capabilities. It needs root, and Debian's packages debootstrap and util-linux.
"""

import os
import posixpath
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from tests.deploy import dockerfile
from tests.support import toolchains

_SUITE: Final = "bookworm"
_BUILDING_WITHIN: Final = 1200
_SETTLED: Final = frozenset(
    {"LABEL", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"}
)
"""Instructions that change no file."""

_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CERTIFICATES: Final = "/run/certificates.pem"

_IN_NAMESPACE: Final = """
mount --make-rprivate /
mount -t proc proc "$ROOT/proc"
if [ -n "$CERTIFICATES" ]; then
    : >"$ROOT/run/certificates.pem"
    mount --bind "$CERTIFICATES" "$ROOT/run/certificates.pem"
fi
exec chroot "$ROOT" /usr/bin/env --chdir="$WORKDIR" /bin/sh -c "$STEP"
"""

_CONTAINER: Final = """
mount --make-rprivate /
mount --bind "$ROOT" "$ROOT"
mount -o remount,bind,ro "$ROOT"
mount -t proc proc "$ROOT/proc"
mount -t sysfs -o ro sysfs "$ROOT/sys"
mount -t tmpfs -o mode=1777 tmpfs "$ROOT/tmp"
mount -t tmpfs -o mode=0755 tmpfs "$ROOT/run"
mount --bind "$DATA" "$ROOT/var/lib/kiteward"
mkdir "$ROOT/run/secrets"
cp "$SECRETS"/* "$ROOT/run/secrets/" 2>/dev/null || true
chmod -R a+rX "$ROOT/run/secrets"
"$PYTHON" -c 'import fcntl, socket, struct
with socket.socket() as s: fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", 1))'
exec chroot "$ROOT" /usr/bin/setpriv --reuid="$OWNER" --regid="$GROUP" --clear-groups --inh-caps=-all \\
    --bounding-set=-all --no-new-privs /usr/bin/env --ignore-environment --chdir="$WORKDIR" "$@"
"""


def base(cache: Path) -> Path:
    """Return a minimal Debian, made once."""
    debootstrap = toolchains.installed("debootstrap", package="debootstrap")
    made = cache / "base"
    if not (cache / "base.ready").exists():
        shutil.rmtree(made, ignore_errors=True)
        cache.mkdir(parents=True, exist_ok=True)
        # In a mount namespace of its own: what it mounts is gone afterwards, also when it fails.
        _run(["unshare", "--mount", debootstrap, "--variant=minbase", _SUITE, str(made)])
        (cache / "base.ready").touch()
    return made


def build(source: Path, dockerfile_path: Path, target: Path, *, cache: Path) -> tuple[Path, dockerfile.Stage]:
    """Carry out all steps and return the directory of the last stage, and the stage.

    Args:
        source: the root of the source, the context.
        dockerfile_path: the Dockerfile.
        target: a directory for the stages.
        cache: where the minimal Debian is kept.
    """
    start = base(cache)
    roots: dict[str, Path] = {}
    all_stages = dockerfile.stages(dockerfile_path.read_text())
    files = dockerfile.context(source)
    for stage in all_stages:
        assert stage.base.partition("@")[0] == f"docker.io/library/debian:{_SUITE}-slim"
        root = target / (stage.name or "final")
        _run(["cp", "--archive", str(start), str(root)])
        roots[stage.name] = root
        _carry_out(stage, root, roots, files=files)
    return roots[all_stages[-1].name], all_stages[-1]


def _carry_out(stage: dockerfile.Stage, root: Path, roots: Mapping[str, Path], *, files: Mapping[str, Path]) -> None:
    workdir = "/"
    variables: dict[str, str] = {}
    for each in stage.instructions:
        if each.name == "RUN":
            _step(each.text, root, workdir, variables)
        elif each.name == "COPY":
            _copy(each.words, root, workdir, roots=roots, files=files)
        elif each.name == "WORKDIR":
            workdir = each.text
            (root / workdir.lstrip("/")).mkdir(parents=True, exist_ok=True)
        else:
            assert each.name in _SETTLED, f"{each.name} is not known here"
            if each.name == "ENV":
                variables |= dict(word.split("=", 1) for word in each.words)


def _step(text: str, root: Path, workdir: str, variables: Mapping[str, str]) -> None:
    certificates = os.environ.get("PIP_CERT", "")
    passed = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    passed |= {name: os.environ[name] for name in ("PIP_INDEX_URL", "PIP_DEFAULT_TIMEOUT") if name in os.environ}
    passed |= {"PIP_CERT": _CERTIFICATES} if certificates else {}
    ours = {"ROOT": str(root), "WORKDIR": workdir, "STEP": text, "CERTIFICATES": certificates}
    command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-eu", "-c", _IN_NAMESPACE]
    _run(command, {"PATH": _PATH, **passed, **variables, **ours})


def _copy(
    words: Sequence[str], root: Path, workdir: str, *, roots: Mapping[str, Path], files: Mapping[str, Path]
) -> None:
    flags = [word for word in words if word.startswith("--")]
    *sources, goal = [word for word in words if not word.startswith("--")]
    into = root / posixpath.join(workdir, goal).lstrip("/")
    if flags:
        ((name, stage),) = (flag.split("=", 1) for flag in flags)
        assert name == "--from"
        (only,) = sources
        _run(["cp", "--archive", str(roots[stage] / only.lstrip("/")), str(into)])
        return
    for source in sources:
        found = {name: path for name, path in files.items() if name == source or name.startswith(f"{source}/")}
        assert found, f"{source} is not in the context: .dockerignore leaves it out"
        for name, path in found.items():
            inside = Path(name).relative_to(source) if name != source else Path(Path(name).name)
            to_directory = goal.endswith("/") or name != source
            destination = into / inside if to_directory else into
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, destination)


@dataclass(slots=True)
class Container:
    """A running container.

    Attributes:
        pid: of its first process, as seen from outside.
    """

    root: Path
    stage: dockerfile.Stage
    process: "subprocess.Popen[str]"
    pid: int

    def execute(self, *command: str, inside: bool = True) -> "subprocess.CompletedProcess[str]":
        """Run a command in the container, as its user; or with `inside=False` one of ours in its network alone."""
        namespaces = ["--net"] if not inside else ["--net", "--mount", "--pid", "--root", "--wd"]
        entered = ["nsenter", f"--target={self.pid}", *namespaces]
        owner = self.stage.last("USER")[0].split(":")
        as_user = ["setpriv", f"--reuid={owner[0]}", f"--regid={owner[1]}", "--clear-groups", "--no-new-privs"]
        variables = [f"{name}={value}" for name, value in dockerfile.environment(self.stage).items()]
        inner = [*as_user, "env", "--ignore-environment", *variables] if inside else []
        return subprocess.run(
            [*entered, *inner, *command],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def stop(self) -> tuple[int, str]:
        """Send the stop signal of the image, and return the exit status and what was printed."""
        os.kill(self.pid, getattr(signal, self.stage.last("STOPSIGNAL")[0]))
        printed, _ = self.process.communicate(timeout=120)
        return self.process.returncode, printed

    def kill(self) -> None:
        """End it, however it is."""
        if self.process.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)  # the first of its namespace: all others end with it
        self.process.communicate(timeout=30)


def run(root: Path, stage: dockerfile.Stage, data: Path, *, secrets: Path, variables: Mapping[str, str]) -> Container:
    """Start the image, and return it at once.

    Args:
        root: the directory of the image.
        stage: what the Dockerfile says about it.
        data: the volume for data.
        secrets: a directory whose files are at `/run/secrets`.
        variables: of the environment, beside those of the image.
    """
    owner, group = stage.last("USER")[0].split(":")
    os.chown(data, int(owner), int(group))
    ours = {"ROOT": str(root), "DATA": str(data), "SECRETS": str(secrets), "PYTHON": sys.executable}
    ours |= {"OWNER": owner, "GROUP": group, "WORKDIR": stage.last("WORKDIR")[0]}
    given = [f"{name}={value}" for name, value in {**dockerfile.environment(stage), **variables}.items()]
    namespaces = ["--mount", "--pid", "--net", "--ipc", "--uts"]
    command = ["unshare", *namespaces, "--fork", "/bin/sh", "-eu", "-c", _CONTAINER, "container"]
    process = subprocess.Popen(
        [*command, *given, *stage.last("ENTRYPOINT"), *stage.last("CMD")],
        env={"PATH": _PATH, **ours},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return Container(root, stage, process, _only_child(process.pid))


def _only_child(pid: int) -> int:
    """Return the first child of a process, as soon as there is one."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    while True:
        found = children.read_text().split()
        if found:
            return int(found[0])


def remove(directory: Path) -> None:
    """Remove the stages, but nothing that is mounted there."""
    _run(["rm", "--recursive", "--force", "--one-file-system", str(directory)])


def lines_until(stream: IO[str], word: str) -> str:
    """Return what a stream has up to the first line with a word, or all of it."""
    read = ""
    for line in stream:
        read += line
        if word in line:
            break
    return read


def _run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    """Run a command, which must succeed."""
    done = subprocess.run(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_BUILDING_WITHIN,
        check=False,
    )
    assert done.returncode == 0, f"{command} failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
