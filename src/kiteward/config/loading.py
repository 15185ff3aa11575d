"""Builds `Settings` from the configuration file and the environment."""

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from kiteward.api.health_settings import HealthSettings
from kiteward.api.rest.settings import RestSettings
from kiteward.audit.settings import AuditSettings
from kiteward.authn.password_policy import POLICIES, PasswordPolicy
from kiteward.config import engine_keys, exports, keys, limit_keys, oidc, scim, scim_keys, store_keys, token_exchange
from kiteward.config.console import console
from kiteward.config.doubts import doubtful_keys
from kiteward.config.key import Key
from kiteward.config.reader import EffectiveValue, Reader
from kiteward.config.settings import Settings
from kiteward.config.sources import (
    ROOT_PASSWORD,
    ROOT_PASSWORD_FILE,
    File,
    password_in,
    read_file,
    unknown_variables,
    variable_of,
)
from kiteward.domain.environment import COMMAND_LINE
from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import Secret
from kiteward.domain.naming import NamingRules
from kiteward.domain.request_limits import RequestLimits
from kiteward.engine.upstream import Address, CatalogSettings, RemoteEngineSettings, UpstreamTls
from kiteward.gateway.admission import Admission
from kiteward.gateway.replicas.settings import ReplicaSettings
from kiteward.gateway.settings import Providers, providers_in
from kiteward.iam.settings import KeyRules, Limits
from kiteward.net.budget import ByteLimits
from kiteward.net.hosts import AllowedHosts
from kiteward.net.tls import TlsSettings
from kiteward.store.postgresql.settings import PostgresqlSettings
from kiteward.telemetry.telemetry import TracingSettings

_log = logging.getLogger("kiteward.config")

_LONGEST_REPLICA_NAME: Final = 255
_REPLICA_NAME: Final = re.compile(rf"[A-Za-z0-9._-]{{0,{_LONGEST_REPLICA_NAME}}}")

_OWN: Final = tuple(key.name for key in keys.KEYS if key.name.startswith("kiteward."))
_OWN_KEYS: Final = frozenset(name.removeprefix("kiteward.") for name in _OWN)
_OWN_MAPPINGS: Final = frozenset({scim_keys.SCIM_USER_REPLACE.name.removeprefix("kiteward.")})
_OWN_VARIABLES: Final = frozenset(map(variable_of, _OWN)) | {ROOT_PASSWORD, ROOT_PASSWORD_FILE} | COMMAND_LINE


def load(
    path: Path | None, environment: Mapping[str, str] | None = None, *, given: Mapping[str, str] | None = None
) -> Settings:
    """Read the configuration file, if there is one, and the environment, which overrides it.

    Args:
        path: a `milvus.yaml`, or a Helm values file with `extraConfigFiles.user.yaml`; None for no file.
        environment: the environment variables; None takes those of the process.
        given: dotted key -> value that the command line gives, which overrides both.

    Raises:
        ConfigurationError: the file cannot be read, or a value is invalid for its key; the message names the key.
    """
    for name in unknown_environment(environment):
        _log.warning("unknown environment variable %s", name)
    for doubt in doubtful_keys(path):
        _log.warning("%s", doubt)
    return explain(path, environment, given=given)[0]


