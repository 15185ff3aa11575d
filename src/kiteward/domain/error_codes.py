"""What an error reports to programs: a stable code, and the values that a sentence about it contains.

A code is part of what REST promises (`reason`), and the key of a sentence in every language of the console.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum, auto


class ErrorCode(StrEnum):
    """What is wrong, or a broken rule; in explanations also what allows. Values are stable: clients depend on them."""

    # One for each class of errors, where there is no more precise code.
    INTERNAL = auto()
    UNAUTHENTICATED = auto()
    ACCESS_DENIED = auto()
    OPERATION_NOT_OFFERED = auto()
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
    FACTOR_REJECTED = auto()
    PROTECTED_OBJECT = auto()
    COLLECTION_NOT_FOUND = auto()
    ROW_NOT_FOUND = auto()
    ENGINE_UNAVAILABLE = auto()
    ENGINE_DEADLINE_EXCEEDED = auto()
    ENGINE_REJECTED = auto()
    STORE_UNAVAILABLE = auto()
    AUDIT_UNAVAILABLE = auto()
    CAPACITY_EXCEEDED = auto()
    NOT_READY = auto()
    LEASE_OVER = auto()

    # Credentials.
    CREDENTIAL_TOO_LONG = auto()

    # Access.
    PRIVILEGE_MISSING = auto()
    ADMINISTRATOR_NEEDED = auto()
    ONE_TIME_PASSWORD = auto()
    SECOND_FACTOR_DUE = auto()
    ENROLMENT_DUE = auto()
    CONSOLE_SESSION_NEEDED = auto()
    LARGE_REQUEST_DENIED = auto()
    ROW_POLICIES_ALL_ROWS = auto()
    ROW_POLICIES_IDS_NOT_VISIBLE = auto()
    ROW_POLICIES_READ_CONTENT = auto()
    ROW_POLICIES_READ_FIELD = auto()

    # Row policies: what is written.
    COLUMN_MISSING = auto()
    COLUMN_UNCHECKABLE = auto()
    ROW_KEY_TAKEN = auto()
    ROW_KEY_TWICE = auto()
    ROW_NOT_REPLACEABLE = auto()
    ROW_POLICY_ABSENT = auto()
    ROW_STORED_TWICE = auto()
    ROW_VIOLATES_POLICY = auto()
    ROWS_NOT_LOADED = auto()

    # Fields and parameters of requests.
    FIELD_UNKNOWN = auto()
    FIELD_NOT_ACCEPTED = auto()
    PROVIDER_ADDRESS_NOT_LISTED = auto()
    PROVIDER_KEY_IN_REQUEST = auto()
    PROVIDER_NOT_LISTED = auto()
    VALUE_UNKNOWN = auto()
    PARAMETER_NOT_ACCEPTED = auto()

    # Operations.
    OPERATION_CLOSED = auto()
    OPERATION_UNKNOWN = auto()
    OPERATION_OBSOLETE = auto()
    OPERATION_REMOVED = auto()
    OPERATION_STREAMING = auto()
    CLIENT_TELEMETRY_CLOSED = auto()
    EXACTLY_ONE_ARGUMENT = auto()
    FILTER_INVALID = auto()
    PAGE_SIZE_OUT_OF_RANGE = auto()

    # Databases, the engine and the store.
    DATABASE_NOT_FOUND = auto()
    ENGINE_ABSENT = auto()
    ENGINE_ACCESS_DENIED = auto()
    ENGINE_ACCOUNT_REJECTED = auto()
    ENGINE_BUSY = auto()
    ENGINE_CATALOG_CHANGING = auto()
    ENGINE_CATALOG_OLD = auto()
    ENGINE_CATALOG_UNREAD = auto()
    ENGINE_FAILED = auto()
    ENGINE_LACKS_OPERATION = auto()
    ENGINE_MESSAGE_TOO_LARGE = auto()
    ENGINE_NOT_STARTED = auto()
    ENGINE_REQUEST_UNREADABLE = auto()
    ENGINE_RESPONSE_FAILED = auto()
    ENGINE_RESPONSE_UNREADABLE = auto()
    ENGINE_RESTARTING = auto()
    STORE_BUSY = auto()
    STORE_COMMIT_UNKNOWN = auto()
    STORE_DAMAGED = auto()
    REPLICA_NEEDS_CLUSTER = auto()
    SERVERS_NOT_LISTED = auto()
    STORE_READ_ONLY = auto()
    STORE_UNREACHABLE = auto()

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
    SESSIONS_OF_PROVIDER = auto()
    SESSION_NEEDS_PASSWORD = auto()
    LOCAL_SIGN_IN_ADMINISTRATORS = auto()
    LOCAL_SIGN_IN_CLOSED = auto()
    LOCAL_SIGN_IN_LOOPBACK = auto()

    # Signing in through an identity provider.
    SIGN_IN_ANSWER_UNUSABLE = auto()
    SIGN_IN_BUSY = auto()
    SIGN_IN_CODE_SPENT = auto()
    SIGN_IN_DENIED = auto()
    SIGN_IN_ENDED_THERE = auto()
    SIGN_IN_MISCONFIGURED = auto()
    SIGN_IN_NOT_BEGUN = auto()
    SIGN_IN_PROVIDER_UNAVAILABLE = auto()
    SIGN_IN_PROVIDER_UNKNOWN = auto()
    SIGN_IN_UNFINISHED = auto()
    TOKEN_SIGN_IN = auto()

    # SCIM.
    SCIM_DISABLED = auto()
    SCIM_FILTER_INVALID = auto()
    SCIM_MANAGED_ALREADY = auto()
    SCIM_NAME_TAKEN = auto()
    SCIM_NO_TARGET = auto()
    SCIM_NOT_MANAGED = auto()
    SCIM_PATH_INVALID = auto()
    SCIM_READ_ONLY = auto()
    SCIM_RESOURCE_NOT_FOUND = auto()
    SCIM_SYNTAX_INVALID = auto()
    SCIM_USER_PROTECTED = auto()
    SCIM_VALUE_INVALID = auto()
    SCIM_VERSION_DIFFERS = auto()

    # Second factors.
    APP_CODE_WRONG = auto()
    APP_NOT_STARTED = auto()
    APPS_NOT_CONFIGURED = auto()
    FACTOR_LABEL_INVALID = auto()
    FACTOR_NEEDED = auto()
    FACTOR_NOT_FOUND = auto()
    FACTORS_LIMIT = auto()
    OWN_FACTORS = auto()
    PASSKEY_REFUSED = auto()
    PASSKEYS_NOT_CONFIGURED = auto()

    # Roles and grants.
    ROLE_NOT_FOUND = auto()
    ROLE_EXISTS = auto()
    ROLES_LIMIT = auto()
    ROLE_BUILT_IN = auto()
    ROLE_HAS_GRANTS = auto()
    ADMIN_ROLE_COPIED = auto()
    ROLE_IN_ROW_POLICIES = auto()
    PRIVILEGE_UNKNOWN = auto()
    GRANTS_LIMIT = auto()
    LOOKUPS_LIMIT = auto()
    GRANT_GIVEN_AND_TAKEN = auto()
    POLICY_DELETIONS = auto()
    POLICY_PLAN_OUTDATED = auto()
    GRANT_CLUSTER_LEVEL = auto()
    GRANT_DATABASE_LEVEL = auto()
    GRANT_COLLECTION_LEVEL = auto()
    GRANT_OF_BUILT_IN_GROUP = auto()
    GRANT_OF_CUSTOM_GROUP = auto()
    OBJECT_TYPE_UNKNOWN = auto()
    OBJECT_TYPE_OF_REVOCATION = auto()
    OBJECT_TYPE_MISMATCH = auto()

    # Privilege groups.
    GROUP_NOT_FOUND = auto()
    GROUP_EXISTS = auto()
    GROUP_NAME_RESERVED = auto()
    GROUP_IN_USE = auto()
    GROUP_EMPTY = auto()
    GROUP_LEVELS = auto()

    # Row policies and tags.
    ROW_POLICY_NOT_FOUND = auto()
    ROW_POLICY_EXISTS = auto()
    ROW_POLICIES_LIMIT = auto()
    ROW_POLICY_WITHOUT_ACTION = auto()
    ROW_POLICY_ACTION_UNKNOWN = auto()
    ROW_POLICY_TYPE_UNKNOWN = auto()
    ROW_POLICY_EXPRESSION_MISSING = auto()
    ROW_POLICY_EXPRESSION_UNUSED = auto()
    ROW_POLICY_EXPRESSION_TOO_LONG = auto()
    ROW_POLICY_FIELD_UNKNOWN = auto()
    ROW_POLICY_FIELD_TYPE = auto()
    ROW_POLICY_FIELD_NULLABLE = auto()
    ROW_POLICY_OPERATOR_ARRAY = auto()
    ROW_POLICY_OPERATOR_SCALAR = auto()
    ROW_POLICY_LITERAL_TYPE = auto()
    ROW_POLICY_LITERAL_RANGE = auto()
    ROW_POLICY_VARIABLE_TYPE = auto()
    ROW_POLICY_FIELDS_COMPARED = auto()
    ROW_POLICY_FIELD_GENERATED = auto()
    ROW_POLICIES_NOT_ENFORCED = auto()
    ROW_POLICIES_HIDE_ALL = auto()
    ROW_POLICIES_HIDE_FROM_ALL = auto()
    ROW_POLICIES_SHARED_ENGINE = auto()
    PREVIEW_KEYS_LIMIT = auto()
    PRIMARY_KEY_NOT_INTEGER = auto()
    RLS_PROPERTY_UNKNOWN = auto()
    RLS_PROPERTY_VALUE = auto()
    RLS_PROPERTY_TWICE = auto()
    RLS_PROPERTY_IN_SCHEMA = auto()
    RLS_PROPERTY_DIFFERS = auto()
    TAG_KEY_LENGTH = auto()
    TAG_KEY_CHARACTER = auto()
    TAG_VALUE_LENGTH = auto()
    TAG_VALUE_CHARACTER = auto()
    TAGS_LIMIT = auto()
    TAGS_MISSING = auto()
    TAGS_OF_ONESELF = auto()

    # Limits of requests.
    REQUESTS_RATE_LIMIT = auto()
    REQUESTS_CONCURRENT_LIMIT = auto()
    LIMITS_MISSING = auto()
    LIMITS_HOLDER = auto()
    LIMIT_OUT_OF_RANGE = auto()
    LIMIT_BURST_WITHOUT_RATE = auto()

    # API keys.
    API_KEY_NOT_FOUND = auto()
    API_KEYS_LIMIT = auto()
    LIFETIME_OUT_OF_RANGE = auto()
    ROLE_NOT_HELD = auto()
    NETWORKS_LIMIT = auto()
    NETWORK_INVALID = auto()
    LIMITED_KEY = auto()
    LIMITED_KEY_DESCENDANTS = auto()
    LIMITED_KEY_OWNER = auto()
    KEY_EXPIRES_LATER = auto()
    KEY_ROLES_EXCEEDED = auto()
    KEY_NETWORKS_EXCEEDED = auto()

    # Token exchange.
    EXCHANGE_CLOSED = auto()
    EXCHANGE_SERVICE_BLOCKED = auto()
    EXCHANGE_SUBJECT_REJECTED = auto()
    EXCHANGE_SUBJECT_UNUSABLE = auto()
    EXCHANGE_TOKEN_TYPE = auto()
    EXCHANGE_ROLE_NOT_HANDED_OUT = auto()
    EXCHANGE_WITHOUT_ROLE = auto()
    EXCHANGE_TAG_NOT_HELD = auto()
    EXCHANGE_TOO_LATE = auto()
    EXCHANGED_KEYS_LIMIT = auto()
    EXCHANGED_KEY_LIMITED = auto()

    # Tokens of identity providers, and whom they sign in.
    TOKEN_MALFORMED = auto()
    TOKEN_TOO_LONG = auto()
    TOKEN_CRITICAL_HEADER = auto()
    TOKEN_ALGORITHM = auto()
    TOKEN_KIND = auto()
    TOKEN_ISSUER_UNKNOWN = auto()
    TOKEN_KEY_UNKNOWN = auto()
    TOKEN_KEYS_UNAVAILABLE = auto()
    TOKEN_SIGNATURE = auto()
    TOKEN_EXPIRED = auto()
    TOKEN_NOT_YET_VALID = auto()
    TOKEN_AUDIENCE = auto()
    TOKEN_PARTY = auto()
    TOKEN_CLAIM_MISSING = auto()
    TOKEN_CLAIM_VALUE = auto()
    TOKEN_GROUPS_LIMIT = auto()
    TOKEN_USER_NAME = auto()
    TOKEN_CUT_OFF = auto()
    TOKEN_AUTHENTICATION_OLD = auto()
    IDENTITY_NOT_INVITED = auto()
    IDENTITY_NAME_TAKEN = auto()
    IDENTITY_NOT_FOUND = auto()
    IDENTITY_SUBJECT_TAKEN = auto()
    IDENTITY_NAME_PREFIX = auto()
    IDENTITY_HAS_NO_PASSWORD = auto()
    ISSUER_NOT_CONFIGURED = auto()
    CUT_OFF_OUT_OF_RANGE = auto()
    GROUP_PATTERN_INVALID = auto()

    # Explanations: what allows, and what blocks a user or an API key.
    ALLOWED_TO_ROOT = auto()
    ALLOWED_TO_ADMINISTRATORS = auto()
    ALLOWED_TO_EVERY_USER = auto()
    ALLOWED_BY_ROLES = auto()
    USER_DISABLED = auto()
    USER_LOCKED = auto()
    API_KEY_DISABLED = auto()
    API_KEY_EXPIRED = auto()
    API_KEY_DESCENDS = auto()

    # Lists, and changes of many at once.
    SORT_UNKNOWN = auto()
    STATE_UNKNOWN = auto()
    OFFSET_OUT_OF_RANGE = auto()
    AFTER_UNORDERED = auto()
    CHANGE_UNKNOWN = auto()
    NAMES_LIMIT = auto()
    CHANGED_ALONE = auto()

    # Explanations and the audit trail.
    DID_YOU_MEAN = auto()
    AUDIT_DISABLED = auto()
    AUDIT_LINE_NOT_FOUND = auto()
    AUDIT_FILTER_UNKNOWN = auto()
    AUDIT_PERIOD_EMPTY = auto()
    AUDIT_DETAILS_LIMIT = auto()
    AUDIT_END_UNRECORDED = auto()
    AUDIT_NOT_WRITABLE = auto()
    AUDIT_KIND_NOT_SHARED = auto()


@dataclass(frozen=True, slots=True)
class ErrorDetail:
    """One thing that is wrong; in an explanation, one reason of a decision.

    Attributes:
        code: what is wrong.
        parameters: names, limits and numbers for a sentence about it, never prose: sentences are in many languages;
            never a secret, and nothing that is not in the message.
        quoted: what the engine, or the reader of filters, says about it, in English. It is shown apart from the
            sentence, as a quotation; empty where the sentence is complete.
    """

    code: ErrorCode
    parameters: Mapping[str, str | int] = field(default_factory=dict)
    quoted: str = ""
