"""Where values come from: the file, a Helm values file, the environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

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
"""The sections of a `milvus.yaml`, Milvus 2.3 to 3.0, and ours."""

_KUBERNETES: Final = re.compile(r"KITEWARD_(?:\w+_)?(?:SERVICE_(?:HOST|PORT\w*)|PORT(?:_\d+_(?:TCP|UDP)\w*)?)")
"""What Kubernetes tells every container of a namespace about a service named after us."""


@dataclass(frozen=True, slots=True)
class File:
    """What a configuration file says.

    Attributes:
        name: how it is named to people.
        document: its sections.
    """

    name: str
    document: Mapping[str, Any]


def variable_of(key: str) -> str:
    """Return the environment variable that overrides a key, in Milvus' spelling."""
    return key.replace(".", "_").upper()


def read_file(path: Path) -> File:
    """Read a `milvus.yaml`, also where a Helm values file or a resource of the Milvus operator carries it.

    Raises:
        ConfigurationError: it cannot be read or is no configuration.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"the configuration file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"the configuration file {path} is not YAML") from error
    file = _carried(File(str(path), _sections(text, str(path))))
    if file.document and SECTIONS.isdisjoint(file.document):
        raise ConfigurationError(
            f"the configuration file {file.name} has no section of a milvus.yaml: expected `common:`, `proxy:`, "
            f"`kiteward:` or the like, found {', '.join(f'`{name}`' for name in sorted(map(str, file.document)))}"
        )
    return file


def _carried(file: File) -> File:
    """Return the `milvus.yaml` within a file that carries one, else the file itself.

    Raises:
        ConfigurationError: the file is of a kind that carries one, and does not.
    """
    if "extraConfigFiles" in file.document:
        name = f"{file.name}, extraConfigFiles.user.yaml"
        inner = file.document["extraConfigFiles"]
        content = inner.get("user.yaml") if isinstance(inner, dict) else None
        if not isinstance(content, str):
            raise ConfigurationError(f"the Helm values file {file.name} must hold a text at extraConfigFiles.user.yaml")
        return File(name, _sections(content, name))
    if file.document.get("kind") == "Milvus":
        spec = file.document.get("spec")
        config = spec.get("config") if isinstance(spec, dict) else None
        if not isinstance(config, dict):
            raise ConfigurationError(f"the Milvus resource {file.name} must hold the sections at spec.config")
        return File(f"{file.name}, spec.config", config)
    return file


def _sections(text: str, name: str) -> Mapping[str, Any]:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        # Its message would show a part of the file, which may hold a secret.
        raise ConfigurationError(f"the configuration file {name} is not YAML") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigurationError(f"the configuration file {name} must hold sections such as `common:` and `proxy:`")
    return document


def unknown_variables(environment: Mapping[str, str], known: frozenset[str]) -> tuple[str, ...]:
    """Return the variables that look like ours and mean nothing, without what Kubernetes sets.

    They are told and not refused: the environment is shared with clients and tools, which have names of their own.
    """
    return tuple(
        sorted(
            name
            for name in environment
            if name.startswith("KITEWARD_") and name not in known and not _KUBERNETES.fullmatch(name)
        )
    )


def root_password(environment: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the first password of root given by a variable of ours, and the name of the variable.

    Raises:
        ConfigurationError: both variables are set, the password is empty, or the file cannot be read.
    """
    if ROOT_PASSWORD in environment and ROOT_PASSWORD_FILE in environment:
        raise ConfigurationError(f"{ROOT_PASSWORD} and {ROOT_PASSWORD_FILE} are both set: set one of them")
    if ROOT_PASSWORD in environment:
        name, value = ROOT_PASSWORD, environment[ROOT_PASSWORD]
    elif ROOT_PASSWORD_FILE in environment:
        name = ROOT_PASSWORD_FILE
        try:
            value = Path(environment[name]).read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
        except (OSError, UnicodeDecodeError, ValueError):
            raise ConfigurationError(f"{name} must name a readable text file that holds the password") from None
    else:
        return None
    if not value:
        raise ConfigurationError(f"{name} gives an empty password: give one, or leave it out")
    return value, name


def shown_as(value: object) -> str:
    """Return a value as it is written in a file."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(map(str, value)) if isinstance(value, list | frozenset) else str(value)
