"""The sources of values: the configuration file, a Helm values file, the environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kiteward.domain.errors import ConfigurationError

DEFAULT: Final = "default"
ROOT_PASSWORD: Final = "KITEWARD_ROOT_PASSWORD"  # noqa: S105  the name of a variable
ROOT_PASSWORD_FILE: Final = "KITEWARD_ROOT_PASSWORD_FILE"  # noqa: S105  likewise

SECTIONS: Final = frozenset(
    {
        "autoIndex", "cipherPlugin", "common", "credential", "dataCoord", "dataNode", "etcd", "function", "gpu",
        "grpc", "hook", "indexCoord", "indexNode", "internaltls", "kafka", "kiteward", "knowhere", "localStorage",
        "log", "metastore", "minio", "mixCoord", "mq", "msgChannel", "natsmq", "proxy", "pulsar", "queryCoord",
        "queryNode", "quotaAndLimits", "rocksmq", "rootCoord", "streaming", "streamingCoord", "streamingNode",
        "tikv", "tls", "trace", "woodpecker",
    }
)  # fmt: skip
"""The sections of a `milvus.yaml` of Milvus 2.3 to 3.0, and `kiteward`."""

_KUBERNETES: Final = re.compile(r"KITEWARD_(?:\w+_)?(?:SERVICE_(?:HOST|PORT\w*)|PORT(?:_\d+_(?:TCP|UDP)\w*)?)")
"""The variables that Kubernetes sets in every container of a namespace with a service named `kiteward`."""


@dataclass(frozen=True, slots=True)
class File:
    """A configuration file.

    Attributes:
        name: its name in messages.
        document: its sections.
        lines: the number of the line of each dotted key.
    """

    name: str
    document: Mapping[str, Any]
    lines: Mapping[str, int] = field(default_factory=dict)

    def place_of(self, key: str) -> str:
        """Return where a dotted key is, in parentheses after a space; empty where that is not known."""
        line = self.lines.get(key)
        return "" if line is None else f" ({self.name}, line {line})"


def variable_of(key: str) -> str:
    """Return the environment variable that overrides a key, in Milvus' spelling."""
    return key.replace(".", "_").upper()


def read_file(path: Path) -> File:
    """Read a `milvus.yaml`, alone or embedded in a Helm values file or in a resource of the Milvus operator.

    Raises:
        ConfigurationError: the file cannot be read or is not a configuration.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"the configuration file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"the configuration file {path} is not YAML") from error
    file = _carried(_parsed(text, str(path)))
    if file.document and SECTIONS.isdisjoint(file.document):
        raise ConfigurationError(
            f"the configuration file {file.name} has no section of a milvus.yaml: expected `common:`, `proxy:`, "
            f"`kiteward:` or the like, found {', '.join(f'`{name}`' for name in sorted(map(str, file.document)))}"
        )
    return file


def _carried(file: File) -> File:
    """Return the `milvus.yaml` that is embedded in a file, or the file itself if it is of no such kind.

    Raises:
        ConfigurationError: the file is of a kind that embeds one, but has none.
    """
    if "extraConfigFiles" in file.document:
        name = f"{file.name}, extraConfigFiles.user.yaml"
        inner = file.document["extraConfigFiles"]
        content = inner.get("user.yaml") if isinstance(inner, dict) else None
        if not isinstance(content, str):
            raise ConfigurationError(f"the Helm values file {file.name} must hold a text at extraConfigFiles.user.yaml")
        return _parsed(content, name)
    if file.document.get("kind") == "Milvus":
        spec = file.document.get("spec")
        config = spec.get("config") if isinstance(spec, dict) else None
        if not isinstance(config, dict):
            raise ConfigurationError(f"the Milvus resource {file.name} must hold the sections at spec.config")
        prefix = "spec.config."
        lines = {key.removeprefix(prefix): line for key, line in file.lines.items() if key.startswith(prefix)}
        return File(f"{file.name}, spec.config", config, lines)
    return file


def _parsed(text: str, name: str) -> File:
    from kiteward.config.yaml_text import NotYaml, document_of  # noqa: PLC0415  where there is a file

    try:
        document, lines = document_of(text)
    except NotYaml as error:
        place = f": {error} cannot be read" if str(error) else ""
        raise ConfigurationError(f"the configuration file {name} is not YAML{place}") from None
    if document is None:
        return File(name, {})
    if not isinstance(document, dict):
        raise ConfigurationError(f"the configuration file {name} must hold sections such as `common:` and `proxy:`")
    return File(name, document, lines)


def unknown_variables(environment: Mapping[str, str], known: frozenset[str]) -> tuple[str, ...]:
    """Return the variables that begin with `KITEWARD_` and are unknown, without those that Kubernetes sets.

    They are reported and not an error: clients and tools in the same environment have variables of their own.
    """
    return tuple(
        sorted(
            name
            for name in environment
            if name.startswith("KITEWARD_") and name not in known and not _KUBERNETES.fullmatch(name)
        )
    )


def root_password(environment: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the first password of `root` that an environment variable gives, and the name of the variable.

    Returns:
        The pair, or None when neither variable is set.

    Raises:
        ConfigurationError: both variables are set, the password is empty, or the file cannot be read.
    """
    if ROOT_PASSWORD in environment and ROOT_PASSWORD_FILE in environment:
        raise ConfigurationError(f"{ROOT_PASSWORD} and {ROOT_PASSWORD_FILE} are both set: set one of them")
    if ROOT_PASSWORD in environment:
        name, value = ROOT_PASSWORD, environment[ROOT_PASSWORD]
    elif ROOT_PASSWORD_FILE in environment:
        name = ROOT_PASSWORD_FILE
        value = password_in(environment[name], name)
    else:
        return None
    if not value:
        raise ConfigurationError(f"{name} gives an empty password: give one, or leave it out")
    return value, name


def password_in(path: str, name: str) -> str:
    """Return the password that a file holds; one line break at its end is ignored.

    Args:
        path: the path of the file.
        name: the setting that names it, for errors.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
    except (OSError, UnicodeDecodeError, ValueError):
        raise ConfigurationError(f"{name} must name a readable text file that holds the password") from None


def shown_as(value: object) -> str:
    """Return a value as a configuration file would write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(map(str, value)) if isinstance(value, list | frozenset) else str(value)
