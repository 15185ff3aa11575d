"""The table of settings: one row for each key that is read.

The defaults are those of `Settings`; a row refers to them.
"""

from typing import Any, Final

from kiteward.api.rest.settings import LARGEST_BODY
from kiteward.authn.password_policy import POLICIES
from kiteward.config import (
    console_keys,
    engine_keys,
    exchange_keys,
    export_keys,
    limit_keys,
    oidc_keys,
    scim_keys,
    store_keys,
)
from kiteward.config.key import Key
from kiteward.config.kinds import FLAG, Choice, Names, Number, Text
from kiteward.config.settings import Settings
from kiteward.domain.identity import DEFAULT_ROOT_PASSWORD
from kiteward.gateway.settings import UnknownParameters
from kiteward.iam.settings import LONGEST_LIFE
from kiteward.net.budget import MEBIBYTE
from kiteward.telemetry.logs import LEVELS, Level

MUTUAL_TLS: Final = 2
"""`common.security.tlsMode` in which clients present certificates too."""

_MOST_WORKERS: Final = 64
_SETTINGS: Final = Settings()
_MEBIBYTES: Final = Number("bytes", MEBIBYTE)
_PORT: Final = Number("port", 0, 65535)

AUTHORIZATION: Final[Key[bool]] = Key(
    "common.security.authorizationEnabled",
    FLAG,
    _SETTINGS.authorization,
    "whether authentication is required; false on loopback only",
)
DEFAULT_ROOT_PASSWORD_KEY: Final[Key[str]] = Key(
    "common.security.defaultRootPassword",
    Text("text"),
    DEFAULT_ROOT_PASSWORD,
    "password of root at the first start",
    secret=True,
)
PUBLIC_SEEDS: Final[Key[bool]] = Key(
    "common.security.enablePublicPrivilege",
    FLAG,
    _SETTINGS.seed_public,
    "whether every user may describe every collection",
)
ROOT_NEEDS_ROLES: Final[Key[bool]] = Key(
    "common.security.rootShouldBindRole", FLAG, not _SETTINGS.root_bypass, "whether root needs roles like any user"
)
SUPER_USERS: Final[Key[frozenset[str]]] = Key(
    "common.security.superUsers",
    Names("names"),
    _SETTINGS.super_users,
    "users who may change passwords without the old one",
)
TLS_MODE: Final[Key[int]] = Key(
    "common.security.tlsMode",
    Number("0, 1 or 2", 0, MUTUAL_TLS),
    0,
    "0: no TLS; 1: server certificate; 2: client certificates too",
)
ALLOWED_HOSTS: Final[Key[frozenset[str]]] = Key(
    "kiteward.allowedHosts",
    Names("host names"),
    _SETTINGS.hosts.names,
    "host names for which HTTP is served, in addition to IP addresses and localhost; * for all",
)
API_KEY_EXPIRY: Final[Key[int]] = Key(
    "kiteward.apiKeys.defaultExpiry",
    Number("seconds", 0, LONGEST_LIFE),
    0,
    "default lifetime of an API key",
    unset="never",
)
API_KEYS_PER_USER: Final[Key[int]] = Key(
    "kiteward.apiKeys.maxPerUser",
    Number("number", 0),
    _SETTINGS.key_rules.per_user,
    "maximum number of API keys per user",
)
AUDIT_DATA_OPERATIONS: Final[Key[bool]] = Key(
    "kiteward.audit.dataOperations",
    FLAG,
    _SETTINGS.audit.data_operations,
    "whether allowed data operations are recorded",
)
AUDIT_DIRECTORY: Final[Key[str]] = Key(
    "kiteward.audit.directory",
    Text("path"),
    "",
    "directory of the audit trail; by default `audit` in the data directory",
)
AUDIT_ENABLED: Final[Key[bool]] = Key(
    "kiteward.audit.enabled", FLAG, _SETTINGS.audit.enabled, "whether the audit trail is on"
)
AUDIT_KEEP_DAYS: Final[Key[int]] = Key(
    "kiteward.audit.keepDays",
    Number("days", 0, 36_500),
    _SETTINGS.audit.keep_days,
    "days of uptime for which lines of the audit trail are kept; 0 for ever",
)
CONSOLE_ENABLED: Final[Key[bool]] = Key(
    "kiteward.console.enabled", FLAG, _SETTINGS.console.enabled, "whether the console is served, at /console/"
)
CONSOLE_IDLE_TIMEOUT: Final[Key[int]] = Key(
    "kiteward.console.idleTimeout",
    Number("seconds", 1),
    int(_SETTINGS.console.sessions.idle),
    "time after which an idle console session ends",
)
CONSOLE_SESSION_LIFETIME: Final[Key[int]] = Key(
    "kiteward.console.sessionLifetime",
    Number("seconds", 1),
    int(_SETTINGS.console.sessions.lifetime),
    "time after which any console session ends",
)
DATA_DIRECTORY: Final[Key[str]] = Key("kiteward.dataDir", Text("path"), str(_SETTINGS.data_dir), "the data directory")
HOST: Final[Key[str]] = Key("kiteward.host", Text("address"), _SETTINGS.host, "address to listen on")
ADDRESS_BYTES: Final[Key[int]] = Key(
    "kiteward.limits.addressBytes",
    _MEBIBYTES,
    _SETTINGS.byte_limits.address,
    "memory for large messages and pending responses of one address",
)
AUTHENTICATED_BYTES: Final[Key[int]] = Key(
    "kiteward.limits.authenticatedBytes",
    _MEBIBYTES,
    _SETTINGS.byte_limits.authenticated,
    "memory for large messages and pending responses of all users",
)
UNAUTHENTICATED_ADDRESS_BYTES: Final[Key[int]] = Key(
    "kiteward.limits.unauthenticatedAddressBytes",
    _MEBIBYTES,
    _SETTINGS.byte_limits.unauthenticated_address,
    "memory for unauthenticated requests of one address",
)
UNAUTHENTICATED_BYTES: Final[Key[int]] = Key(
    "kiteward.limits.unauthenticatedBytes",
    _MEBIBYTES,
    _SETTINGS.byte_limits.unauthenticated,
    "memory for all unauthenticated requests",
)
USER_BYTES: Final[Key[int]] = Key(
    "kiteward.limits.userBytes", _MEBIBYTES, _SETTINGS.byte_limits.user, "memory for large messages of one user"
)
LOG_LEVEL: Final[Key[Level]] = Key(
    "kiteward.log.level", Choice(LEVELS), _SETTINGS.log_level, "minimum level of the server's own log messages"
)
METRICS_ENABLED: Final[Key[bool]] = Key(
    "kiteward.metrics.enabled",
    FLAG,
    _SETTINGS.metrics.enabled,
    "whether health and metrics are served, on their own port",
)
METRICS_HOST: Final[Key[str]] = Key(
    "kiteward.metrics.host", Text("address"), _SETTINGS.metrics.host, "address of that port"
)
METRICS_PORT: Final[Key[int | None]] = Key(
    "kiteward.metrics.port", _PORT, _SETTINGS.metrics.port, "the port; by default 9091", unset="9091"
)
PASSWORD_POLICY: Final[Key[str]] = Key(
    "kiteward.passwordPolicy", Choice(tuple(POLICIES)), _SETTINGS.passwords.name, "the policy for new passwords"
)
REPLICA_LEASE: Final[Key[int]] = Key(
    "kiteward.replicas.lease",
    Number("seconds", 1, 60),
    _SETTINGS.replicas.lease,
    "time without contact to a shared store after which a server refuses requests, and others go on without it",
)
REPLICA_NAME: Final[Key[str]] = Key(
    "kiteward.replicas.name", Text("name"), "", "name of this server among others; without it, that of the host"
)
UNKNOWN_PARAMETERS: Final[Key[UnknownParameters]] = Key(
    "kiteward.requests.unknownParameters",
    Choice(tuple(UnknownParameters)),
    _SETTINGS.admission.unknown_parameters,
    "what happens to unknown key-value parameters that speak of nothing protected",
)
CORS_ORIGINS: Final[Key[frozenset[str]]] = Key(
    "kiteward.rest.corsOrigins", Names("origins"), _SETTINGS.rest.cors_origins, "allowed CORS origins; * for all"
)
MAX_BODY_BYTES: Final[Key[int]] = Key(
    "kiteward.rest.maxBodyBytes",
    Number("bytes", 1024, LARGEST_BODY),
    _SETTINGS.rest.max_body,
    "maximum size of a REST body",
)
TRACING_ENDPOINT: Final[Key[str]] = Key(
    "kiteward.tracing.endpoint",
    Text("address"),
    _SETTINGS.tracing.endpoint,
    "OTLP/HTTP collector for traces; none turns tracing off",
)
TRACING_PERCENT: Final[Key[int]] = Key(
    "kiteward.tracing.percent",
    Number("0 to 100", 0, 100),
    _SETTINGS.tracing.percent,
    "share of requests that are traced, if the caller did not decide it",
)
WORKERS: Final[Key[int]] = Key(
    "kiteward.workers",
    Number("number", 1, _MOST_WORKERS),
    _SETTINGS.workers,
    "processes that serve the same port; more than one needs a remote engine and PostgreSQL for the store",
)
ALLOW_INT64: Final[Key[bool]] = Key(
    "proxy.http.acceptTypeAllowInt64", FLAG, _SETTINGS.rest.allow_int64, "whether 64-bit integers are JSON numbers"
)
REST_ENABLED: Final[Key[bool]] = Key("proxy.http.enabled", FLAG, _SETTINGS.rest.enabled, "whether REST is served")
REQUEST_TIMEOUT: Final[Key[int]] = Key(
    "proxy.http.requestTimeoutMs",
    Number("milliseconds", 1),
    int(_SETTINGS.rest.request_timeout * 1000),
    "default timeout of a REST request",
)
MAX_NAME: Final[Key[int]] = Key(
    "proxy.maxNameLength",
    Number("bytes", 1),
    _SETTINGS.naming.max_name,
    "maximum length of the name of a role, collection, alias or database",
)
MAX_PASSWORD: Final[Key[int]] = Key(
    "proxy.maxPasswordLength",
    Number("characters", 1),
    _SETTINGS.passwords.longest,
    "maximum length of a password, overriding the policy; bytes under `legacy`",
)
MAX_ROLE_DESCRIPTION: Final[Key[int]] = Key(
    "proxy.maxRoleDescriptionLength",
    Number("bytes", 0),
    _SETTINGS.naming.max_role_description,
    "maximum length of the description of a role",
)
MAX_ROLES: Final[Key[int]] = Key(
    "proxy.maxRoleNum", Number("number", 2), _SETTINGS.limits.roles, "maximum number of roles, including built-in ones"
)
MAX_USER_DESCRIPTION: Final[Key[int]] = Key(
    "proxy.maxUserDescriptionLength",
    Number("bytes", 0),
    _SETTINGS.naming.max_user_description,
    "maximum length of the description of a user",
)
MAX_USERS: Final[Key[int]] = Key(
    "proxy.maxUserNum", Number("number", 1), _SETTINGS.limits.users, "maximum number of users, including root"
)
MAX_USER_NAME: Final[Key[int]] = Key(
    "proxy.maxUsernameLength", Number("bytes", 1), _SETTINGS.naming.max_user_name, "maximum length of a user name"
)
MIN_PASSWORD: Final[Key[int]] = Key(
    "proxy.minPasswordLength",
    Number("characters", 1),
    _SETTINGS.passwords.shortest,
    "minimum length of a password, overriding the policy; bytes under `legacy`",
)
NAME_CHARACTERS: Final[Key[str]] = Key(
    "proxy.nameValidation.allowedChars",
    Text("characters"),
    _SETTINGS.naming.object_characters,
    "additional characters allowed in names",
)
PORT: Final[Key[int]] = Key("proxy.port", _PORT, _SETTINGS.port, "the port; 0 for one that the system chooses")
ROLE_NAME_CHARACTERS: Final[Key[str]] = Key(
    "proxy.roleNameValidation.allowedChars",
    Text("characters"),
    _SETTINGS.naming.role_characters,
    "additional characters allowed in role names",
)
TLS_CA: Final[Key[str]] = Key("tls.caPemPath", Text("path"), "", "CA that signs client certificates, in tlsMode 2")
TLS_KEY: Final[Key[str]] = Key("tls.serverKeyPath", Text("path"), "", "private key of the server, without a passphrase")
TLS_CERTIFICATE: Final[Key[str]] = Key(
    "tls.serverPemPath", Text("path"), "", "certificate of the server, with its chain"
)

