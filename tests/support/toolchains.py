"""Programs in other languages: made once from what is locked, and again only when their sources change.

What is fetched and built stays below the repository, in `.cache/` and `node_modules/`; as long as nothing changes, no
network is needed again. A test that needs a toolchain which is missing is skipped with the reason.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

_REPOSITORY: Final = Path(__file__).resolve().parents[2]
CACHE: Final = _REPOSITORY / ".cache"
"""What is fetched and built, each in a directory of its own."""

_COMPAT: Final = _REPOSITORY / "tests" / "compat"
_CONFORMANCE: Final = _REPOSITORY / "tests" / "conformance"
_JAVA_LOCK: Final = _COMPAT / "java" / "libraries.sha256"
_FOR_SHORT_PROGRAMS: Final = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""Options of a Java that ends soon: most of its time would go into optimising what it does once."""

MAKING_WITHIN: Final = 600
"""How long fetching and building one of them may take, in seconds."""


def curl() -> list[str]:
    """Return the command that runs a Python program which calls cURL."""
    installed("curl", package="curl")
    return [sys.executable]


def node(directory: str = "node") -> list[str]:
    """Return the command that runs a JavaScript file of this directory of `tests/compat`, to be followed by it."""
    interpreter, npm = installed("node", package="nodejs"), installed("npm", package="npm")
    project = _COMPAT / directory
    sources = [(project / name).read_text() for name in ("package.json", "package-lock.json")]
    made(project / "node_modules", sources, lambda: run([npm, "ci"], cwd=project))
    return [interpreter]


def go(name: str, *sources: str, directory: str = "go") -> list[str]:
    """Return the command that runs a program in Go.

    Args:
        name: tells programs apart.
        sources: the texts of its files.
        directory: the one of `tests/compat` whose modules it is built with.
    """
    files = {f"part{number}.go": text for number, text in enumerate(sources)}
    return go_program(name, _COMPAT / directory, ".", files)


def h2spec() -> list[str]:
    """Return the command that runs the suite which holds servers against HTTP/2, with what it is locked to."""
    return go_program("h2spec", _CONFORMANCE / "http2", "github.com/summerwind/h2spec/cmd/h2spec", {})


def go_program(
    name: str,
    modules: Path,
    package: str,
    sources: Mapping[str, str],
    *,
    flags: Sequence[str] = (),
    caches: Path = CACHE / "go",
) -> list[str]:
    """Return the command that runs a program in Go, which is built if it has not been yet.

    Args:
        name: tells programs apart.
        modules: where the `go.mod` and `go.sum` are that it is built with.
        package: what is built.
        sources: files beside those, by name.
        flags: more flags of `go build`.
        caches: where modules and compiled packages are kept, which take much more room than the programs.
    """
    compiler = installed("go", package="golang-go")
    locked = {path: (modules / path).read_text() for path in ("go.mod", "go.sum")}
    product = CACHE / "go" / name

    def make() -> None:
        shutil.rmtree(product, ignore_errors=True)  # a file of an earlier program would be compiled too
        product.mkdir(parents=True)
        for path, text in {**locked, **sources}.items():
            (product / path).write_text(text)
        environment = {
            "GOMODCACHE": str(caches / "modules"),
            "GOCACHE": str(caches / "build"),
            "GOFLAGS": "-modcacherw -mod=readonly",
            "GOTOOLCHAIN": "auto",
            "CGO_ENABLED": "0",
        }
        recent = _recent_go(compiler, locked["go.mod"], environment)
        # A thousand packages take a third less to compile without optimisation and debug information.
        options = ["-gcflags=all=-N -l", "-ldflags=-s -w", *flags]
        run([recent, "build", *options, "-o", "program", package], cwd=product, environment=environment)

    made(product, [*locked.values(), *sources.values(), *flags], make)
    return [str(product / "program")]


def _recent_go(compiler: str, module: str, environment: Mapping[str, str]) -> str:
    """Return a Go that builds a module: the one at hand, or one that is fetched as modules are.

    From 1.21 on Go itself fetches the version that a module asks for. Debian 12 has an older one.
    """
    version, system, architecture = run([compiler, "env", "GOVERSION", "GOOS", "GOARCH"], cwd=CACHE).split()
    if int(version.split(".")[1]) >= 21:
        return compiler
    (needed,) = re.findall(r"^go (\S+)$", module, re.MULTILINE)
    toolchain = f"golang.org/toolchain@v0.0.1-go{needed}.{system}-{architecture}"
    fetched = json.loads(run([compiler, "mod", "download", "-json", toolchain], cwd=CACHE, environment=environment))
    directory = Path(fetched["Dir"])
    # Modules hold no programs, so that these are not marked as such.
    for path in [*directory.glob("bin/*"), *directory.glob("pkg/tool/*/*")]:
        path.chmod(0o755)
    return str(directory / "bin" / "go")


def java(source: Path) -> list[str]:
    """Return the command that runs a program in Java, which is compiled if it has not been yet.

    Args:
        source: its one file; the class of that name has its `main`.
    """
    machine, compiler = (installed(name, package="default-jdk-headless") for name in ("java", "javac"))
    libraries, text, product = _java_libraries(), source.read_text(), CACHE / "java" / source.stem

    def make() -> None:
        shutil.rmtree(product, ignore_errors=True)
        product.mkdir(parents=True)
        (product / source.name).write_text(text)
        options = [f"-J{option}" for option in _FOR_SHORT_PROGRAMS]
        run([compiler, *options, "-d", str(product), "-cp", f"{libraries}/*", source.name], cwd=product)

    made(product, [text, _JAVA_LOCK.read_text()], make)
    quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"
    return [machine, *_FOR_SHORT_PROGRAMS, quiet, "-cp", f"{product}:{libraries}/*", source.stem]


def _java_libraries() -> Path:
    """Return the directory with what `tests/compat/java` needs, fetched if need be."""
    maven = installed("mvn", package="maven")
    project, product, locked = _COMPAT / "java" / "pom.xml", CACHE / "java" / "libraries", _JAVA_LOCK.read_text()

    def make() -> None:
        shutil.rmtree(product, ignore_errors=True)
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={product}"]
        repository = f"-Dmaven.repo.local={CACHE / 'java' / 'repository'}"
        run([maven, "--quiet", "--batch-mode", f"--file={project}", repository, *goal], cwd=CACHE)
        # Maven has no lock of its own.
        fetched = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in product.glob("*.jar")}
        assert fetched == {name: digest for digest, name in map(str.split, locked.splitlines())}

    made(product, [project.read_text(), locked], make)
    return product


def installed(name: str, *, package: str) -> str:
    """Return the path of a program, or skip the test that needs it."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed; on Debian, the package {package} has it")
    return found


def made(product: Path, sources: list[str], make: Callable[[], object]) -> None:
    """Make a directory unless it was made from just these sources; several processes may need it at the same time."""
    digest = hashlib.sha256("\0".join(sources).encode()).hexdigest()
    stamp = product / ".made-from"
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.is_file() or stamp.read_text() != digest:
            stamp.unlink(missing_ok=True)
            make()
            stamp.write_text(digest)


def run(command: list[str], *, cwd: Path, environment: Mapping[str, str] | None = None) -> str:
    """Run a command of a toolchain, which must succeed, and return what it prints."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=MAKING_WITHIN,
        check=False,
    )
    assert done.returncode == 0, f"{command} failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout
