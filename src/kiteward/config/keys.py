"""The table of settings: one row for each key that is read."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Key:
    """A setting.

    Attributes:
        name: the dotted key.
        kind: what it takes, in a word or two.
        help: what it sets.
        secret: whether its value is never shown.
    """

    name: str
    kind: str
    help: str
    secret: bool = False


KEYS: Final = (
    Key(
        "common.security.authorizationEnabled",
        "true or false",
        "whether authentication is required; false on loopback only",
    ),
    Key("common.security.defaultRootPassword", "text", "password of root at the first start", secret=True),
    Key("common.security.enablePublicPrivilege", "true or false", "whether every user may describe every collection"),
    Key("common.security.rootShouldBindRole", "true or false", "whether root needs roles like any user"),
    Key("common.security.superUsers", "names", "users who may change passwords without the old one"),
    Key("common.security.tlsMode", "0, 1 or 2", "0: no TLS; 1: server certificate; 2: client certificates too"),
    Key(
        "kiteward.allowedHosts",
        "host names",
        "host names for which HTTP is served, in addition to IP addresses and localhost; * for all",
    ),
    Key("kiteward.apiKeys.defaultExpiry", "seconds", "default lifetime of an API key"),
    Key("kiteward.apiKeys.maxPerUser", "number", "maximum number of API keys per user"),
    Key("kiteward.audit.dataOperations", "true or false", "whether allowed data operations are recorded"),
    Key("kiteward.audit.directory", "path", "directory of the audit trail; by default `audit` in the data directory"),
    Key("kiteward.audit.enabled", "true or false", "whether the audit trail is on"),
    Key("kiteward.audit.keepDays", "days", "days of uptime for which lines of the audit trail are kept; 0 for ever"),
    Key("kiteward.console.enabled", "true or false", "whether the console is served, at /console/"),
    Key("kiteward.console.idleTimeout", "seconds", "time after which an idle console session ends"),
    Key("kiteward.console.sessionLifetime", "seconds", "time after which any console session ends"),
    Key("kiteward.dataDir", "path", "the data directory"),
    Key("kiteward.engine.syncMode", "batch, close or none", "when a write is synced to disk"),
    Key("kiteward.host", "address", "address to listen on"),
    Key("kiteward.limits.addressBytes", "bytes", "memory for large messages and pending responses of one address"),
    Key("kiteward.limits.authenticatedBytes", "bytes", "memory for large messages and pending responses of all users"),
    Key(
        "kiteward.limits.unauthenticatedAddressBytes",
        "bytes",
        "memory for unauthenticated requests of one address",
    ),
    Key("kiteward.limits.unauthenticatedBytes", "bytes", "memory for all unauthenticated requests"),
    Key("kiteward.limits.userBytes", "bytes", "memory for large messages of one user"),
    Key("kiteward.log.level", "debug, info, warning or error", "minimum level of the server's own log messages"),
    Key("kiteward.metrics.enabled", "true or false", "whether health and metrics are served, on their own port"),
    Key("kiteward.metrics.host", "address", "address of that port"),
    Key("kiteward.metrics.port", "port", "the port; by default 9091"),
    Key("kiteward.passwordPolicy", "standard, legacy or strict", "the policy for new passwords"),
    Key("kiteward.rest.corsOrigins", "origins", "allowed CORS origins; * for all"),
    Key("kiteward.rest.maxBodyBytes", "bytes", "maximum size of a REST body"),
    Key("kiteward.tracing.endpoint", "address", "OTLP/HTTP collector for traces; none turns tracing off"),
    Key("kiteward.tracing.percent", "0 to 100", "share of requests that are traced, if the caller did not decide it"),
    Key("proxy.http.acceptTypeAllowInt64", "true or false", "whether 64-bit integers are JSON numbers"),
    Key("proxy.http.enabled", "true or false", "whether REST is served"),
    Key("proxy.http.requestTimeoutMs", "milliseconds", "default timeout of a REST request"),
    Key("proxy.maxNameLength", "bytes", "maximum length of the name of a role, collection, alias or database"),
    Key(
        "proxy.maxPasswordLength",
        "characters",
        "maximum length of a password, overriding the policy; bytes under `legacy`",
    ),
    Key("proxy.maxRoleDescriptionLength", "bytes", "maximum length of the description of a role"),
    Key("proxy.maxRoleNum", "number", "maximum number of roles, including built-in ones"),
    Key("proxy.maxUserDescriptionLength", "bytes", "maximum length of the description of a user"),
    Key("proxy.maxUserNum", "number", "maximum number of users, including root"),
    Key("proxy.maxUsernameLength", "bytes", "maximum length of a user name"),
    Key(
        "proxy.minPasswordLength",
        "characters",
        "minimum length of a password, overriding the policy; bytes under `legacy`",
    ),
    Key("proxy.nameValidation.allowedChars", "characters", "additional characters allowed in names"),
    Key("proxy.port", "port", "the port; 0 for one that the system chooses"),
    Key("proxy.roleNameValidation.allowedChars", "characters", "additional characters allowed in role names"),
    Key("tls.caPemPath", "path", "CA that signs client certificates, in tlsMode 2"),
    Key("tls.serverKeyPath", "path", "private key of the server, without a passphrase"),
    Key("tls.serverPemPath", "path", "certificate of the server, with its chain"),
)
