"""What the store keeps of changes of the engine that are about to be requested, and whose grants are kept then."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class IntentKind(StrEnum):
    """A change of the engine that the store must follow."""

    DROP_COLLECTION = "drop_collection"
    RENAME_COLLECTION = "rename_collection"
    CREATE_COLLECTION = "create_collection"
    DROP_DATABASE = "drop_database"
    CHANGE_COLLECTION = "change_collection"
    """Of what a collection is, but not its name: nothing follows it. Other servers keep from writing meanwhile."""


@dataclass(frozen=True, slots=True)
class Claimant:
    """A user who drops or creates a collection: for whom grants on its name are kept (decision 0030).

    Attributes:
        user_name: the user.
        roles: the roles that the user acted with; only grants of these are kept.
    """

    user_name: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Released:
    """The roles that lost kept grants on a name, and those that still have some; both sorted."""

    lost: Sequence[str]
    kept: Sequence[str]


@dataclass(frozen=True, slots=True)
class Intent:
    """A change of the engine that is about to be requested.

    It is stored before the engine is called, so that grants and objects can be made consistent after a crash.

    Attributes:
        intent_id: set by the store.
        db_name, object_name: what is dropped, renamed or created; object_name is empty for a database.
        new_db_name, new_object_name: the new name of a renamed collection, else empty.
        claimant: who drops or creates a collection, where grants are kept for that user.
        object_id: the engine's id of what is dropped or renamed, where others can change it too; else 0.
    """

    kind: IntentKind
    db_name: str
    object_name: str = ""
    new_db_name: str = ""
    new_object_name: str = ""
    intent_id: int = 0
    claimant: Claimant | None = None
    object_id: int = 0

    @property
    def names(self) -> frozenset[tuple[str, str]]:
        """The databases and names that it is about; the name is empty for a whole database."""
        target = (self.new_db_name, self.new_object_name)
        return frozenset([(self.db_name, self.object_name), *([target] if self.new_object_name else [])])
