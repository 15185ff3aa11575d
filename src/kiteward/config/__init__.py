"""Configuration: Milvus' own keys, ours under `kiteward:`, read once into one frozen `Settings`.

The environment wins over the file, the file over the defaults; the command line wins over all (`kiteward.cli`).

Milvus' sections hold many keys that do not concern us; those are ignored. Under `kiteward:` an unknown key is an error.
"""

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, cast
from urllib.parse import urlsplit

from kiteward.api.console.settings import ConsoleSettings
from kiteward.api.health import HealthSettings
from kiteward.api.rest.settings import LARGEST_BODY, RestSettings
from kiteward.audit.writer import AuditSettings
from kiteward.authn.password_policy import POLICIES, PasswordPolicy
from kiteward.authn.sessions import SessionRules
from kiteward.config.keys import KEYS
from kiteward.config.sources import (
    DEFAULT,
    ROOT_PASSWORD,
    ROOT_PASSWORD_FILE,
    File,
    read_file,
    root_password,
    shown_as,
    unknown_variables,
    variable_of,
)
from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import DEFAULT_ROOT_PASSWORD, Secret
from kiteward.domain.naming import NamingRules
from kiteward.iam.api_keys import LONGEST_LIFE
from kiteward.iam.services import KeyRules, Limits
from kiteward.net.budget import MEBIBYTE, ByteLimits
from kiteward.net.hosts import AllowedHosts
from kiteward.net.tls import TlsSettings
from kiteward.telemetry import logs
from kiteward.telemetry.telemetry import TracingSettings

_log = logging.getLogger("kiteward.config")

SyncMode = Literal["batch", "close", "none"]

_SYNC_MODES: Final = ("batch", "close", "none")
_OWN_KEYS: Final = frozenset(key.name.removeprefix("kiteward.") for key in KEYS if key.name.startswith("kiteward."))
_OWN_VARIABLES: Final = frozenset(variable_of(f"kiteward.{key}") for key in _OWN_KEYS) | {
    ROOT_PASSWORD,
    ROOT_PASSWORD_FILE,
}
_SECRETS: Final = frozenset(key.name for key in KEYS if key.secret)
_LAST_PORT: Final = 65535
_MUTUAL: Final = 2
"""`common.security.tlsMode` in which clients show certificates too."""
_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set, settled.

    Attributes:
        host: address to listen on; `kiteward.host`.
        port: `proxy.port`; 0 lets the system choose.
        hosts: names that HTTP is served under, `kiteward.allowedHosts`.
        data_dir: where everything is kept; `kiteward.dataDir`.
        default_root_password: password of `root` at the first start, `common.security.defaultRootPassword`, or over it
            `KITEWARD_ROOT_PASSWORD` or the content of `KITEWARD_ROOT_PASSWORD_FILE`; never read again.
        authorization: whether callers must sign in, `common.security.authorizationEnabled`; false on loopback only.
        root_bypass: whether `root` needs no roles; not `common.security.rootShouldBindRole`.
        seed_public: whether `public` gets Milvus' seed grants at each start, `common.security.enablePublicPrivilege`.
        super_users: callers who change a password without the old one, `common.security.superUsers`.
        naming: `proxy.maxUsernameLength`, `maxNameLength`, `maxUserDescriptionLength`, `maxRoleDescriptionLength`,
            `nameValidation.allowedChars`, `roleNameValidation.allowedChars`.
        limits: `proxy.maxUserNum`, `proxy.maxRoleNum`.
        key_rules: `kiteward.apiKeys.maxPerUser` and `defaultExpiry`.
        passwords: `kiteward.passwordPolicy`, with `proxy.minPasswordLength` and `proxy.maxPasswordLength` over it.
        sync_mode: when the embedded engine syncs its write-ahead log, `kiteward.engine.syncMode`.
        log_level: from which level on our own lines are logged, `kiteward.log.level`.
        metrics: the port of `/healthz` and `/metrics`, `kiteward.metrics.enabled`, `host` and `port`.
        audit: the audit trail, `kiteward.audit.enabled`, `dataOperations`, `keepDays` and `directory`.
        rest: `proxy.http.enabled`, `requestTimeoutMs` and `acceptTypeAllowInt64`, `kiteward.rest.maxBodyBytes` and
            `corsOrigins`.
        console: `kiteward.console.enabled`, `idleTimeout` and `sessionLifetime`.
        tls: `common.security.tlsMode` with `tls.serverPemPath`, `serverKeyPath` and `caPemPath`; None in the open.
        byte_limits: how many bytes are held for clients, `kiteward.limits.unauthenticatedBytes`,
            `unauthenticatedAddressBytes`, `authenticatedBytes`, `addressBytes` and `userBytes`.
        tracing: where traces go, `kiteward.tracing.endpoint` and `percent`.
    """

    host: str = "127.0.0.1"
    port: int = 19530
    hosts: AllowedHosts = field(default_factory=AllowedHosts)
    data_dir: Path = Path("data")
    default_root_password: Secret = field(default_factory=lambda: Secret(DEFAULT_ROOT_PASSWORD))
    authorization: bool = True
    root_bypass: bool = True
    seed_public: bool = False
    super_users: frozenset[str] = frozenset()
    naming: NamingRules = field(default_factory=NamingRules)
    limits: Limits = field(default_factory=Limits)
    key_rules: KeyRules = field(default_factory=KeyRules)
    passwords: PasswordPolicy = POLICIES["standard"]
    sync_mode: SyncMode = "batch"
    log_level: logs.Level = "info"
    metrics: HealthSettings = field(default_factory=HealthSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    rest: RestSettings = field(default_factory=RestSettings)
    console: ConsoleSettings = field(default_factory=ConsoleSettings)
    tls: TlsSettings | None = None
    byte_limits: ByteLimits = field(default_factory=ByteLimits)
    tracing: TracingSettings = field(default_factory=TracingSettings)


@dataclass(frozen=True, slots=True)
class EffectiveValue:
    """One value that is in force.

    Attributes:
        key: the dotted key.
        shown: the value as people read it; of a secret only whether it is set.
        origin: `default`, a file with its key, or an environment variable.
    """

    key: str
    shown: str
    origin: str


def load(path: Path | None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read the configuration file, if there is one, and the environment over it.

    Args:
        path: a `milvus.yaml`, or a Helm values file with `extraConfigFiles.user.yaml`.
        environment: the variables; without it those of the process.

    Raises:
        ConfigurationError: the file cannot be read, or a value is not what its key takes; the message names the key.
    """
    for name in unknown_environment(environment):
        _log.warning("the environment variable %s means nothing to this server", name)
    return explain(path, environment)[0]


