"""`Settings`: the configuration of a server."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from kiteward.api.console.settings import ConsoleSettings
from kiteward.api.health_settings import HealthSettings
from kiteward.api.rest.settings import RestSettings
from kiteward.audit.settings import AuditSettings
from kiteward.authn.oidc.issuers import Issuer
from kiteward.authn.password_policy import POLICIES, PasswordPolicy
from kiteward.domain.identity import DEFAULT_ROOT_PASSWORD, Secret
from kiteward.domain.naming import NamingRules
from kiteward.domain.request_limits import RequestLimits
from kiteward.engine.embedded.sync_mode import SyncMode
from kiteward.engine.upstream import RemoteEngineSettings
from kiteward.gateway.admission import Admission
from kiteward.gateway.replicas.settings import ReplicaSettings
from kiteward.iam.scim.settings import ScimSettings
from kiteward.iam.settings import ExchangeRules, KeyRules, Limits
from kiteward.net.budget import ByteLimits
from kiteward.net.hosts import AllowedHosts
from kiteward.net.tls import TlsSettings
from kiteward.store.postgresql.settings import PostgresqlSettings
from kiteward.telemetry import logs
from kiteward.telemetry.telemetry import TracingSettings


@dataclass(frozen=True, slots=True)
class Settings:
    """The configuration of a server. The default of each field is that of its key.

    Attributes:
        host: address to listen on; `kiteward.host`.
        port: `proxy.port`; 0 lets the system choose.
        hosts: host names that HTTP requests may carry, `kiteward.allowedHosts`.
        data_dir: the data directory, `kiteward.dataDir`.
        default_root_password: password of `root` at the first start, `common.security.defaultRootPassword`;
            `KITEWARD_ROOT_PASSWORD` and the content of `KITEWARD_ROOT_PASSWORD_FILE` override it. Not used later.
            None: `root` has no password, until one is set.
        authorization: whether callers must sign in, `common.security.authorizationEnabled`; false on loopback only.
        root_bypass: whether `root` needs no roles; not `common.security.rootShouldBindRole`.
        seed_public: whether `public` gets Milvus' seed grants at each start, `common.security.enablePublicPrivilege`.
        super_users: callers who may change a password without the old one, `common.security.superUsers`.
        naming: `proxy.maxUsernameLength`, `maxNameLength`, `maxUserDescriptionLength`, `maxRoleDescriptionLength`,
            `proxy.nameValidation.allowedChars`, `proxy.roleNameValidation.allowedChars`.
        limits: `proxy.maxUserNum`, `proxy.maxRoleNum`.
        key_rules: `kiteward.apiKeys.maxPerUser` and `defaultExpiry`.
        scim: `kiteward.scim.enabled`, `issuer`, `userPrefix` and `userReplace`.
        exchange_rules: `kiteward.tokenExchange.roles`, `maxLifetime` and `maxKeysPerService`.
        passwords: `kiteward.passwordPolicy`, overridden by `proxy.minPasswordLength` and `proxy.maxPasswordLength`.
        engine: the remote engine, `kiteward.engine.address`, `tls`, `user`, `password`, `passwordFile` and `timeout`;
            None for the embedded one.
        sync_mode: when the embedded engine syncs its write-ahead log, `kiteward.engine.syncMode`.
        log_level: the lowest level at which Kiteward's own lines are logged, `kiteward.log.level`.
        metrics: the port of `/healthz` and `/metrics`, `kiteward.metrics.enabled`, `host` and `port`.
        audit: the audit trail, `kiteward.audit.enabled`, `dataOperations`, `keepDays`, `directory`, and where it is
            sent, `kiteward.audit.syslog` and `kiteward.audit.otlp`.
        rest: `proxy.http.enabled`, `requestTimeoutMs` and `acceptTypeAllowInt64`, `kiteward.rest.maxBodyBytes` and
            `corsOrigins`.
        console: `kiteward.console.address`, `enabled`, `idleTimeout`, `localSignIn`, `sessionLifetime`, `secondFactor`,
            `factorKey`, `factorKeyFile` and `passkeys`.
        tls: `common.security.tlsMode` with `tls.serverPemPath`, `serverKeyPath` and `caPemPath`; None without TLS.
        store: the PostgreSQL database of the store, `kiteward.store.url`, `password`, `passwordFile`, `connections` and
            `timeout`; None for a file in the data directory.
        byte_limits: how many bytes are held for clients, `kiteward.limits.unauthenticatedBytes`,
            `unauthenticatedAddressBytes`, `authenticatedBytes`, `addressBytes` and `userBytes`.
        request_limits: limits of the requests of each user that has no others, `kiteward.limits.requestsPerSecond`,
            `requestBurst` and `concurrentRequests`.
        engine_requests: how many reads, and how many writes, are worked on at once, `kiteward.limits.engineRequests`; 0
            for no limit.
        limit_replicas: among how many servers limits of requests are divided, `kiteward.limits.replicas`.
        tracing: where traces are sent, `kiteward.tracing.endpoint` and `percent`.
        replicas: this server among others on the same store, `kiteward.replicas.name` and `lease`.
        workers: among how many processes requests are divided, `kiteward.workers`; more than one only with a remote
            engine and a store in PostgreSQL.
        admission: what passes that is refused otherwise, `kiteward.engine.forwardedFields` and `providers`, and
            `kiteward.requests.unknownParameters`.
        issuers: the identity providers whose tokens are accepted, `kiteward.oidc`.
    """

    host: str = "127.0.0.1"
    port: int = 19530
    hosts: AllowedHosts = field(default_factory=AllowedHosts)
    data_dir: Path = Path("data")
    default_root_password: Secret | None = field(default_factory=lambda: Secret(DEFAULT_ROOT_PASSWORD))
    authorization: bool = True
    root_bypass: bool = True
    seed_public: bool = False
    super_users: frozenset[str] = frozenset()
    naming: NamingRules = field(default_factory=NamingRules)
    limits: Limits = field(default_factory=Limits)
    key_rules: KeyRules = field(default_factory=KeyRules)
    scim: ScimSettings = field(default_factory=ScimSettings)
    exchange_rules: ExchangeRules = field(default_factory=ExchangeRules)
    passwords: PasswordPolicy = POLICIES["standard"]
    engine: RemoteEngineSettings | None = None
    sync_mode: SyncMode = "batch"
    log_level: logs.Level = "info"
    metrics: HealthSettings = field(default_factory=HealthSettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    rest: RestSettings = field(default_factory=RestSettings)
    console: ConsoleSettings = field(default_factory=ConsoleSettings)
    tls: TlsSettings | None = None
    store: PostgresqlSettings | None = None
    byte_limits: ByteLimits = field(default_factory=ByteLimits)
    request_limits: RequestLimits = field(default_factory=RequestLimits)
    engine_requests: int = field(default_factory=lambda: min(4, max(2, os.cpu_count() or 1)))
    limit_replicas: int = 1
    tracing: TracingSettings = field(default_factory=TracingSettings)
    replicas: ReplicaSettings = field(default_factory=ReplicaSettings)
    workers: int = 1
    admission: Admission = field(default_factory=Admission)
    issuers: tuple[Issuer, ...] = ()
