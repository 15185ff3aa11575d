"""What an error reports to programs: a stable code, and the values that a sentence about it contains.

A code is part of what REST promises (`reason`), and the key of a sentence in every language of the console.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum, auto


class ErrorCode(StrEnum):
    """What is wrong, or a broken rule. Values are stable, because clients and translations depend on them."""

    # One for each class of errors, where there is no more precise code.
    INTERNAL = auto()
    UNAUTHENTICATED = auto()
    ACCESS_DENIED = auto()
    OPERATION_NOT_OFFERED = auto()
    OPERATION_UNKNOWN = auto()
    PAYLOAD_MALFORMED = auto()
    REQUEST_REFUSED = auto()
    INVALID_ARGUMENT = auto()
    ARGUMENT_MISSING = auto()
    INVALID_GRANT = auto()
    NOT_FOUND = auto()
    ALREADY_EXISTS = auto()
    IN_USE = auto()
    ALIAS_CONFLICT = auto()
    LIMIT_REACHED = auto()
    OLD_PASSWORD_WRONG = auto()
    PROTECTED_OBJECT = auto()
    DATABASE_NOT_FOUND = auto()
    COLLECTION_NOT_FOUND = auto()
    ENGINE_UNAVAILABLE = auto()
    ENGINE_DEADLINE_EXCEEDED = auto()
    ENGINE_REJECTED = auto()
    STORE_UNAVAILABLE = auto()
    AUDIT_UNAVAILABLE = auto()
    CAPACITY_EXCEEDED = auto()
    NOT_READY = auto()

    # Access.
    PRIVILEGE_MISSING = auto()
    ADMINISTRATOR_NEEDED = auto()

    # Names and descriptions.
    NAME_EMPTY = auto()
    NAME_TOO_LONG = auto()
    NAME_FIRST_LETTER = auto()
    NAME_FIRST_CHARACTER = auto()
    NAME_CHARACTER = auto()
    DESCRIPTION_TOO_LONG = auto()

    # Passwords.
    PASSWORD_LENGTH = auto()
    PASSWORD_LENGTH_IN_BYTES = auto()
    PASSWORD_CLASSES = auto()
    PASSWORD_GUESSED_FIRST = auto()
    PASSWORD_SERVICE_WORDS = auto()
    PASSWORD_USER_NAME = auto()
    PASSWORD_IN_A_ROW = auto()
    PASSWORD_UNCHANGED = auto()
    GRACE_PERIOD_OUT_OF_RANGE = auto()

    # Users and sessions.
    USER_NOT_FOUND = auto()
    USER_EXISTS = auto()
    USERS_LIMIT = auto()
    ROOT_NOT_DELETABLE = auto()
    LAST_ADMINISTRATOR = auto()
    SESSION_NOT_FOUND = auto()
    SESSIONS_LIMIT = auto()

    # Roles and grants.
    ROLE_NOT_FOUND = auto()
    ROLE_EXISTS = auto()
    ROLES_LIMIT = auto()
    ROLE_BUILT_IN = auto()
    PRIVILEGE_UNKNOWN = auto()
    GRANTS_LIMIT = auto()
    GRANT_GIVEN_AND_TAKEN = auto()
    GRANT_CLUSTER_LEVEL = auto()
    GRANT_DATABASE_LEVEL = auto()
    GRANT_COLLECTION_LEVEL = auto()

    # Privilege groups.
    GROUP_NOT_FOUND = auto()
    GROUP_EXISTS = auto()
    GROUP_NAME_RESERVED = auto()
    GROUP_IN_USE = auto()
    GROUP_EMPTY = auto()
    GROUP_LEVELS = auto()

    # API keys.
    API_KEY_NOT_FOUND = auto()
    API_KEYS_LIMIT = auto()
    LIFETIME_OUT_OF_RANGE = auto()
    ROLE_NOT_HELD = auto()
    NETWORKS_LIMIT = auto()
    NETWORK_INVALID = auto()

    # Explanations and the audit trail.
    DID_YOU_MEAN = auto()
    AUDIT_DISABLED = auto()
    AUDIT_LINE_NOT_FOUND = auto()
    AUDIT_FILTER_UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class ErrorDetail:
    """One thing that is wrong.

    Attributes:
        code: what is wrong.
        parameters: values for a sentence about it; never a secret, and nothing that is not in the message.
    """

    code: ErrorCode
    parameters: Mapping[str, str | int] = field(default_factory=dict)
