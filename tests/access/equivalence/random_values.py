"""Random values: a handful of names, so that calls meet, and the same choice spelled for either transport."""

import base64
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from tests.support.gateway import PASSWORD, ROOT_PASSWORD

from kiteward.authz.privileges import BUILT_IN_GROUPS, LEGACY_GROUP_TYPES, PRIVILEGES, ObjectType

DATABASES: Final = ("default", "db1", "db2")
EMPTY_DATABASE: Final = "empty"
COLLECTIONS: Final = ("c1", "c2", "c3")
ALIASES: Final = {"default": {"a1": "c1"}, "db1": {"a1": "c2", "a2": "c1"}, "db2": {"a2": "c3"}}
"""The engine's objects at the start and after each restocking; other databases have the same alias for another one."""

REFUSED: Final = "refused"
OLD_WORDS: Final = "old_words"
LACKING: Final = "lacking"
AWAY: Final = "away"
LATE: Final = "late"
TROUBLES: Final = (REFUSED, OLD_WORDS, LACKING, AWAY, LATE)
"""Collections with which the engine fails, each in its own way (see `stock`)."""

UNLUCKY: Final = "unlucky"
"""Not there to begin with; once created, the engine refuses all else about it."""

UNINDEXED: Final = "c2"
"""The engine reports that this collection has no index, with a code of its own."""

USERS: Final = ("u1", "u2", "u3", "u4", "u5", "u6")
ROLES: Final = ("r1", "r2", "r3", "r4", "r5", "r6")
BARE_ROLE: Final = "bare"
"""Nobody grants it anything to begin with, so that it can be dropped."""

GROUPS: Final = ("g1", "g2")
PLAIN_USERS: Final = ("root", "adm", "nobody")
PASSWORDS: Final = (PASSWORD, "Other:Pass-2", "Pässwörd-3")
_OTHER_PASSWORDS: Final = {"root": ROOT_PASSWORD, "u2": PASSWORDS[1], "u3": PASSWORDS[2]}
PARTITIONS: Final = ("p1", "p2", "1st")
INDEXES: Final = ("vector", "other")

