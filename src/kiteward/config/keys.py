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
        "common.security.authorizationEnabled", "true or false", "whether callers must sign in; false on loopback only"
    ),
    Key("common.security.defaultRootPassword", "text", "password of root at the first start", secret=True),
    Key("common.security.enablePublicPrivilege", "true or false", "whether every user may describe every collection"),
    Key("common.security.rootShouldBindRole", "true or false", "whether root needs roles like everybody"),
    Key("common.security.superUsers", "names", "users who change passwords without the old one"),
    Key("common.security.tlsMode", "0, 1 or 2", "TLS: none; of the server; of clients too"),
    Key(
        "kiteward.allowedHosts",
        "host names",
        "names that HTTP is served under beside IP addresses and localhost; * for all",
    ),
    Key("kiteward.apiKeys.defaultExpiry", "seconds", "how long an API key holds unless its creator says otherwise"),
    Key("kiteward.apiKeys.maxPerUser", "number", "API keys a user may have"),
    Key("kiteward.audit.dataOperations", "true or false", "whether data operations that were allowed are recorded"),
    Key("kiteward.audit.directory", "path", "where the audit trail is; without it `audit` in the data directory"),
    Key("kiteward.audit.enabled", "true or false", "whether there is an audit trail"),
    Key("kiteward.audit.keepDays", "days", "days of uptime that a line of the audit trail is kept; 0 for ever"),
    Key("kiteward.console.enabled", "true or false", "whether there is a console, below /console/"),
    Key("kiteward.console.idleTimeout", "seconds", "after which a session of the console ends that nobody uses"),
    Key("kiteward.console.sessionLifetime", "seconds", "after which a session of the console ends in any case"),
    Key("kiteward.dataDir", "path", "where everything is kept"),
    Key("kiteward.engine.syncMode", "batch, close or none", "when a write is on disk"),
    Key("kiteward.host", "address", "address to listen on"),
    Key("kiteward.limits.addressBytes", "bytes", "large messages and waiting answers that are held for one address"),
    Key(
        "kiteward.limits.authenticatedBytes", "bytes", "large messages and waiting answers that are held for all users"
    ),
    Key(
        "kiteward.limits.unauthenticatedAddressBytes",
        "bytes",
        "requests that are held for one address before their callers are known",
    ),
    Key(
        "kiteward.limits.unauthenticatedBytes", "bytes", "requests that are held for all before their callers are known"
    ),
    Key("kiteward.limits.userBytes", "bytes", "large messages that are held for one user"),
    Key("kiteward.log.level", "debug, info, warning or error", "from which level on the server's own lines are logged"),
    Key("kiteward.metrics.enabled", "true or false", "whether there is a port for health and metrics"),
    Key("kiteward.metrics.host", "address", "where that port listens"),
    Key("kiteward.metrics.port", "port", "which port it is; without it 9091"),
    Key("kiteward.passwordPolicy", "standard, legacy or strict", "which passwords may be chosen"),
    Key("kiteward.rest.corsOrigins", "origins", "whose pages are let in; * for all"),
    Key("kiteward.rest.maxBodyBytes", "bytes", "the largest body of a REST request"),
    Key("kiteward.tracing.endpoint", "address", "OTLP/HTTP collector that traces are sent to; none turns them off"),
    Key("kiteward.tracing.percent", "0 to 100", "requests that are traced where their callers do not say"),
    Key("proxy.http.acceptTypeAllowInt64", "true or false", "whether 64-bit integers are JSON numbers"),
    Key("proxy.http.enabled", "true or false", "whether REST is offered"),
    Key("proxy.http.requestTimeoutMs", "milliseconds", "how long a REST request may take"),
    Key("proxy.maxNameLength", "bytes", "longest name of a role, collection, alias or database"),
    Key("proxy.maxPasswordLength", "characters", "longest password, over the policy; bytes under `legacy`"),
    Key("proxy.maxRoleDescriptionLength", "bytes", "longest description of a role"),
    Key("proxy.maxRoleNum", "number", "roles, built-in ones included"),
    Key("proxy.maxUserDescriptionLength", "bytes", "longest description of a user"),
    Key("proxy.maxUserNum", "number", "users, root included"),
    Key("proxy.maxUsernameLength", "bytes", "longest user name"),
    Key("proxy.minPasswordLength", "characters", "shortest password, over the policy; bytes under `legacy`"),
    Key("proxy.nameValidation.allowedChars", "characters", "further characters in names"),
    Key("proxy.port", "port", "the port; 0 lets the system choose"),
    Key("proxy.roleNameValidation.allowedChars", "characters", "further characters in role names"),
    Key("tls.caPemPath", "path", "who signs for clients, in tlsMode 2"),
    Key("tls.serverKeyPath", "path", "the server's private key, without a password"),
    Key("tls.serverPemPath", "path", "the server's certificate, with its chain"),
)