def unknown_environment(environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return the environment variables that begin with `KITEWARD_` and belong to no key."""
    return unknown_variables(os.environ if environment is None else environment, _OWN_VARIABLES)


def explain(
    path: Path | None, environment: Mapping[str, str] | None = None, *, given: Mapping[str, str] | None = None
) -> tuple[Settings, tuple[EffectiveValue, ...]]:
    """Return what `load` returns, and each effective value with its origin.

    Raises:
        ConfigurationError: as `load`.
    """
    file = File("", {}) if path is None else read_file(path)
    reader = Reader(file, os.environ if environment is None else environment, given)
    try:
        settings = _build_settings(reader)
    except ConfigurationError as error:
        raise reader.located(error) from None
    return settings, tuple(sorted(reader.in_force, key=lambda each: each.key))


def settings_from(document: Mapping[str, Any]) -> Settings:
    """Return the settings of a configuration document, without an environment.

    Raises:
        ConfigurationError: as `load`.
    """
    return _build_settings(Reader(File("", document), {}))


def _build_settings(reader: Reader) -> Settings:
    reader.require_known("kiteward", _OWN_KEYS, mappings=_OWN_MAPPINGS)
    engine, store, rest = _engine(reader), _store(reader), _rest(reader)
    authorization, issuers = reader.get(keys.AUTHORIZATION), oidc.issuers(reader)
    return Settings(
        host=reader.get(keys.HOST),
        port=reader.get(keys.PORT),
        hosts=AllowedHosts(reader.get(keys.ALLOWED_HOSTS)),
        data_dir=Path(reader.get(keys.DATA_DIRECTORY)),
        default_root_password=Secret(reader.root_password()),
        authorization=authorization,
        root_bypass=not reader.get(keys.ROOT_NEEDS_ROLES),
        seed_public=reader.get(keys.PUBLIC_SEEDS),
        super_users=reader.get(keys.SUPER_USERS),
        naming=_naming(reader),
        limits=Limits(users=reader.get(keys.MAX_USERS), roles=reader.get(keys.MAX_ROLES)),
        key_rules=_key_rules(reader),
        scim=scim.scim(reader, issuers, served=rest.enabled and authorization),
        exchange_rules=token_exchange.exchange_rules(reader),
        passwords=_password_policy(reader),
        engine=engine,
        sync_mode=reader.get(engine_keys.SYNC_MODE),
        log_level=reader.get(keys.LOG_LEVEL),
        metrics=_metrics(reader),
        audit=_audit(reader),
        rest=rest,
        console=console(reader, shared=store is not None),
        tls=_tls(reader),
        store=store,
        byte_limits=_byte_limits(reader),
        request_limits=_request_limits(reader),
        engine_requests=_engine_requests(reader, remote=engine is not None),
        limit_replicas=reader.get(limit_keys.REPLICAS),
        tracing=_tracing(reader),
        replicas=_replicas(reader),
        workers=_workers(reader, remote=engine is not None, shared=store is not None),
        admission=_admission(reader, remote=engine is not None),
        issuers=issuers,
    )


def _key_rules(reader: Reader) -> KeyRules:
    lifetime = reader.get(keys.API_KEY_EXPIRY) or None
    return KeyRules(per_user=reader.get(keys.API_KEYS_PER_USER), default_lifetime=lifetime)


def _admission(reader: Reader, *, remote: bool) -> Admission:
    try:
        admission = Admission.of(reader.get(engine_keys.FORWARDED_FIELDS), reader.get(keys.UNKNOWN_PARAMETERS))
    except ValueError as error:
        raise ConfigurationError(f"{engine_keys.FORWARDED_FIELDS.name} {error}") from None
    admission = replace(admission, providers=_providers(reader, remote=remote))
    # The embedded engine knows no other fields.
    return admission if remote else replace(admission, forwarded_fields=frozenset())


def _providers(reader: Reader, *, remote: bool) -> Providers:
    entries = reader.get(engine_keys.ENGINE_PROVIDERS)
    if entries and not remote:
        raise ConfigurationError(
            f"{engine_keys.ENGINE_PROVIDERS.name} is set and the engine is embedded: its process has no network, and "
            f"cannot be limited to single hosts; leave it out, or let {engine_keys.ENGINE_ADDRESS.name} name a Milvus"
        )
    try:
        return providers_in(entries)
    except ValueError as error:
        raise ConfigurationError(f"{engine_keys.ENGINE_PROVIDERS.name} {error}") from None


def _naming(reader: Reader) -> NamingRules:
    return NamingRules(
        max_user_name=reader.get(keys.MAX_USER_NAME),
        max_name=reader.get(keys.MAX_NAME),
        max_user_description=reader.get(keys.MAX_USER_DESCRIPTION),
        max_role_description=reader.get(keys.MAX_ROLE_DESCRIPTION),
        role_characters=reader.get(keys.ROLE_NAME_CHARACTERS),
        object_characters=reader.get(keys.NAME_CHARACTERS),
    )


def _tracing(reader: Reader) -> TracingSettings:
    endpoint = reader.get(keys.TRACING_ENDPOINT)
    percent = reader.get(keys.TRACING_PERCENT)
    if not endpoint:
        return TracingSettings(percent=percent)
    try:
        parts = urlsplit(endpoint)
    except ValueError:
        parts = urlsplit("unreadable")
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ConfigurationError(
            f"{keys.TRACING_ENDPOINT.name} must be like http://localhost:4318/v1/traces, without a password in it"
        )
    return TracingSettings(endpoint, percent)


def _engine(reader: Reader) -> RemoteEngineSettings | None:
    text = reader.get(engine_keys.ENGINE_ADDRESS)
    tls = _engine_tls(reader)
    catalog = _engine_catalog(reader)
    user, connections = reader.get(engine_keys.ENGINE_USER), reader.get(engine_keys.ENGINE_CONNECTIONS)
    timeout = float(reader.get(engine_keys.ENGINE_TIMEOUT))
    password_and_file = reader.get(engine_keys.ENGINE_PASSWORD), reader.get(engine_keys.ENGINE_PASSWORD_FILE)
    if text == engine_keys.EMBEDDED:
        return None
    try:
        address = Address.parse(text)
    except ValueError as error:
        raise ConfigurationError(f"{engine_keys.ENGINE_ADDRESS.name} {error}") from None
    if not address.tls and tls != UpstreamTls():
        raise ConfigurationError(
            f"kiteward.engine.tls is set and {engine_keys.ENGINE_ADDRESS.name} is without TLS: let it begin with "
            "grpcs://, or leave kiteward.engine.tls out"
        )
    if (tls.certificate is None) != (tls.key is None):
        raise ConfigurationError(
            f"{engine_keys.ENGINE_TLS_CERTIFICATE.name} and {engine_keys.ENGINE_TLS_KEY.name} belong together: "
            "set both or none"
        )
    password = _password(engine_keys.ENGINE_PASSWORD, engine_keys.ENGINE_PASSWORD_FILE, *password_and_file)
    if bool(user) != bool(password):
        raise ConfigurationError(
            f"a service account has a name and a password: set {engine_keys.ENGINE_USER.name}, and "
            f"{engine_keys.ENGINE_PASSWORD.name} or {engine_keys.ENGINE_PASSWORD_FILE.name}, or none of them"
        )
    if ":" in user:
        raise ConfigurationError(f"{engine_keys.ENGINE_USER.name} may not contain a colon")
    return RemoteEngineSettings(
        address,
        tls=tls,
        user=user,
        password=password,
        connections=connections,
        timeout=timeout,
        catalog=catalog,
    )


def _engine_catalog(reader: Reader) -> CatalogSettings:
    return CatalogSettings(
        maximum_age=float(reader.get(engine_keys.CATALOG_MAXIMUM_AGE)),
        vanished_after=float(reader.get(engine_keys.CATALOG_VANISHED_AFTER)),
        remove_vanished_grants=reader.get(engine_keys.CATALOG_REMOVE_VANISHED_GRANTS),
    )


def _password(key: Key[str], file_key: Key[str], password: str, path: str) -> Secret:
    """Return a password that one of two settings gives: itself, or a file that holds it; empty without either."""
    if password and path:
        raise ConfigurationError(f"{key.name} and {file_key.name} are both set: set one of them")
    if path:
        password = password_in(path, file_key.name)
        if not password:
            raise ConfigurationError(f"{file_key.name} names an empty file")
    return Secret(password)


def _store(reader: Reader) -> PostgresqlSettings | None:
    url = reader.get(store_keys.STORE_URL)
    connections, timeout = reader.get(store_keys.STORE_CONNECTIONS), reader.get(store_keys.STORE_TIMEOUT)
    password_and_file = reader.get(store_keys.STORE_PASSWORD), reader.get(store_keys.STORE_PASSWORD_FILE)
    if not url:
        return None
    password = _password(store_keys.STORE_PASSWORD, store_keys.STORE_PASSWORD_FILE, *password_and_file)
    try:
        return PostgresqlSettings.parse(url, password=password, connections=connections, timeout=float(timeout))
    except ValueError as error:
        raise ConfigurationError(f"{store_keys.STORE_URL.name} {error}") from None


def _engine_tls(reader: Reader) -> UpstreamTls:
    files = [
        reader.get(key)
        for key in (engine_keys.ENGINE_TLS_CA, engine_keys.ENGINE_TLS_CERTIFICATE, engine_keys.ENGINE_TLS_KEY)
    ]
    ca, certificate, key = (Path(name) if name else None for name in files)
    return UpstreamTls(ca, certificate, key, reader.get(engine_keys.ENGINE_TLS_SERVER_NAME))


def _request_limits(reader: Reader) -> RequestLimits:
    rate = reader.get(limit_keys.REQUESTS_PER_SECOND)
    burst = reader.get(limit_keys.REQUEST_BURST)
    if burst and not rate:
        raise ConfigurationError(
            f"{limit_keys.REQUEST_BURST.name} without {limit_keys.REQUESTS_PER_SECOND.name} limits nothing: set both, "
            "or leave it out"
        )
    concurrent = reader.get(limit_keys.CONCURRENT_REQUESTS)
    return RequestLimits(float(rate) or None, burst or None, concurrent or None)


def _engine_requests(reader: Reader, *, remote: bool) -> int:
    given = reader.get(limit_keys.ENGINE_REQUESTS)
    if given is not None:
        return given
    # A cluster works on any number of requests at once, and knows best how many.
    return 0 if remote else Settings().engine_requests


def _byte_limits(reader: Reader) -> ByteLimits:
    return ByteLimits(
        unauthenticated=reader.get(keys.UNAUTHENTICATED_BYTES),
        unauthenticated_address=reader.get(keys.UNAUTHENTICATED_ADDRESS_BYTES),
        authenticated=reader.get(keys.AUTHENTICATED_BYTES),
        address=reader.get(keys.ADDRESS_BYTES),
        user=reader.get(keys.USER_BYTES),
    )


def _tls(reader: Reader) -> TlsSettings | None:
    mode = reader.get(keys.TLS_MODE)
    files = {key: reader.get(key) for key in (keys.TLS_CERTIFICATE, keys.TLS_KEY, keys.TLS_CA)}
    if mode == 0:
        return None
    if mode < keys.MUTUAL_TLS:
        del files[keys.TLS_CA]
    for key, name in files.items():
        if not name:
            raise ConfigurationError(f"{keys.TLS_MODE.name} is {mode}: {key.name} must name a PEM file")
    return TlsSettings(*map(Path, files.values()))


def _metrics(reader: Reader) -> HealthSettings:
    return HealthSettings(
        enabled=reader.get(keys.METRICS_ENABLED),
        host=reader.get(keys.METRICS_HOST),
        port=reader.get(keys.METRICS_PORT),
    )


def _audit(reader: Reader) -> AuditSettings:
    directory = reader.get(keys.AUDIT_DIRECTORY)
    return AuditSettings(
        enabled=reader.get(keys.AUDIT_ENABLED),
        data_operations=reader.get(keys.AUDIT_DATA_OPERATIONS),
        keep_days=reader.get(keys.AUDIT_KEEP_DAYS),
        directory=Path(directory) if directory else None,
        syslog=exports.syslog(reader),
        otlp=exports.otlp(reader),
    )


def _replicas(reader: Reader) -> ReplicaSettings:
    name = reader.get(keys.REPLICA_NAME)
    if not _REPLICA_NAME.fullmatch(name):
        raise ConfigurationError(
            f"{keys.REPLICA_NAME.name} must be a name of up to {_LONGEST_REPLICA_NAME} letters, digits, dots, hyphens "
            "and underscores"
        )
    return ReplicaSettings(name, reader.get(keys.REPLICA_LEASE))


def _workers(reader: Reader, *, remote: bool, shared: bool) -> int:
    workers = reader.get(keys.WORKERS)
    if workers > 1 and not remote:
        raise ConfigurationError(
            f"{keys.WORKERS.name} is more than 1 and the engine is embedded, whose data one process uses alone: let "
            f"{engine_keys.ENGINE_ADDRESS.name} name a Milvus, or set {keys.WORKERS.name} to 1"
        )
    if workers > 1 and not shared:
        raise ConfigurationError(
            f"{keys.WORKERS.name} is more than 1 and the store is a file, where workers would not learn of each "
            f"other's changes in time: let {store_keys.STORE_URL.name} name a PostgreSQL, or set {keys.WORKERS.name} "
            "to 1"
        )
    return workers


def _rest(reader: Reader) -> RestSettings:
    return RestSettings(
        enabled=reader.get(keys.REST_ENABLED),
        request_timeout=reader.get(keys.REQUEST_TIMEOUT) / 1000,
        allow_int64=reader.get(keys.ALLOW_INT64),
        max_body=reader.get(keys.MAX_BODY_BYTES),
        cors_origins=reader.get(keys.CORS_ORIGINS),
    )


def _password_policy(reader: Reader) -> PasswordPolicy:
    policy = POLICIES[reader.get(keys.PASSWORD_POLICY)]
    shortest = reader.get(keys.MIN_PASSWORD, policy.shortest)
    longest = reader.get(keys.MAX_PASSWORD, policy.longest)
    if shortest > longest:
        raise ConfigurationError(
            f"proxy.minPasswordLength ({shortest}) is greater than the longest password allowed ({longest}): "
            "set proxy.maxPasswordLength too"
        )
    return replace(policy, shortest=shortest, longest=longest)