_SPECIAL_COLLECTIONS: Final = ("a1", "a2", "n1", "missing", "1st", "a-b", "größe", "*", " c1 ", "C1")
_SPECIAL_DATABASES: Final = (EMPTY_DATABASE, "missing", "*", "a-b", "DB1")
_BROAD: Final = (
    ("ClusterReadOnly", "*", "*"),
    ("ClusterReadWrite", "*", "*"),
    ("ClusterAdmin", "*", "*"),
    ("DatabaseReadOnly", "db1", "*"),
    ("DatabaseAdmin", "db1", "*"),
    ("DatabaseAdmin", "default", "*"),
    ("DatabaseAdmin", "db2", "*"),
    ("CollectionReadOnly", "db1", "c1"),
    ("CollectionReadWrite", "default", "*"),
    ("CollectionAdmin", "db1", "*"),
    ("CollectionAdmin", "*", "*"),
    ("CollectionAdmin", "db2", "*"),
)
_BY_TYPE: Final = {
    kind: (
        "*",
        *(name for name, each in PRIVILEGES.items() if each.object_type is kind),
        *(name for name, each in LEGACY_GROUP_TYPES.items() if each is kind),
    )
    for kind in ObjectType
}
_EVERY_NAME: Final = (*PRIVILEGES, *BUILT_IN_GROUPS, *LEGACY_GROUP_TYPES, *GROUPS, "All", "*", "NoSuchPrivilege", "a-b")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, in the form of either transport.

    Attributes:
        name: for the report.
        rest: value of the `Authorization` header, None sends none.
        grpc: value of the `authorization` metadata, None sends none.
    """

    name: str
    rest: bytes | None
    grpc: str | None


@dataclass(frozen=True, slots=True)
class Database:
    """The database, in the form of either transport; the same one whatever the spelling.

    Attributes:
        body: members of the REST body.
        header: value of `DB-Name`, None sends none.
        field: `db_name` of the request message, and
        metadata: `dbname` of the connection, None sends none.
        resolved: what both mean; empty for none.
    """

    body: dict[str, Any]
    header: str | None
    field: str
    metadata: str | None
    resolved: str


class Draw:
    """Draws from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def of(self, choices: Sequence[T]) -> T:
        return self.random.choice(choices)

    def some(self, choices: Sequence[T], most: int = 3) -> list[T]:
        """Return a few of them, none twice."""
        return self.random.sample(choices, self.random.randint(1, min(most, len(choices))))

    def number(self, most: int = 9) -> int:
        return self.random.randint(1, most)

    def collection(self) -> str:
        if self.chance(0.75):
            return self.of(COLLECTIONS)
        return self.of((*_SPECIAL_COLLECTIONS, "a1", "a2", *TROUBLES, *TROUBLES))

    def new_collection(self) -> str:
        return self.of(("n1", "n2", "n3", "n4", UNLUCKY, UNLUCKY, *COLLECTIONS, "a1", "1st"))

    def alias(self) -> str:
        return self.of(("a1", "a1", "a2", "a2", "a3", "c1", "missing", "a-b"))

    def database_name(self) -> str:
        return self.of(DATABASES) if self.chance(0.93) else self.of(_SPECIAL_DATABASES)

    def user(self) -> str:
        return self.of(USERS) if self.chance(0.7) else self.of((*PLAIN_USERS, "new1", "new2", "1st", "größe", "u" * 40))

    def role(self) -> str:
        if self.chance(0.6):
            return self.of(ROLES)
        return self.of((BARE_ROLE, BARE_ROLE, "new1", "new2", "new3", "admin", "public", "1st", "a-b", " r1 ", "*"))

    def group(self) -> str:
        return self.of((*GROUPS, *GROUPS, "new1", "new2", "1st", "ClusterAdmin", "a-b"))

    def privilege(self) -> str:
        return self.of(_EVERY_NAME)

    def grant_v1(self) -> tuple[str, str, str, str]:
        """Return a privilege, an object type, an object and a database; most fit one another."""
        kind = self.of(tuple(ObjectType))
        objects = {
            ObjectType.COLLECTION: (*COLLECTIONS, "*", "a1"),
            ObjectType.GLOBAL: ("*",),
            ObjectType.USER: (*USERS, "*", "root"),
        }
        privilege = self.of((*_BY_TYPE[kind], "All")) if self.chance(0.9) else self.privilege()
        return privilege, kind.value, self.of(objects[kind]), self.of((*DATABASES, "db1", "*"))

    def grant_v2(self) -> tuple[str, str, str]:
        """Return a privilege or group, a database and a collection; many fit one another."""
        if self.chance(0.6):
            return self.of(_BROAD)
        return self.privilege(), self.of((*DATABASES, "*")), self.of((*COLLECTIONS, "*", "*", "a1"))

    def caller(self) -> Caller:
        if self.chance(0.08):
            return self._unauthenticated()
        name = self.of((*USERS, *USERS, *PLAIN_USERS, "root", "adm"))
        password = usual_password(name) if self.chance(0.93) else self.of((*PASSWORDS, "wrong"))
        text = f"{name}:{password}"
        spelled = self.of((f"Bearer {text}", f"Bearer {text}", f"Basic {_base64(text)}", text))
        return Caller(f"{name} ({password})", spelled.encode(), _base64(text))

    def _unauthenticated(self) -> Caller:
        """Return a caller whom nobody knows, or who says nothing that can be read."""
        return self.of(
            (
                Caller("no credential", None, None),
                Caller("a key", b"Bearer 0123456789abcdef", _base64("0123456789abcdef")),
                Caller("a user without a password", b"Bearer root:", _base64("root:")),
                Caller("a password without a user", b"Bearer :Milvus", _base64(":Milvus")),
                Caller("an unknown user", b"Bearer ghost:Milvus", _base64("ghost:Milvus")),
                Caller("a value that is not base64", b"Basic %%%%", "%%%%"),
                Caller("nothing at all", b"Bearer ", ""),
                Caller("another spelling of root", b"Bearer Root:Milvus", _base64("Root:Milvus")),
            )
        )

    def database(self, *, header_counts: bool = True, named: str | None = None) -> Database:
        """Return a database.

        Args:
            header_counts: whether `DB-Name` counts where the body names none.
            named: given where the request is about the database itself.
        """
        if named is not None:
            metadata = self.of((None, "db1", "missing"))
            return Database({"dbName": named}, self.of((None, "db2", "missing")), named, metadata, named)
        in_body = self.of(("", self.database_name()))
        header = self.of((None, self.database_name()))
        unnamed: Sequence[dict[str, Any]] = ({}, {}, {"dbName": ""}, {"dbName": None})
        body = {"dbName": in_body} if in_body else self.of(unnamed)
        resolved = in_body or (header or "" if header_counts else "")
        if resolved and self.chance(0.5):
            return Database(body, header, resolved, self.of((None, "db2", "missing")), resolved)
        return Database(body, header, "", resolved or self.of((None, "")), resolved)


def usual_password(user: str) -> str:
    """Return the password a user has to begin with: some hold a colon, or letters beyond ASCII."""
    return _OTHER_PASSWORDS.get(user, PASSWORD)


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
