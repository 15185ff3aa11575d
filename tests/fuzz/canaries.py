"""Names: those of the callers' own, those hidden from them, and the mark by which a hidden one is known."""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from tests.access.equivalence import random_values

MARK: Final = "canary"
"""Part of every name, description and row that callers must not see."""

MARKED: Final = re.compile(rb"canary[A-Za-z0-9_]*")

OWN: Final = "own_docs"
"""The one collection of the caller who has rights, in `default`."""

OWN_ALIAS: Final = "own_alias"
CONTENT: Final = "canary_content"
"""What the engine returns about objects that are not the caller's own."""

HIDDEN: Final = ("canary_plans", "canary_wages")
HIDDEN_ALIASES: Final = ("canary_alias", "canary_pseudonym")
HIDDEN_DATABASES: Final = ("canary_one", "canary_two", "canary_empty")
USERS: Final = tuple(f"canary_user_{number}" for number in range(1, 7))
ROLES: Final = tuple(f"canary_role_{number}" for number in range(1, 7))
KEY_IDS: Final = tuple(f"id-of-key-{number}" for number in range(6))
"""Represent, in requests, the ids of the API keys that were created first; the server chooses new ones in each run."""

GROUPS: Final = ("canary_group_1", "canary_group_2")

RENAMED: Final[Mapping[str, str]] = {
    **dict(zip(random_values.COLLECTIONS, (OWN, *HIDDEN), strict=True)),
    **dict(zip(("a1", "a2"), HIDDEN_ALIASES, strict=True)),
    **dict(zip(("db1", "db2", random_values.EMPTY_DATABASE), HIDDEN_DATABASES, strict=True)),
    **dict(zip(random_values.USERS, USERS, strict=True)),
    **dict(zip(random_values.ROLES, ROLES, strict=True)),
    **dict(zip(random_values.GROUPS, GROUPS, strict=True)),
    random_values.BARE_ROLE: "canary_bare",
}
"""The names that requests are drawn with, and what they are called here."""

COLLECTIONS: Final = (OWN, OWN, OWN_ALIAS, *HIDDEN, *HIDDEN_ALIASES)
DATABASES: Final = ("default", "default", "default", *HIDDEN_DATABASES)
"""The callers' own is drawn as often as all others."""

NAMES: Final = (
    *COLLECTIONS,
    *DATABASES,
    *USERS[:2],
    *ROLES[:2],
    *GROUPS,
    *("", "*", "missing", "root", "admin", "public", "reader", f" {HIDDEN[0]} ", HIDDEN[0].upper(), f"{OWN}\x00"),
    *("canary_one.canary_plans", "default.canary_plans", "_default", "id", "vector"),
)


def renamed(value: Any) -> Any:
    """Return a JSON value with the names that are used here."""
    if isinstance(value, str):
        return RENAMED.get(value, value)
    if isinstance(value, dict):
        return {name: renamed(each) for name, each in value.items()}
    return [renamed(each) for each in value] if isinstance(value, list) else value


def rename(message: Any) -> None:
    """Put the names that are used here into a protobuf message."""
    for field, value in message.ListFields():
        repeated = _repeated(field)
        if field.message_type is not None:
            if not field.message_type.GetOptions().map_entry:
                for each in value if repeated else (value,):
                    rename(each)
        elif field.type == field.TYPE_STRING:
            if repeated:
                value[:] = [RENAMED.get(each, each) for each in value]
            else:
                setattr(message, field.name, RENAMED.get(value, value))


def _repeated(field: Any) -> bool:
    return bool(field.is_repeated)


def leaked(text: bytes, *, said: bytes, own: Collection[str]) -> str:
    """Return the first marked word of an answer that its caller has neither said nor written before, or nothing.

    In a message the next tag may follow like a letter: what was written before is looked for inside of `own`, and
    without its last letter too.
    """
    if MARK.encode() not in text:
        return ""
    words = (word.decode() for word in MARKED.findall(text) if word not in said)
    return next((word for word in words if not any(word in each or word[:-1] in each for each in own)), "")


def body(document: Any) -> bytes:
    """Return a JSON body as bytes; what is bytes already stays."""
    return document if isinstance(document, bytes) else json.dumps(document).encode()
