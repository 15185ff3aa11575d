"""Every key of the configuration: what it sets, what it refuses, and that no value is ever shown."""

import dataclasses
import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from tests.docs import settings_table

from kiteward.audit.exports.settings import ExportTls, OtlpSettings, SyslogSettings
from kiteward.authn.oidc.issuers import Issuer, NameRule
from kiteward.authn.second_factor.rules import PasskeyRules, RequiredOf
from kiteward.config.doubts import doubtful_keys
from kiteward.config.keys import KEYS as TABLE
from kiteward.config.loading import explain, load, settings_from, unknown_environment
from kiteward.config.settings import Settings
from kiteward.config.sources import variable_of
from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import DEFAULT_ROOT_PASSWORD, Secret
from kiteward.engine.upstream import Address, CatalogSettings, RemoteEngineSettings, UpstreamTls
from kiteward.net.tls import TlsSettings
from kiteward.store.postgresql.settings import PostgresqlSettings

SECRET_LOOKING = "Hunter2-Hunter2"
TWO_ORIGINS = frozenset({"https://a.example", "https://b.example"})


def document(key: str, value: Any) -> Any:
    """Return a document with one dotted key."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


PROVIDER = {"issuer": "https://idp.example", "audience": "a", "userPrefix": "i_"}
SYSLOG = SyslogSettings("logs.example", 6514, "logs.example")

# key -> (value, where it lands in the settings, its value there)
KEYS: dict[str, tuple[Any, str, Any]] = {
    "common.security.authorizationEnabled": (False, "authorization", False),
    "common.security.defaultRootPassword": ("Other-1", "default_root_password", Secret("Other-1")),
    "common.security.rootShouldBindRole": (True, "root_bypass", False),
    "common.security.enablePublicPrivilege": (True, "seed_public", True),
    "common.security.tlsMode": (0, "tls", None),
    "tls.serverPemPath": ("/cert.pem", "tls", None),
    "tls.serverKeyPath": ("/key.pem", "tls", None),
    "tls.caPemPath": ("/ca.pem", "tls", None),
    "common.security.superUsers": ("root, boss,,", "super_users", frozenset({"root", "boss"})),
    "proxy.port": (0, "port", 0),
    "proxy.maxUsernameLength": (10, "naming.max_user_name", 10),
    "proxy.maxNameLength": (11, "naming.max_name", 11),
    "proxy.maxUserDescriptionLength": (0, "naming.max_user_description", 0),
    "proxy.maxRoleDescriptionLength": (13, "naming.max_role_description", 13),
    "proxy.roleNameValidation.allowedChars": ("$-", "naming.role_characters", "$-"),
    "proxy.nameValidation.allowedChars": ("", "naming.object_characters", ""),
    "proxy.maxUserNum": (5, "limits.users", 5),
    "proxy.maxRoleNum": (6, "limits.roles", 6),
    "proxy.minPasswordLength": (10, "passwords.shortest", 10),
    "proxy.maxPasswordLength": (100, "passwords.longest", 100),
    "kiteward.host": ("localhost", "host", "localhost"),
    "kiteward.dataDir": ("/srv/kiteward", "data_dir", Path("/srv/kiteward")),
    "kiteward.passwordPolicy": ("legacy", "passwords.classes", False),
    "kiteward.console.address": ("https://kiteward.example", "console.address", "https://kiteward.example"),
    "kiteward.console.localSignIn": ("nobody", "console.local_sign_in", "nobody"),
    "kiteward.scim.enabled": (False, "scim.names", None),
    "kiteward.scim.issuer": ("https://idp.example", "scim.names", None),
    "kiteward.scim.userPrefix": ("scim_", "scim.names", None),
    "kiteward.scim.userReplace": ({"@": "_"}, "scim.names", None),
    "kiteward.console.enabled": (False, "console.enabled", False),
    "kiteward.console.factorKey": ("k" * 32, "console.factor_key", Secret("k" * 32)),
    "kiteward.console.factorKeyFile": ("", "console.factor_key", Secret("")),
    "kiteward.console.passkeys.origins": ("", "console.factors.passkeys", None),
    "kiteward.console.passkeys.rpId": (
        "kw.example",
        "console.factors.passkeys",
        PasskeyRules("kw.example", ("https://kw.example",)),
    ),
    "kiteward.console.secondFactor": ("everyone", "console.factors.required_of", "everyone"),
    "kiteward.console.idleTimeout": (60, "console.sessions.idle", 60),
    "kiteward.console.sessionLifetime": (600, "console.sessions.lifetime", 600),
    "kiteward.limits.requestsPerSecond": (5, "request_limits.rate", 5.0),
    "kiteward.limits.requestBurst": (0, "request_limits.burst", None),
    "kiteward.limits.concurrentRequests": (7, "request_limits.concurrent", 7),
    "kiteward.limits.engineRequests": (9, "engine_requests", 9),
    "kiteward.limits.replicas": (3, "limit_replicas", 3),
    "kiteward.allowedHosts": ("kiteward, a.example", "hosts.names", frozenset({"kiteward", "a.example"})),
    "kiteward.apiKeys.maxPerUser": (3, "key_rules.per_user", 3),
    "kiteward.apiKeys.defaultExpiry": (3600, "key_rules.default_lifetime", 3600),
    "kiteward.audit.enabled": (False, "audit.enabled", False),
    "kiteward.audit.dataOperations": (False, "audit.data_operations", False),
    "kiteward.audit.keepDays": (0, "audit.keep_days", 0),
    "kiteward.audit.directory": ("/var/log/kiteward", "audit.directory", Path("/var/log/kiteward")),
    "kiteward.audit.otlp.endpoint": (
        "https://logs.example/v1/logs",
        "audit.otlp",
        OtlpSettings("https://logs.example/v1/logs"),
    ),
    "kiteward.audit.otlp.headers": ("x-key=Other-1", "audit.otlp", None),
    "kiteward.audit.otlp.headersFile": ("/headers", "audit.otlp", None),
    "kiteward.audit.otlp.tls.ca": ("/ca.pem", "audit.otlp", None),
    "kiteward.audit.otlp.tls.certificate": ("/cert.pem", "audit.otlp", None),
    "kiteward.audit.otlp.tls.key": ("/key.pem", "audit.otlp", None),
    "kiteward.audit.syslog.address": ("logs.example", "audit.syslog", SYSLOG),
    "kiteward.audit.syslog.tls.ca": ("/ca.pem", "audit.syslog", None),
    "kiteward.audit.syslog.tls.certificate": ("/cert.pem", "audit.syslog", None),
    "kiteward.audit.syslog.tls.key": ("/key.pem", "audit.syslog", None),
    "kiteward.audit.syslog.tls.serverName": ("logs", "audit.syslog", None),
    "kiteward.engine.address": ("grpcs://milvus:1953", "engine.address", Address("milvus", 1953, tls=True)),
    "kiteward.engine.catalog.maximumAge": (2, "engine", None),
    "kiteward.engine.catalog.removeVanishedGrants": ("true", "engine", None),
    "kiteward.engine.catalog.vanishedAfter": (30, "engine", None),
    "kiteward.engine.connections": (2, "engine", None),
    "kiteward.engine.password": ("Other-1", "engine", None),
    "kiteward.engine.passwordFile": ("/password", "engine", None),
    "kiteward.engine.syncMode": ("close", "sync_mode", "close"),
    "kiteward.engine.timeout": (60, "engine", None),
    "kiteward.engine.tls.ca": ("/ca.pem", "engine", None),
    "kiteward.engine.tls.certificate": ("/cert.pem", "engine", None),
    "kiteward.engine.tls.key": ("/key.pem", "engine", None),
    "kiteward.engine.tls.serverName": ("milvus", "engine", None),
    "kiteward.engine.user": ("kiteward", "engine", None),
    "kiteward.limits.unauthenticatedBytes": (2**20, "byte_limits.unauthenticated", 2**20),
    "kiteward.limits.unauthenticatedAddressBytes": (2**21, "byte_limits.unauthenticated_address", 2**21),
    "kiteward.limits.authenticatedBytes": (2**22, "byte_limits.authenticated", 2**22),
    "kiteward.limits.addressBytes": (2**23, "byte_limits.address", 2**23),
    "kiteward.limits.userBytes": (2**24, "byte_limits.user", 2**24),
    "kiteward.log.level": ("error", "log_level", "error"),
    "kiteward.metrics.enabled": (False, "metrics.enabled", False),
    "kiteward.metrics.host": ("::1", "metrics.host", "::1"),
    "kiteward.metrics.port": (9191, "metrics.port", 9191),
    "kiteward.oidc": ([PROVIDER], "issuers", (Issuer("https://idp.example", frozenset({"a"}), NameRule("i_{sub}")),)),
    "kiteward.rest.maxBodyBytes": (2048, "rest.max_body", 2048),
    "kiteward.engine.forwardedFields": ("QueryRequest.27", "admission.forwarded_fields", frozenset()),
    "kiteward.engine.providers": ("", "admission.providers", frozenset()),
    "kiteward.replicas.lease": (5, "replicas.lease", 5),
    "kiteward.replicas.name": ("first", "replicas.shown", "first"),
    "kiteward.requests.unknownParameters": ("refuse", "admission.unknown_parameters", "refuse"),
    "kiteward.rest.corsOrigins": ("https://a.example, https://b.example", "rest.cors_origins", TWO_ORIGINS),
    "kiteward.tracing.endpoint": (
        "http://localhost:4318/v1/traces",
        "tracing.endpoint",
        "http://localhost:4318/v1/traces",
    ),
    "kiteward.tracing.percent": (5, "tracing.percent", 5),
    "kiteward.store.connections": (2, "store", None),
    "kiteward.store.password": ("Other-1", "store", None),
    "kiteward.store.passwordFile": ("/password", "store", None),
    "kiteward.store.timeout": (2, "store", None),
    "kiteward.store.url": ("postgresql://kiteward@db/store", "store.hosts", (("db", 5432),)),
    "kiteward.tokenExchange.roles": ("svc=viewer, svc=*", "exchange_rules.roles", {"svc": frozenset({"viewer", "*"})}),
    "kiteward.tokenExchange.maxLifetime": (60, "exchange_rules.longest", 60),
    "kiteward.tokenExchange.maxKeysPerService": (7, "exchange_rules.per_service", 7),
    "kiteward.workers": (1, "workers", 1),
    "proxy.http.enabled": (False, "rest.enabled", False),
    "proxy.http.requestTimeoutMs": (1500, "rest.request_timeout", 1.5),
    "proxy.http.acceptTypeAllowInt64": (False, "rest.allow_int64", False),
}
NUMBERS = [key for key, (value, _, _) in KEYS.items() if type(value) is int]
FLAGS = [key for key, (value, _, _) in KEYS.items() if type(value) is bool]


def at(settings: Settings, path: str) -> Any:
    found: Any = settings
    for part in path.split("."):
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("key", KEYS)
def test_key_sets_what_it_says(key: str) -> None:
    value, path, expected = KEYS[key]
    assert at(settings_from(document(key, value)), path) == expected


@pytest.mark.parametrize("key", KEYS)
def test_key_left_empty_is_the_default(key: str) -> None:
    assert settings_from(document(key, None)) == Settings()


def test_every_setting_can_be_set() -> None:
    reached = {path.split(".")[0] for _, path, _ in KEYS.values()}
    assert reached == {field.name for field in dataclasses.fields(Settings)}


@pytest.mark.parametrize("key", NUMBERS)
@pytest.mark.parametrize("value", [SECRET_LOOKING, 1.5, [1], -1, True, ""])
def test_number_that_is_none_is_refused_by_its_key_and_not_shown(key: str, value: Any) -> None:
    with pytest.raises(ConfigurationError) as refused:
        settings_from(document(key, value))
    assert key in str(refused.value)
    assert SECRET_LOOKING not in str(refused.value)


@pytest.mark.parametrize("key", FLAGS)
@pytest.mark.parametrize("value", [SECRET_LOOKING, 2, [True], {"a": 1}, ""])
def test_flag_that_is_none_is_refused_by_its_key_and_not_shown(key: str, value: Any) -> None:
    with pytest.raises(ConfigurationError) as refused:
        settings_from(document(key, value))
    # Below a key of ours nothing can stand, which is said first.
    below_own = isinstance(value, dict) and key.startswith("kiteward.")
    assert (f"unknown key {key}.a" if below_own else f"{key} must be true or false") in str(refused.value)
    assert SECRET_LOOKING not in str(refused.value)


@pytest.mark.parametrize("value", ["true", "True", "yes", "on", "1", 1])
def test_flag_takes_milvus_spellings(value: Any) -> None:
    assert not settings_from(document("common.security.rootShouldBindRole", value)).root_bypass


@pytest.mark.parametrize("value", ["false", "No", "off", "0", 0, False])
def test_flag_takes_milvus_spellings_of_false(value: Any) -> None:
    assert settings_from(document("common.security.rootShouldBindRole", value)).root_bypass


@pytest.mark.parametrize("key", ["common.security.defaultRootPassword", "kiteward.host", "kiteward.dataDir"])
@pytest.mark.parametrize("value", [[SECRET_LOOKING], {"a": SECRET_LOOKING}])
def test_text_that_is_several_values_is_refused_and_not_shown(key: str, value: Any) -> None:
    with pytest.raises(ConfigurationError) as refused:
        settings_from(document(key, value))
    assert key in str(refused.value)
    assert SECRET_LOOKING not in str(refused.value)


def test_super_users_may_be_a_list() -> None:
    assert settings_from(document("common.security.superUsers", ["root", " boss "])).super_users == {"root", "boss"}


@pytest.mark.parametrize(("key", "value"), [("kiteward.passwordPolicy", "lax"), ("kiteward.engine.syncMode", "never")])
def test_choice_names_what_may_be_chosen(key: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{key} must be one of "):
        settings_from(document(key, value))


@pytest.mark.parametrize("value", [False, "false", "off", 0])
def test_authentication_is_switched_off_in_every_spelling(value: Any) -> None:
    assert not settings_from(document("common.security.authorizationEnabled", value)).authorization


@pytest.mark.parametrize("key", ["kiteward.hots", "kiteward.engine.sync", "kiteward.engine.syncMode.x", "kiteward.a.b"])
def test_unknown_key_of_ours_is_refused_and_its_value_not_shown(key: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        settings_from(document(key, SECRET_LOOKING))
    assert f"unknown key {key}" in str(refused.value)
    assert SECRET_LOOKING not in str(refused.value)


@pytest.mark.parametrize(
    ("key", "instead"),
    [
        ("kiteward.hots", ": did you mean kiteward.host?"),
        ("kiteward.audit.keepDay", ": did you mean kiteward.audit.keepDays?"),
        ("kiteward.log.format", "; valid keys of kiteward.log: level"),
        ("kiteward.a.b", "; valid keys of kiteward: allowedHosts, apiKeys, audit"),
    ],
)
def test_unknown_key_of_ours_comes_with_what_could_stand_instead(key: str, instead: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        settings_from(document(key, 1))
    assert str(refused.value).startswith(f"unknown key {key}{instead}")


def configured(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "milvus.yaml"
    file.write_text(text, "utf-8")
    return file


OIDC_TEXT = "kiteward:\n  oidc:\n    - issuer: https://idp.example\n      audience: x\n      userPrefix: 9\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("proxy:\n  port: 1\nkiteward:\n  hots: x\n", "unknown key kiteward.hots ({}, line 4): did you mean"),
        ("proxy:\n\n  port: many\n", "proxy.port must be a whole number ({}, line 3)"),
        ("common:\n  security:\n    tlsMode: 1\n", "must name a PEM file ({}, line 3)"),
        ("kiteward: hello\n", "kiteward must be a section ({}, line 1): its keys stand below it"),
        ("common:\n  security: 1\n", "common.security must be a section, not a value ({}, line 2)"),
        ("proxy:\n  port: [1\nx: y\n", "{} is not YAML: line 3, column 2 cannot be read"),
        (OIDC_TEXT, "begins with such a text ({}, line 5)"),
    ],
)
def test_errors_of_a_file_name_the_line(tmp_path: Path, text: str, sentence: str) -> None:
    file = configured(tmp_path, text)
    with pytest.raises(ConfigurationError) as refused:
        load(file, {})
    assert sentence.format(file) in str(refused.value)


def test_a_value_that_the_environment_gives_is_not_looked_for_in_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load(configured(tmp_path, "proxy: {port: 1}\n"), {"PROXY_PORT": "many"})
    assert "line" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "doubt"),
    [
        ("proxy:\n  prot: 1\n", "proxy.prot ({}, line 2) is not read here: did you mean proxy.port?"),
        ("proxi: {port: 1}\ncommon: {}\n", "proxi ({}, line 1) is not read here: did you mean proxy?"),
        ("common: {security: {tlsMod: 1}}\n", "common.security.tlsMod ({}, line 1) is not read here: did you mean "),
    ],
)
def test_misspelt_keys_of_milvus_are_reported_and_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, doubt: str
) -> None:
    file = configured(tmp_path, text)
    assert load(file, {}) == Settings()
    assert doubt.format(file) in caplog.text


def test_keys_of_milvus_that_are_not_misspelt_are_not_reported() -> None:
    assert doubtful_keys(Path(__file__).with_name("milvus.yaml")) == ()
    assert doubtful_keys(None) == ()


@pytest.mark.parametrize("key", ["etcd.endpoints", "proxy.ginLogging", "common.security.tlsCipher", "kitewards.host"])
def test_keys_of_milvus_that_do_not_concern_us_are_ignored(key: str) -> None:
    assert settings_from(document(key, {"anything": [1, 2]})) == Settings()


@pytest.mark.parametrize("value", [5, "x", [1]])
@pytest.mark.parametrize("section", ["common", "common.security", "proxy", "kiteward", "proxy.nameValidation"])
def test_value_where_a_section_should_be_is_refused(section: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"section|unknown key"):
        settings_from(document(section, value))


def test_a_burst_without_a_rate_is_refused_with_both_keys() -> None:
    with pytest.raises(ConfigurationError, match=r"requestBurst without .*requestsPerSecond limits nothing"):
        settings_from(document("kiteward.limits.requestBurst", 70))


@pytest.mark.parametrize(("processors", "requests"), [(None, 2), (1, 2), (2, 2), (3, 3), (4, 4), (64, 4)])
def test_the_embedded_engine_works_on_a_request_for_each_processor(
    monkeypatch: pytest.MonkeyPatch, processors: int | None, requests: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: processors)
    assert with_keys().engine_requests == requests


def test_a_remote_engine_decides_itself_how_much_it_works_on_at_once() -> None:
    assert with_keys(**REMOTE).engine_requests == 0
    assert with_keys(**REMOTE, **{"kiteward.limits.engineRequests": 64}).engine_requests == 64


def test_shortest_password_beyond_the_longest_is_refused_with_both_keys() -> None:
    with pytest.raises(ConfigurationError, match=r"minPasswordLength \(70\).*set proxy\.maxPasswordLength too"):
        settings_from(document("proxy.minPasswordLength", 70))


@pytest.mark.parametrize(
    ("key", "least"), [("proxy.maxUserNum", 1), ("proxy.maxRoleNum", 2), ("proxy.maxNameLength", 1)]
)
def test_limits_leave_room_for_what_is_built_in(key: str, least: int) -> None:
    settings_from(document(key, least))
    with pytest.raises(ConfigurationError, match=f"{key} must be at least {least}"):
        settings_from(document(key, least - 1))


def test_port_ends_where_ports_end() -> None:
    settings_from(document("proxy.port", 65535))
    with pytest.raises(ConfigurationError, match=r"proxy\.port must be at least 0 and at most 65535"):
        settings_from(document("proxy.port", 65536))


def test_settings_hide_the_root_password() -> None:
    settings = settings_from(document("common.security.defaultRootPassword", SECRET_LOOKING))
    assert SECRET_LOOKING not in repr(settings)


def test_defaults_are_safe() -> None:
    settings = Settings()
    assert settings.host == "127.0.0.1"
    assert settings.default_root_password == Secret(DEFAULT_ROOT_PASSWORD)
    assert settings.authorization
    assert not settings.seed_public
    assert settings.super_users == frozenset()
    assert settings.sync_mode == "batch"


# The file


def test_no_file_is_the_defaults_and_so_is_an_empty_one(tmp_path: Path) -> None:
    assert load(None, {}) == Settings()
    file = tmp_path / "milvus.yaml"
    for text in ("", "# nothing yet\n", "---\n"):
        file.write_text(text, "utf-8")
        assert load(file, {}) == Settings()


def test_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "milvus.yaml"
    file.write_text("proxy:\n  port: 19531\nkiteward:\n  dataDir: x\n  engine: {syncMode: none}\n", "utf-8")
    settings = load(file, {})
    assert (settings.port, settings.data_dir, settings.sync_mode) == (19531, Path("x"), "none")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"a: [", "is not YAML"),
        (b"\xff\xfe\x00", "is not YAML"),
        (b"- a\n- b\n", "must hold sections"),
        (b"just text", "must hold sections"),
        (b"a: !!python/object/apply:os.system ['true']", "is not YAML"),
        (
            b"security: {authorizationEnabled: true}\nport: 19531",
            "no section of a milvus.yaml.*found `port`, `security`",
        ),
        (b"apiVersion: v1\nkind: ConfigMap\ndata: {}", "no section of a milvus.yaml.*found `apiVersion`, `data`"),
        (b"kind: Milvus\nmetadata: {name: m}", "must hold the sections at spec.config"),
        (b"kind: Milvus\nspec: {config: {port: 1}}", "spec.config has no section of a milvus.yaml.*found `port`"),
    ],
)
def test_file_that_is_no_configuration_is_refused(tmp_path: Path, content: bytes, text: str) -> None:
    file = tmp_path / "milvus.yaml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=text):
        load(file, {})


def test_resource_of_the_milvus_operator_carries_a_configuration(tmp_path: Path) -> None:
    file = tmp_path / "milvus.yaml"
    manifest = "apiVersion: milvus.io/v1beta1\nkind: Milvus\nmetadata: {name: m}\nspec:\n  mode: cluster\n  config:\n"
    file.write_text(
        f"{manifest}    proxy: {{port: 19531}}\n    common:\n      security: {{superUsers: alice}}\n", "utf-8"
    )
    settings = load(file, {})
    assert (settings.port, settings.super_users) == (19531, frozenset({"alice"}))
    port = next(each for each in explain(file, {})[1] if each.key == "proxy.port")
    assert port.origin == f"{file}, spec.config: proxy.port"


def test_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"missing\.yaml cannot be read: No such file"):
        load(tmp_path / "missing.yaml")


def test_table_of_settings_has_a_row_for_each_key_that_is_read() -> None:
    read = [each.key for each in explain(None, {})[1]]
    assert read == [key.name for key in TABLE]
    assert set(read) == set(KEYS)


@pytest.mark.parametrize("key", [key for key, (value, _, _) in KEYS.items() if not isinstance(value, list)])
def test_environment_sets_what_the_file_sets(key: str) -> None:
    value, path, expected = KEYS[key]
    assert at(load(None, {variable_of(key): str(value)}), path) == expected


def test_variables_have_the_spelling_of_milvus() -> None:
    assert not load(None, {"COMMON_SECURITY_AUTHORIZATIONENABLED": "false"}).authorization
    assert load(None, {"KITEWARD_PASSWORDPOLICY": "strict"}).passwords.name == "strict"


def test_environment_wins_over_the_file_and_each_value_knows_where_it_stood(tmp_path: Path) -> None:
    file = tmp_path / "milvus.yaml"
    file.write_text("proxy: {port: 1, maxUserNum: 7}\n", "utf-8")
    settings, in_force = explain(file, {"PROXY_PORT": "2"})
    origins = {each.key: (each.shown, each.origin) for each in in_force}
    assert settings.port == 2
    assert origins["proxy.port"] == ("2", "PROXY_PORT")
    assert origins["proxy.maxUserNum"] == ("7", f"{file}: proxy.maxUserNum")
    assert origins["kiteward.host"] == ("127.0.0.1", "default")


def test_wrong_value_in_the_environment_is_named_by_its_variable_and_not_shown() -> None:
    with pytest.raises(
        ConfigurationError, match="the environment variable PROXY_PORT must be a whole number"
    ) as refused:
        load(None, {"PROXY_PORT": SECRET_LOOKING})
    assert SECRET_LOOKING not in str(refused.value)


def test_variables_that_look_like_ours_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    environment = {"KITEWARD_HOTS": SECRET_LOOKING, "KITEWARD_PORT_19530_TCP_ADDR": "x", "KITEWARD_SERVICE_HOST": "x"}
    assert unknown_environment(environment) == ("KITEWARD_HOTS",)
    load(None, environment)
    assert "unknown environment variable KITEWARD_HOTS" in caplog.text
    assert SECRET_LOOKING not in caplog.text


@pytest.mark.parametrize(
    ("mode", "missing"),
    [(1, "tls.serverPemPath"), (1, "tls.serverKeyPath"), (2, "tls.caPemPath"), (2, "tls.serverKeyPath")],
)
def test_tls_needs_its_files(mode: int, missing: str) -> None:
    names = {f"tls.{name}": f"/{name}" for name in ("serverPemPath", "serverKeyPath", "caPemPath")}
    tls = {key.partition(".")[2]: name for key, name in names.items() if key != missing}
    with pytest.raises(ConfigurationError, match=f"tlsMode is {mode}: {missing} must name a PEM file"):
        settings_from({"common": {"security": {"tlsMode": mode}}, "tls": tls})


def test_tls_takes_a_client_ca_in_mode_2_alone() -> None:
    tls = {"serverPemPath": "/cert", "serverKeyPath": "/key", "caPemPath": "/ca"}
    documents = [{"common": {"security": {"tlsMode": mode}}, "tls": tls} for mode in (0, 1, 2)]
    assert [settings_from(each).tls for each in documents] == [
        None,
        TlsSettings(Path("/cert"), Path("/key")),
        TlsSettings(Path("/cert"), Path("/key"), Path("/ca")),
    ]


# The remote engine

REMOTE = {"kiteward.engine.address": "grpcs://milvus"}
ACCOUNT = {"kiteward.engine.user": "kiteward", "kiteward.engine.password": SECRET_LOOKING}


def with_keys(**keys: Any) -> Settings:
    """Return the settings of a file with these dotted keys."""
    merged: dict[str, Any] = {}
    for key, value in keys.items():
        *sections, name = key.split(".")
        here = merged
        for section in sections:
            here = here.setdefault(section, {})
        here[name] = value
    return settings_from(merged)


def test_remote_engine_has_an_address_a_service_account_and_tls() -> None:
    tls = {f"kiteward.engine.tls.{name}": f"/{name}" for name in ("ca", "certificate", "key", "serverName")}
    assert with_keys(
        **REMOTE, **ACCOUNT, **tls, **{"kiteward.engine.timeout": 5, "kiteward.engine.connections": 2}
    ).engine == RemoteEngineSettings(
        Address("milvus", 19530, tls=True),
        tls=UpstreamTls(Path("/ca"), Path("/certificate"), Path("/key"), "/serverName"),
        user="kiteward",
        password=Secret(SECRET_LOOKING),
        connections=2,
        timeout=5,
    )


def test_catalog_of_a_remote_engine_is_at_most_five_seconds_old_unless_given() -> None:
    given = {"maximumAge": 2, "vanishedAfter": 30, "removeVanishedGrants": True}
    engine = with_keys(**REMOTE, **{f"kiteward.engine.catalog.{name}": value for name, value in given.items()}).engine
    assert engine is not None
    assert engine.catalog == CatalogSettings(2.0, 30.0, remove_vanished_grants=True)
    unset = with_keys(**REMOTE).engine
    assert unset is not None
    assert unset.catalog == CatalogSettings(5.0, 60.0, remove_vanished_grants=False)


def test_fields_are_forwarded_to_a_remote_engine() -> None:
    named = {"kiteward.engine.forwardedFields": "QueryRequest.27, SearchRequest.29"}
    fields = frozenset({("QueryRequest", 27), ("SearchRequest", 29)})
    assert with_keys(**REMOTE, **named).admission.forwarded_fields == fields
    assert with_keys(**named).admission.forwarded_fields == frozenset()
    with pytest.raises(ConfigurationError, match=r"forwardedFields must name fields as QueryRequest\.27"):
        with_keys(**REMOTE, **{"kiteward.engine.forwardedFields": "namespace"})


def test_providers_are_listed_for_a_remote_engine_only() -> None:
    listed = {"kiteward.engine.providers": "openai, tei=https://tei.example:8080"}
    allowed = frozenset({("openai", ""), ("tei", "https://tei.example:8080")})
    assert with_keys(**REMOTE, **listed).admission.providers == allowed
    assert with_keys(**REMOTE).admission.providers == frozenset()
    with pytest.raises(ConfigurationError, match="the engine is embedded: its process has no network"):
        with_keys(**listed)
    with pytest.raises(ConfigurationError, match=r"engine\.providers must list providers") as refused:
        with_keys(**REMOTE, **{"kiteward.engine.providers": [f"tei=http://{SECRET_LOOKING}@tei.example"]})
    assert SECRET_LOOKING not in str(refused.value)


def test_embedded_engine_may_be_named() -> None:
    assert with_keys(**{"kiteward.engine.address": "embedded"}) == Settings()


@pytest.mark.parametrize(
    "address",
    [
        "milvus",
        "milvus:19530",
        "http://milvus:19530",
        "https://milvus",
        "grpc://",
        "grpc://milvus:x",
        "grpc://milvus:65536",
        "grpc://milvus/path",
        "grpc://milvus?x=1",
        "grpc://[::1",
        f"grpc://root:{SECRET_LOOKING}@milvus",
        "",
    ],
)
def test_address_of_another_form_is_refused_and_not_shown(address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"kiteward\.engine\.address must be `embedded`, or like") as refused:
        with_keys(**{"kiteward.engine.address": address})
    assert SECRET_LOOKING not in str(refused.value)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"kiteward.engine.user": "kiteward"}, "set kiteward.engine.user, and kiteward.engine.password or"),
        ({"kiteward.engine.password": SECRET_LOOKING}, "set kiteward.engine.user, and kiteward.engine.password or"),
        ({**ACCOUNT, "kiteward.engine.passwordFile": "/password"}, "are both set: set one of them"),
        ({**ACCOUNT, "kiteward.engine.user": "a:b"}, "may not contain a colon"),
        ({"kiteward.engine.tls.key": "/key"}, "belong together: set both or none"),
        (
            {"kiteward.engine.address": "grpc://milvus", "kiteward.engine.tls.ca": "/ca"},
            "is without TLS: let it begin with grpcs://",
        ),
        ({"kiteward.engine.timeout": 0}, "kiteward.engine.timeout must be at least 1"),
    ],
)
def test_contradictory_settings_of_the_remote_engine_are_refused(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(sentence)) as refused:
        with_keys(**{**REMOTE, **keys})
    assert SECRET_LOOKING not in str(refused.value)


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_password_of_the_service_account_comes_from_a_file(tmp_path: Path, ending: str) -> None:
    (tmp_path / "password").write_bytes(f"{SECRET_LOOKING}{ending}".encode())
    keys = {**REMOTE, "kiteward.engine.user": "kiteward", "kiteward.engine.passwordFile": str(tmp_path / "password")}
    engine = with_keys(**keys).engine
    assert engine is not None
    assert engine.password.reveal() == SECRET_LOOKING


@pytest.mark.parametrize(("content", "sentence"), [(None, "must name a readable text file"), (b"\n", "an empty file")])
def test_password_file_that_holds_none_is_refused(tmp_path: Path, content: bytes | None, sentence: str) -> None:
    if content is not None:
        (tmp_path / "password").write_bytes(content)
    keys = {**REMOTE, "kiteward.engine.user": "kiteward", "kiteward.engine.passwordFile": str(tmp_path / "password")}
    with pytest.raises(ConfigurationError, match=sentence):
        with_keys(**keys)


def test_settings_hide_the_password_of_the_service_account() -> None:
    settings = with_keys(**REMOTE, **ACCOUNT)
    assert SECRET_LOOKING not in repr(settings)
    assert settings.engine is not None
    assert SECRET_LOOKING not in repr(settings.engine.authorization())
    environment = {"KITEWARD_ENGINE_ADDRESS": "grpc://milvus", "KITEWARD_ENGINE_USER": "kiteward"}
    shown = explain(None, {**environment, "KITEWARD_ENGINE_PASSWORD": SECRET_LOOKING})[1]
    found = {each.key: (each.shown, each.origin) for each in shown}
    assert found["kiteward.engine.password"] == ("set", "KITEWARD_ENGINE_PASSWORD")


def test_command_line_wins_over_environment_and_file() -> None:
    given = {"kiteward.engine.address": "grpc://there:1"}
    settings, in_force = explain(None, {"KITEWARD_ENGINE_ADDRESS": "grpc://elsewhere"}, given=given)
    assert settings.engine == RemoteEngineSettings(Address("there", 1))
    found = {each.key: (each.shown, each.origin) for each in in_force}
    assert found["kiteward.engine.address"] == ("grpc://there:1", "command line")


def test_every_setting_is_documented() -> None:
    text = settings_table.PAGE.read_text("utf-8")
    assert settings_table.with_table(text) == text, "make settings-table"
    text = settings_table.ENTRY_PAGE.read_text("utf-8")
    assert settings_table.with_entry_table(text) == text, "make settings-table"


# Second factors


KEY_OF_APPS = "0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("value", "required"),
    [("off", RequiredOf.NOBODY), (False, RequiredOf.NOBODY), ("everyone", RequiredOf.EVERYONE)],
)
def test_who_must_have_a_second_factor(value: object, required: RequiredOf) -> None:
    assert settings_from(document("kiteward.console.secondFactor", value)).console.factors.required_of is required


def test_passkeys_are_for_the_origin_of_their_host_unless_others_are_listed() -> None:
    assert settings_from({}).console.factors.passkeys is None
    rules = settings_from({"kiteward": {"console": {"passkeys": {"rpId": "kw.example"}}}}).console.factors
    assert rules.passkeys == PasskeyRules("kw.example", ("https://kw.example",))
    origins = ["http://localhost:19530", "https://a.localhost"]
    rules = settings_from(
        {"kiteward": {"console": {"passkeys": {"rpId": "localhost", "origins": origins}}}}
    ).console.factors
    assert rules.passkeys == PasskeyRules("localhost", tuple(origins))


@pytest.mark.parametrize(
    ("rp_id", "origins", "told"),
    [
        ("", ["https://kw.example"], "does nothing"),
        ("https://kw.example", [], "host name in lower case"),
        ("kw.example:443", [], "host name in lower case"),
        ("127.0.0.1", [], "no address"),
        ("Kw.example", [], "lower case"),
        ("kw.example", ["http://kw.example"], "must be like https://kw.example"),
        ("kw.example", ["https://evil.example"], "must be like"),
        ("kw.example", ["https://evilkw.example"], "must be like"),
        ("kw.example", ["https://kw.example/"], "must be like"),
        ("kw.example", ["https://kw.example:x"], "must be like"),
        ("kw.example", ["https://user@kw.example"], "must be like"),
        ("b.kw.example", ["https://kw.example"], "must be like"),
    ],
)
def test_passkeys_for_pages_where_no_browser_takes_them_are_refused(rp_id: str, origins: list[str], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        settings_from({"kiteward": {"console": {"passkeys": {"rpId": rp_id, "origins": origins}}}})


def test_key_of_apps_is_read_from_its_file_and_hidden(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY_OF_APPS}\n", "utf-8")
    for given in ({"factorKey": KEY_OF_APPS}, {"factorKeyFile": str(file)}):
        settings = settings_from({"kiteward": {"console": given}})
        assert settings.console.factor_key == Secret(KEY_OF_APPS)
        assert KEY_OF_APPS not in repr(settings)
    both = {"factorKey": KEY_OF_APPS, "factorKeyFile": str(file)}
    with pytest.raises(ConfigurationError, match="both set"):
        settings_from({"kiteward": {"console": both}})
    file.write_text("", "utf-8")
    for given in ({"factorKey": "short"}, {"factorKeyFile": str(file)}):
        with pytest.raises(ConfigurationError, match="32 random characters"):
            settings_from({"kiteward": {"console": given}})


def test_a_second_factor_that_nobody_can_enrol_is_not_required() -> None:
    store = {"url": "postgresql://kiteward@localhost/store"}
    ways: list[dict[str, object]] = [{}, {"factorKey": KEY_OF_APPS}, {"passkeys": {"rpId": "kw.example"}}]
    for way in ways:
        console = {"secondFactor": "everyone", **way}
        if way:
            settings = settings_from({"kiteward": {"console": console, "store": store}})
            assert settings.console.factors.required_of is RequiredOf.EVERYONE
        else:
            with pytest.raises(ConfigurationError, match="nobody can enrol one"):
                settings_from({"kiteward": {"console": console, "store": store}})


# The first password of root


def test_variable_of_ours_wins_for_the_password_of_root(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("From-File-1\n", "utf-8")
    milvus = {"COMMON_SECURITY_DEFAULTROOTPASSWORD": "From-Milvus-1"}
    for given, expected in (
        (milvus, "From-Milvus-1"),
        (milvus | {"KITEWARD_ROOT_PASSWORD": "From-Ours-1"}, "From-Ours-1"),
        (milvus | {"KITEWARD_ROOT_PASSWORD_FILE": str(file)}, "From-File-1"),
    ):
        settings, in_force = explain(None, given)
        assert settings.default_root_password == Secret(expected)
        assert expected not in repr(in_force)
        assert [each.shown for each in in_force if each.key.endswith("RootPassword")] == ["set"]


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({"KITEWARD_ROOT_PASSWORD": "a", "KITEWARD_ROOT_PASSWORD_FILE": "b"}, "both set"),
        ({"KITEWARD_ROOT_PASSWORD": ""}, "empty password"),
        ({"KITEWARD_ROOT_PASSWORD_FILE": "/nowhere/at/all"}, "readable text file"),
    ],
)
def test_password_of_root_that_is_none_is_refused(environment: dict[str, str], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        load(None, environment)


def test_whole_file_of_milvus_is_read() -> None:
    settings = load(Path(__file__).with_name("milvus.yaml"), {})
    assert (settings.limits.users, settings.limits.roles, settings.passwords.shortest) == (100, 10, 6)
    assert settings.super_users == {"root"}
    assert settings.seed_public


# Helm


def test_values_file_of_helm_is_read_by_its_inner_file_alone(tmp_path: Path) -> None:
    file = tmp_path / "values.yaml"
    file.write_text("proxy: {port: 5}\nextraConfigFiles:\n  user.yaml: |+\n    proxy:\n      maxUserNum: 9\n", "utf-8")
    settings, in_force = explain(file, {})
    assert (settings.port, settings.limits.users) == (19530, 9)
    origin = next(each.origin for each in in_force if each.key == "proxy.maxUserNum")
    assert origin == f"{file}, extraConfigFiles.user.yaml: proxy.maxUserNum"


@pytest.mark.parametrize("inner", ["{}", "{user.yaml: 5}", "[]"])
def test_values_file_without_an_inner_file_is_refused(tmp_path: Path, inner: str) -> None:
    file = tmp_path / "values.yaml"
    file.write_text(f"extraConfigFiles: {inner}\n", "utf-8")
    with pytest.raises(ConfigurationError, match=r"must hold a text at extraConfigFiles\.user\.yaml"):
        load(file, {})


@pytest.mark.parametrize(
    "address", ["localhost:4318", "grpc://localhost:4317", "http://", "http://me:pass@x/", "http://[x/"]
)
def test_an_address_that_traces_cannot_be_sent_to_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"kiteward\.tracing\.endpoint must be like http://") as refused:
        settings_from({"kiteward": {"tracing": {"endpoint": address}}})
    assert "pass@" not in str(refused.value)


# Where the audit trail is sent


@pytest.mark.parametrize(
    ("given", "host", "port"),
    [("logs.example:1514", "logs.example", 1514), ("192.0.2.1", "192.0.2.1", 6514), ("[::1]:99", "::1", 99)],
)
def test_receiver_of_syslog_has_a_host_and_a_port(given: str, host: str, port: int) -> None:
    syslog = settings_from(document("kiteward.audit.syslog.address", given)).audit.syslog
    assert syslog == SyslogSettings(host, port, host)


@pytest.mark.parametrize("given", ["tls://logs", "logs:port", "user@logs", "logs:99999", "logs/a", ":6514"])
def test_address_of_syslog_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(ConfigurationError, match=r"kiteward\.audit\.syslog\.address must be like"):
        settings_from(document("kiteward.audit.syslog.address", given))


@pytest.mark.parametrize("kind", ["syslog", "otlp"])
def test_client_certificate_and_key_belong_together(kind: str) -> None:
    address = {"syslog": {"address": "logs"}, "otlp": {"endpoint": "https://logs/v1/logs"}}[kind]
    for one in ({"certificate": "/c.pem"}, {"key": "/k.pem"}):
        with pytest.raises(ConfigurationError, match="belong together"):
            settings_from(document(f"kiteward.audit.{kind}", {**address, "tls": one}))
    both = settings_from(
        document(f"kiteward.audit.{kind}", {**address, "tls": {"certificate": "/c.pem", "key": "/k.pem", "ca": "/a"}})
    )
    assert getattr(both.audit, kind).tls == ExportTls(Path("/a"), Path("/c.pem"), Path("/k.pem"))


@pytest.mark.parametrize(
    ("endpoint", "sentence"),
    [
        ("http://logs.example:4318/v1/logs", "without TLS and not on this machine"),
        ("http://127.evil.example/v1/logs", "without TLS and not on this machine"),
        ("https://user:pass@logs/v1/logs", "without a password in it"),
        ("ftp://logs", "must be like"),
        ("https://", "must be like"),
        ("https://logs:port/", "must be like"),
    ],
)
def test_collector_that_is_not_reached_safely_is_refused(endpoint: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        settings_from(document("kiteward.audit.otlp.endpoint", endpoint))


@pytest.mark.parametrize("endpoint", ["http://localhost:4318/v1/logs", "http://127.0.0.1/v1/logs", "http://[::1]:1/"])
def test_collector_on_this_machine_may_be_without_tls(endpoint: str) -> None:
    otlp = settings_from(document("kiteward.audit.otlp.endpoint", endpoint)).audit.otlp
    assert otlp == OtlpSettings(endpoint)


def test_headers_for_the_collector_are_hidden_and_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "headers").write_text("x-key=Other-1, y=a b\n")
    document_of = {"endpoint": "https://logs/v1/logs", "headersFile": str(tmp_path / "headers")}
    otlp = settings_from(document("kiteward.audit.otlp", document_of)).audit.otlp
    assert otlp is not None
    assert otlp.headers == (("x-key", Secret("Other-1")), ("y", Secret("a b")))
    assert "Other-1" not in repr(otlp)
    with pytest.raises(ConfigurationError, match="both set"):
        settings_from(document("kiteward.audit.otlp", {**document_of, "headers": "x=y"}))
    for wrong in ("x", "x y=z", "=z", "x=a\nb"):
        with pytest.raises(ConfigurationError, match="must be like name=value") as refused:
            settings_from(document("kiteward.audit.otlp", {"endpoint": "https://logs/v1/logs", "headers": wrong}))
        assert wrong not in str(refused.value).replace("must be like name=value,name=value", "") or len(wrong) == 1


def test_name_of_a_replica_is_a_word() -> None:
    assert settings_from({}).replicas.shown == socket.gethostname()
    for wrong in ("a b", "ä", "a" * 256, 'a"b'):
        with pytest.raises(ConfigurationError, match=r"kiteward\.replicas\.name must be a name"):
            settings_from(document("kiteward.replicas.name", wrong))


def test_store_in_postgresql_has_an_address_a_password_and_limits() -> None:
    store = {"url": "postgresql://kiteward@db/store", "password": SECRET_LOOKING, "connections": 2, "timeout": 7}
    settings = settings_from(document("kiteward.store", store)).store
    assert settings == PostgresqlSettings.parse(
        "postgresql://kiteward@db/store", password=Secret(SECRET_LOOKING), connections=2, timeout=7.0
    )
    assert SECRET_LOOKING not in repr(settings_from(document("kiteward.store", store)))


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_password_of_the_store_comes_from_a_file(tmp_path: Path, ending: str) -> None:
    (tmp_path / "password").write_bytes(f"{SECRET_LOOKING}{ending}".encode())
    store = {"url": "postgresql://kiteward@db/store", "passwordFile": str(tmp_path / "password")}
    settings = settings_from(document("kiteward.store", store)).store
    assert settings is not None
    assert settings.password == Secret(SECRET_LOOKING)


def test_passwords_of_engine_and_store_are_not_confused() -> None:
    own = {
        "engine": {"address": "grpc://milvus", "user": "kiteward", "password": "of the engine"},
        "store": {"url": "postgresql://kiteward@db/store", "password": "of the store"},
    }
    settings = settings_from({"kiteward": own})
    assert settings.engine is not None
    assert settings.store is not None
    assert (settings.engine.password, settings.store.password) == (Secret("of the engine"), Secret("of the store"))


@pytest.mark.parametrize(
    ("store", "sentence"),
    [
        ({"url": "sqlite:data/store.db"}, "kiteward.store.url must be like postgresql://"),
        ({"url": f"postgresql://kiteward:{SECRET_LOOKING}@db/store"}, "without a password"),
        ({"url": "postgresql://kiteward@db/store?sslmode=prefer"}, "kiteward.store.url has an sslmode"),
        (
            {"url": "postgresql://kiteward@db/store", "password": SECRET_LOOKING, "passwordFile": "x"},
            "kiteward.store.password and kiteward.store.passwordFile are both set",
        ),
        ({"url": "postgresql://kiteward@db/store", "passwordFile": "/absent"}, "kiteward.store.passwordFile must name"),
        ({"url": "postgresql://kiteward@db/store", "connections": 0}, "kiteward.store.connections must be at least 1"),
    ],
)
def test_contradictory_settings_of_the_store_are_refused_and_not_shown(store: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        settings_from(document("kiteward.store", store))
    assert sentence in str(refused.value)
    assert SECRET_LOOKING not in str(refused.value)


# Workers


CLUSTER = {"engine": {"address": "grpc://milvus"}, "store": {"url": "postgresql://kiteward@db/store"}}


def test_workers_need_a_remote_engine_and_a_database() -> None:
    assert settings_from({"kiteward": {**CLUSTER, "workers": 4}}).workers == 4
    for missing, sentence in (
        ("engine", "the engine is embedded, whose data one process uses alone: let kiteward.engine.address name"),
        (
            "store",
            "the store is a file, where workers would not learn of each other's changes in time: let kiteward.st",
        ),
    ):
        own = {name: section for name, section in CLUSTER.items() if name != missing}
        assert settings_from({"kiteward": {**own, "workers": 1}}).workers == 1
        with pytest.raises(ConfigurationError, match=r"kiteward\.workers is more than 1") as refused:
            settings_from({"kiteward": {**own, "workers": 2}})
        assert sentence in str(refused.value)


@pytest.mark.parametrize("workers", [0, 65])
def test_number_of_workers_has_limits(workers: int) -> None:
    with pytest.raises(ConfigurationError, match=r"kiteward\.workers must be"):
        settings_from({"kiteward": {**CLUSTER, "workers": workers}})


@pytest.mark.parametrize("entry", ["svc", "=viewer", "svc=", "svc:viewer"])
def test_a_role_that_may_be_handed_out_needs_its_service(entry: str) -> None:
    with pytest.raises(ConfigurationError, match=r"kiteward\.tokenExchange\.roles takes pairs of a service and a role"):
        settings_from(document("kiteward.tokenExchange.roles", ["svc=viewer", entry]))


def test_no_service_may_hand_out_anything_by_default() -> None:
    assert Settings().exchange_rules.roles == settings_from({}).exchange_rules.roles == {}
