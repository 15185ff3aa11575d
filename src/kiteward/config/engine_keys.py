"""The rows of settings about the engine: which it is, and how a remote one is called.

The defaults are those of `Settings`; a row refers to them.
"""

from typing import Final

from kiteward.config.key import Key
from kiteward.config.kinds import FLAG, Choice, Names, Number, Text
from kiteward.config.settings import Settings
from kiteward.engine.embedded.sync_mode import SYNC_MODES, SyncMode

EMBEDDED: Final = "embedded"
"""`kiteward.engine.address` of the embedded engine."""

_SETTINGS: Final = Settings()

ENGINE_ADDRESS: Final[Key[str]] = Key(
    "kiteward.engine.address",
    Text("address"),
    EMBEDDED,
    "the engine: `embedded`, or the address of a Milvus, `grpc://host:19530` or `grpcs://host:19530`",
)
CATALOG_MAXIMUM_AGE: Final[Key[int]] = Key(
    "kiteward.engine.catalog.maximumAge",
    Number("seconds", 1, 60),
    5,
    "how old the catalog of the remote engine may be: its databases, collections and aliases",
)
CATALOG_REMOVE_VANISHED_GRANTS: Final[Key[bool]] = Key(
    "kiteward.engine.catalog.removeVanishedGrants",
    FLAG,
    False,
    "whether grants on a collection are removed when it has vanished from the remote engine",
)
CATALOG_VANISHED_AFTER: Final[Key[int]] = Key(
    "kiteward.engine.catalog.vanishedAfter",
    Number("seconds", 5, 86_400),
    60,
    "time after which a collection that is absent from the remote engine has vanished",
)
ENGINE_CONNECTIONS: Final[Key[int]] = Key(
    "kiteward.engine.connections",
    Number("number", 1, 64),
    4,
    "maximum number of connections to the remote engine; more than one are made under load",
)
FORWARDED_FIELDS: Final[Key[frozenset[str]]] = Key(
    "kiteward.engine.forwardedFields",
    Names("fields"),
    frozenset(),
    "fields that the remote engine knows and this server does not, which are forwarded; as QueryRequest.27",
)
ENGINE_PASSWORD: Final[Key[str]] = Key(
    "kiteward.engine.password", Text("text"), "", "password of the service account in the remote engine", secret=True
)
ENGINE_PASSWORD_FILE: Final[Key[str]] = Key(
    "kiteward.engine.passwordFile", Text("path"), "", "instead: a file that holds that password"
)
ENGINE_PROVIDERS: Final[Key[frozenset[str]]] = Key(
    "kiteward.engine.providers",
    Names("providers"),
    frozenset(),
    "model providers that functions may make the remote engine call, each as openai, or with the address that requests "
    "may name, as tei=https://tei.example:8080",
)
SYNC_MODE: Final[Key[SyncMode]] = Key(
    "kiteward.engine.syncMode", Choice(SYNC_MODES), _SETTINGS.sync_mode, "when a write is synced to disk"
)
ENGINE_TIMEOUT: Final[Key[int]] = Key(
    "kiteward.engine.timeout",
    Number("seconds", 1, 86_400),
    300,
    "time within which the remote engine must respond to a call without a deadline",
)
ENGINE_TLS_CA: Final[Key[str]] = Key(
    "kiteward.engine.tls.ca",
    Text("path"),
    "",
    "CA that signs the certificate of the remote engine",
    unset="those of the system",
)
ENGINE_TLS_CERTIFICATE: Final[Key[str]] = Key(
    "kiteward.engine.tls.certificate", Text("path"), "", "client certificate for the remote engine, with its chain"
)
ENGINE_TLS_KEY: Final[Key[str]] = Key(
    "kiteward.engine.tls.key", Text("path"), "", "private key of that certificate, without a passphrase"
)
ENGINE_TLS_SERVER_NAME: Final[Key[str]] = Key(
    "kiteward.engine.tls.serverName",
    Text("name"),
    "",
    "name for which the certificate of the remote engine must be",
    unset="the host of the address",
)
ENGINE_USER: Final[Key[str]] = Key(
    "kiteward.engine.user", Text("name"), "", "service account: the user as which the remote engine is called"
)