def unknown_environment(environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return the environment variables that begin with `KITEWARD_` and mean nothing."""
    return unknown_variables(os.environ if environment is None else environment, _OWN_VARIABLES)


def explain(
    path: Path | None, environment: Mapping[str, str] | None = None
) -> tuple[Settings, tuple[EffectiveValue, ...]]:
    """Return what `load` returns, and each value with where it came from.

    Raises:
        ConfigurationError: as `load`.
    """
    file = File("", {}) if path is None else read_file(path)
    reader = _Reader(file, os.environ if environment is None else environment)
    settings = _build_settings(reader)
    return settings, tuple(sorted(reader.in_force, key=lambda each: each.key))


def settings_from(document: Mapping[str, Any]) -> Settings:
    """Return the settings of a configuration document, without an environment.

    Raises:
        ConfigurationError: as `load`.
    """
    return _build_settings(_Reader(File("", document), {}))


def _build_settings(reader: "_Reader") -> Settings:
    reader.require_known("kiteward", _OWN_KEYS)
    base = Settings()
    naming, limits = base.naming, base.limits
    return Settings(
        host=reader.text("kiteward.host", default=base.host),
        port=reader.number("proxy.port", default=base.port, least=0, most=_LAST_PORT),
        hosts=AllowedHosts(reader.names("kiteward.allowedHosts")),
        data_dir=Path(reader.text("kiteward.dataDir", default=str(base.data_dir))),
        default_root_password=Secret(reader.root_password()),
        authorization=reader.flag("common.security.authorizationEnabled", default=base.authorization),
        root_bypass=not reader.flag("common.security.rootShouldBindRole", default=False),
        seed_public=reader.flag("common.security.enablePublicPrivilege", default=False),
        super_users=reader.names("common.security.superUsers"),
        naming=NamingRules(
            max_user_name=reader.number("proxy.maxUsernameLength", default=naming.max_user_name, least=1),
            max_name=reader.number("proxy.maxNameLength", default=naming.max_name, least=1),
            max_user_description=reader.number(
                "proxy.maxUserDescriptionLength", default=naming.max_user_description, least=0
            ),
            max_role_description=reader.number(
                "proxy.maxRoleDescriptionLength", default=naming.max_role_description, least=0
            ),
            role_characters=reader.text("proxy.roleNameValidation.allowedChars", default=naming.role_characters),
            object_characters=reader.text("proxy.nameValidation.allowedChars", default=naming.object_characters),
        ),
        limits=Limits(
            users=reader.number("proxy.maxUserNum", default=limits.users, least=1),
            roles=reader.number("proxy.maxRoleNum", default=limits.roles, least=2),
        ),
        key_rules=_key_rules(reader),
        passwords=_password_policy(reader),
        sync_mode=cast("SyncMode", reader.choice("kiteward.engine.syncMode", _SYNC_MODES, default=base.sync_mode)),
        log_level=cast("logs.Level", reader.choice("kiteward.log.level", logs.LEVELS, default=base.log_level)),
        metrics=_metrics(reader),
        audit=_audit(reader),
        rest=_rest(reader),
        console=_console(reader),
        tls=_tls(reader),
        byte_limits=_byte_limits(reader),
        tracing=_tracing(reader),
    )


def _tracing(reader: "_Reader") -> TracingSettings:
    base = TracingSettings()
    key = "kiteward.tracing.endpoint"
    endpoint = reader.text(key, default=base.endpoint)
    percent = reader.number("kiteward.tracing.percent", default=base.percent, least=0, most=100)
    try:
        parts = urlsplit(endpoint)
    except ValueError:
        parts = urlsplit("unreadable")
    if not endpoint:
        return TracingSettings(percent=percent)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ConfigurationError(f"{key} must be like http://localhost:4318/v1/traces, without a password in it")
    return TracingSettings(endpoint, percent)


def _byte_limits(reader: "_Reader") -> ByteLimits:
    base = ByteLimits()

    def number(key: str, default: int) -> int:
        return reader.number(f"kiteward.limits.{key}", default=default, least=MEBIBYTE)

    return ByteLimits(
        unauthenticated=number("unauthenticatedBytes", base.unauthenticated),
        unauthenticated_address=number("unauthenticatedAddressBytes", base.unauthenticated_address),
        authenticated=number("authenticatedBytes", base.authenticated),
        address=number("addressBytes", base.address),
        user=number("userBytes", base.user),
    )


def _tls(reader: "_Reader") -> TlsSettings | None:
    mode = reader.number("common.security.tlsMode", default=0, least=0, most=_MUTUAL)
    names = {key: reader.text(key, default="") for key in ("tls.serverPemPath", "tls.serverKeyPath", "tls.caPemPath")}
    if mode == 0:
        return None
    if mode < _MUTUAL:
        del names["tls.caPemPath"]
    for key, name in names.items():
        if not name:
            raise ConfigurationError(f"common.security.tlsMode is {mode}: {key} must name a PEM file")
    return TlsSettings(*(Path(name) for name in names.values()))


def _metrics(reader: "_Reader") -> HealthSettings:
    base = HealthSettings()
    port = reader.number("kiteward.metrics.port", default=-1, unset="9091", least=0, most=_LAST_PORT)
    return HealthSettings(
        enabled=reader.flag("kiteward.metrics.enabled", default=base.enabled),
        host=reader.text("kiteward.metrics.host", default=base.host),
        port=None if port < 0 else port,
    )


def _audit(reader: "_Reader") -> AuditSettings:
    base = AuditSettings()
    directory = reader.text("kiteward.audit.directory", default="")
    return AuditSettings(
        enabled=reader.flag("kiteward.audit.enabled", default=base.enabled),
        data_operations=reader.flag("kiteward.audit.dataOperations", default=base.data_operations),
        keep_days=reader.number("kiteward.audit.keepDays", default=base.keep_days, least=0, most=36_500),
        directory=Path(directory) if directory else None,
    )


def _rest(reader: "_Reader") -> RestSettings:
    base = RestSettings()
    milliseconds = reader.number("proxy.http.requestTimeoutMs", default=int(base.request_timeout * 1000), least=1)
    return RestSettings(
        enabled=reader.flag("proxy.http.enabled", default=base.enabled),
        request_timeout=milliseconds / 1000,
        allow_int64=reader.flag("proxy.http.acceptTypeAllowInt64", default=base.allow_int64),
        max_body=reader.number("kiteward.rest.maxBodyBytes", default=base.max_body, least=1024, most=LARGEST_BODY),
        cors_origins=reader.names("kiteward.rest.corsOrigins"),
    )


def _console(reader: "_Reader") -> ConsoleSettings:
    base = ConsoleSettings()
    rules = base.sessions
    idle = reader.number("kiteward.console.idleTimeout", default=int(rules.idle), least=1)
    lifetime = reader.number("kiteward.console.sessionLifetime", default=int(rules.lifetime), least=1)
    return ConsoleSettings(
        enabled=reader.flag("kiteward.console.enabled", default=base.enabled),
        sessions=SessionRules(idle=idle, lifetime=lifetime),
    )


def _key_rules(reader: "_Reader") -> KeyRules:
    base = KeyRules()
    seconds = reader.number("kiteward.apiKeys.defaultExpiry", default=0, least=0, most=LONGEST_LIFE)
    return KeyRules(
        per_user=reader.number("kiteward.apiKeys.maxPerUser", default=base.per_user, least=0),
        default_lifetime=seconds or None,
    )


def _password_policy(reader: "_Reader") -> PasswordPolicy:
    policy = POLICIES[reader.choice("kiteward.passwordPolicy", tuple(POLICIES), default="standard")]
    shortest = reader.number("proxy.minPasswordLength", default=policy.shortest, least=1)
    longest = reader.number("proxy.maxPasswordLength", default=policy.longest, least=1)
    if shortest > longest:
        raise ConfigurationError(
            f"proxy.minPasswordLength ({shortest}) is greater than the longest password allowed ({longest}): "
            "set proxy.maxPasswordLength too"
        )
    return replace(policy, shortest=shortest, longest=longest)


class _Reader:
    """Reads typed values at dotted keys, and says which key a wrong value stands at.

    Values are never shown: some are secrets.
    """

    def __init__(self, file: File, environment: Mapping[str, str]) -> None:
        self._file = file
        self._environment = environment
        self.in_force: list[EffectiveValue] = []

    def require_known(self, section: str, known: frozenset[str]) -> None:
        """Refuse keys of our own section that mean nothing."""
        for key in _dotted(self._from_file(section)):
            if key not in known:
                raise ConfigurationError(f"unknown key {section}.{key}; known are: {', '.join(sorted(known))}")

    def root_password(self) -> str:
        """Return the first password of root; a variable of ours wins over the key."""
        key = "common.security.defaultRootPassword"
        given = root_password(self._environment)
        if given is None:
            return self.text(key, default=DEFAULT_ROOT_PASSWORD)
        self.in_force.append(EffectiveValue(key, "set", given[1]))
        return given[0]

    def text(self, key: str, *, default: str) -> str:
        value = self._value(key, default)
        if value is None:
            return default
        if isinstance(value, dict | list):
            raise ConfigurationError(f"{self._name(key)} must be one value")
        return str(value)

    def flag(self, key: str, *, default: bool) -> bool:
        value = self._value(key, default)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        word = str(value).strip().lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        raise ConfigurationError(f"{self._name(key)} must be true or false")

    def number(self, key: str, *, default: int, least: int, most: int | None = None, unset: str = "") -> int:
        """Return a whole number; `unset` says what holds where none is given, if that is not the default itself."""
        value = self._value(key, unset or default)
        if value is None:
            return default
        try:
            number = int(str(value))
        except ValueError:
            raise ConfigurationError(f"{self._name(key)} must be a whole number") from None
        if number < least or (most is not None and number > most):
            raise ConfigurationError(
                f"{self._name(key)} must be at least {least}" + (f" and at most {most}" if most is not None else "")
            )
        return number

    def choice(self, key: str, choices: tuple[str, ...], *, default: str) -> str:
        value = self.text(key, default=default)
        if value not in choices:
            raise ConfigurationError(f"{self._name(key)} must be one of {', '.join(choices)}")
        return value

    def names(self, key: str) -> frozenset[str]:
        listed = isinstance(self._from_file(key), list) and variable_of(key) not in self._environment
        parts = [str(each) for each in self._value(key, "")] if listed else self.text(key, default="").split(",")
        return frozenset(part.strip() for part in parts if part.strip())

    def _value(self, key: str, default: object) -> Any:
        """Return what is given for a key, None where nothing is, and note what is in force."""
        variable = variable_of(key)
        value = self._environment.get(variable)
        origin = variable
        if value is None:
            value = self._from_file(key)
            origin = f"{self._file.name}: {key}" if value is not None else DEFAULT
        shown = shown_as(default if value is None else value)
        if key in _SECRETS:
            shown = "not set" if value is None else "set"
        self.in_force.append(EffectiveValue(key, shown, origin))
        return value

    def _name(self, key: str) -> str:
        """Return what to call a key where it is given by the environment, or the file."""
        variable = variable_of(key)
        return f"the environment variable {variable}" if variable in self._environment else key

    def _from_file(self, key: str) -> Any:
        here: Any = self._file.document
        for part in key.split("."):
            if here is None:
                return None
            if not isinstance(here, dict):
                raise ConfigurationError(f"{key} cannot be read: a section of that name is expected, not a value")
            here = here.get(part)
        return here


def _dotted(section: object, prefix: str = "") -> list[str]:
    if not isinstance(section, dict):
        return [prefix.rstrip(".")] if prefix else []
    return [key for name, value in section.items() for key in _dotted(value, f"{prefix}{name}.")]
