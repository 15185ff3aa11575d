"""The rows of settings about the store: a file in the data directory, or a PostgreSQL database.

The defaults are those of `PostgresqlSettings`; a row refers to them.
"""

from typing import Final

from kiteward.config.key import Key
from kiteward.config.kinds import Number, Text
from kiteward.store.postgresql.settings import CONNECTIONS, TIMEOUT

FILE: Final = "file"
"""How the audit trail names a store that is a file in the data directory."""

STORE_CONNECTIONS: Final[Key[int]] = Key(
    "kiteward.store.connections",
    Number("number", 1, 64),
    CONNECTIONS,
    "connections to PostgreSQL that read; one more writes",
)
STORE_PASSWORD: Final[Key[str]] = Key(
    "kiteward.store.password", Text("text"), "", "password of the user in PostgreSQL", secret=True
)
STORE_PASSWORD_FILE: Final[Key[str]] = Key(
    "kiteward.store.passwordFile", Text("path"), "", "instead: a file that holds that password"
)
STORE_TIMEOUT: Final[Key[int]] = Key(
    "kiteward.store.timeout",
    Number("seconds", 1, 300),
    int(TIMEOUT),
    "time within which PostgreSQL must respond to a statement",
)
STORE_URL: Final[Key[str]] = Key(
    "kiteward.store.url",
    Text("address"),
    "",
    "PostgreSQL for the store, as postgresql://user@host:5432/database?sslmode=verify-full, without a password",
    unset="a file in the data directory",
)