KEYS: Final[tuple[Key[Any], ...]] = (
    AUTHORIZATION,
    DEFAULT_ROOT_PASSWORD_KEY,
    PUBLIC_SEEDS,
    ROOT_NEEDS_ROLES,
    SUPER_USERS,
    TLS_MODE,
    ALLOWED_HOSTS,
    API_KEY_EXPIRY,
    API_KEYS_PER_USER,
    AUDIT_DATA_OPERATIONS,
    AUDIT_DIRECTORY,
    AUDIT_ENABLED,
    AUDIT_KEEP_DAYS,
    export_keys.OTLP_ENDPOINT,
    export_keys.OTLP_HEADERS,
    export_keys.OTLP_HEADERS_FILE,
    export_keys.OTLP_TLS_CA,
    export_keys.OTLP_TLS_CERTIFICATE,
    export_keys.OTLP_TLS_KEY,
    export_keys.SYSLOG_ADDRESS,
    export_keys.SYSLOG_TLS_CA,
    export_keys.SYSLOG_TLS_CERTIFICATE,
    export_keys.SYSLOG_TLS_KEY,
    export_keys.SYSLOG_TLS_SERVER_NAME,
    console_keys.CONSOLE_ADDRESS,
    CONSOLE_ENABLED,
    console_keys.FACTOR_KEY,
    console_keys.FACTOR_KEY_FILE,
    CONSOLE_IDLE_TIMEOUT,
    console_keys.LOCAL_SIGN_IN,
    console_keys.PASSKEY_ORIGINS,
    console_keys.PASSKEY_RP_ID,
    console_keys.SECOND_FACTOR,
    CONSOLE_SESSION_LIFETIME,
    DATA_DIRECTORY,
    engine_keys.ENGINE_ADDRESS,
    engine_keys.CATALOG_MAXIMUM_AGE,
    engine_keys.CATALOG_REMOVE_VANISHED_GRANTS,
    engine_keys.CATALOG_VANISHED_AFTER,
    engine_keys.ENGINE_CONNECTIONS,
    engine_keys.FORWARDED_FIELDS,
    engine_keys.ENGINE_PASSWORD,
    engine_keys.ENGINE_PASSWORD_FILE,
    engine_keys.ENGINE_PROVIDERS,
    engine_keys.SYNC_MODE,
    engine_keys.ENGINE_TIMEOUT,
    engine_keys.ENGINE_TLS_CA,
    engine_keys.ENGINE_TLS_CERTIFICATE,
    engine_keys.ENGINE_TLS_KEY,
    engine_keys.ENGINE_TLS_SERVER_NAME,
    engine_keys.ENGINE_USER,
    HOST,
    ADDRESS_BYTES,
    AUTHENTICATED_BYTES,
    limit_keys.CONCURRENT_REQUESTS,
    limit_keys.ENGINE_REQUESTS,
    limit_keys.REPLICAS,
    limit_keys.REQUEST_BURST,
    limit_keys.REQUESTS_PER_SECOND,
    UNAUTHENTICATED_ADDRESS_BYTES,
    UNAUTHENTICATED_BYTES,
    USER_BYTES,
    LOG_LEVEL,
    METRICS_ENABLED,
    METRICS_HOST,
    METRICS_PORT,
    oidc_keys.OIDC,
    PASSWORD_POLICY,
    REPLICA_LEASE,
    REPLICA_NAME,
    UNKNOWN_PARAMETERS,
    CORS_ORIGINS,
    MAX_BODY_BYTES,
    scim_keys.SCIM_ENABLED,
    scim_keys.SCIM_ISSUER,
    scim_keys.SCIM_USER_PREFIX,
    scim_keys.SCIM_USER_REPLACE,
    store_keys.STORE_CONNECTIONS,
    store_keys.STORE_PASSWORD,
    store_keys.STORE_PASSWORD_FILE,
    store_keys.STORE_TIMEOUT,
    store_keys.STORE_URL,
    exchange_keys.KEYS_PER_SERVICE,
    exchange_keys.LIFETIME,
    exchange_keys.ROLES,
    TRACING_ENDPOINT,
    TRACING_PERCENT,
    WORKERS,
    ALLOW_INT64,
    REST_ENABLED,
    REQUEST_TIMEOUT,
    MAX_NAME,
    MAX_PASSWORD,
    MAX_ROLE_DESCRIPTION,
    MAX_ROLES,
    MAX_USER_DESCRIPTION,
    MAX_USERS,
    MAX_USER_NAME,
    MIN_PASSWORD,
    NAME_CHARACTERS,
    PORT,
    ROLE_NAME_CHARACTERS,
    TLS_CA,
    TLS_KEY,
    TLS_CERTIFICATE,
)
"""All keys, sorted by name."""
