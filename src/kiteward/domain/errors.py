"""All exceptions of the package. A class names a fact; each API maps the classes to its codes in one table.

An error has a message in English, codes with parameters (`error_codes.py`), and `field`, the argument at fault.

KitewardError
├── AuthenticationError              the caller is not authenticated
│   ├── CredentialMissing            no credential was presented
│   ├── CredentialMalformed          what was presented cannot be read
│   │   └── CredentialTooLong        it has more bytes than are read
│   ├── PasswordRejected             unknown user or wrong password, deliberately one fact
│   ├── KeyRejected                  a credential without a colon that no verifier accepts
│   │   └── TokenRejected            a token of an identity provider that is not accepted
│   └── SessionEnded                 a session of the console that has ended, or never was
├── AccessDenied                     the caller is authenticated and lacks the privilege
├── OperationRefused                 an operation that Kiteward closes on purpose
├── OperationUnknown                 no such operation
├── PayloadMalformed                 the request is not a message of its type
├── RequestRefused                   the request is readable and wrong
│   ├── InvalidArgument              a value breaks a rule
│   │   └── FilterSyntaxError        a filter cannot be read
│   ├── InvalidGroupName             a privilege group name breaks a rule
│   ├── InvalidGrant                 a grant, binding or group change whose parts do not fit together
│   ├── NotFound                     a named thing does not exist
│   │   ├── UserNotFound             the user does not exist
│   │   └── RoleNotFound             the role does not exist
│   ├── AlreadyExists                a named thing exists already
│   ├── InUse                        an object that others hold cannot be deleted
│   ├── AliasConflict                an alias is named where only a collection can be, or blocks a drop
│   ├── LimitReached                 a configured limit would be exceeded
│   ├── OldPasswordWrong             a password change without the right old password
│   ├── FactorRejected               a second factor that is wrong, was used before or must wait
│   ├── ProtectedObject              the root user and built-in roles cannot be changed or deleted
│   ├── DatabaseNotFound             the database does not exist or is not visible
│   ├── DatabaseNameInvalid          a database name breaks a rule
│   ├── FieldNameInvalid             a field name breaks a rule
│   ├── CollectionNotFound           the collection does not exist or is not visible
│   └── ResponseFailed               the response to a request reports a failure
├── EngineError                      the engine did not respond as requested
│   ├── EngineUnavailable            it cannot be reached now
│   │   └── EngineAccountRejected    it does not accept the service account
│   ├── EngineDeadlineExceeded       it did not respond in time
│   ├── EngineLacksOperation         it does not implement the operation
│   ├── EngineAccessDenied           it does not allow the operation to the service account
│   ├── EngineRejected               it refused at the protocol level
│   └── EngineResponseUnreadable     its response is no message of the protocol
├── StoreError                       the store cannot execute an operation
│   ├── StoreUnavailable             it cannot be read or written
│   │   ├── StoreUnreachable         it may be again in a while, without a change of the configuration
│   │   └── CommitUnknown            it is not known whether a change was made
│   └── DataDirectoryHeld            another server holds the data directory
├── AuditUnavailable                 the request cannot be recorded now, so it is refused
├── CapacityExceeded                 a limit on memory or concurrency is reached, for all callers or for this one
│   └── RequestsLimited              the caller has made as many requests as its limits allow
├── ConfigurationError               the settings contradict each other or are unsafe
└── NotReady                         no policy snapshot yet
    └── LeaseOver                    it may be out of date: the store did not respond for too long
"""

from typing import ClassVar, Final

from kiteward.domain.error_codes import ErrorCode, ErrorDetail


class KitewardError(Exception):
    """Base of every error this package raises on purpose. The message is safe to show: no secrets, no driver text.

    Attributes:
        default_code: the code of errors of this class that are raised without details.
        details: everything that is wrong, at least one.
        field: the argument at fault, in the request's spelling (`userName`); empty where there is none, or several.
        others: what else is wrong with the request, as far as `Faults` has collected it.
    """

    default_code: ClassVar[ErrorCode] = ErrorCode.INTERNAL

    def __init__(self, message: str = "", *details: ErrorDetail, field: str = "") -> None:
        super().__init__(message)
        self.details = details or (ErrorDetail(self.default_code),)
        self.field = field
        self.others: tuple[KitewardError, ...] = ()

    @property
    def code(self) -> ErrorCode:
        """The code of the first detail."""
        return self.details[0].code


class AuthenticationError(KitewardError):
    """The caller is not authenticated. `reason` says why, to operators; the message, for clients, reveals less."""

    default_code = ErrorCode.UNAUTHENTICATED

    def __init__(self, message: str, *details: ErrorDetail, field: str = "", reason: str = "") -> None:
        super().__init__(message, *details, field=field)
        self.reason = reason


class CredentialMissing(AuthenticationError):
    """No credential was presented."""


class CredentialMalformed(AuthenticationError):
    """What was presented as a credential cannot be read."""


class CredentialTooLong(CredentialMalformed):
    """What was presented as a credential has more bytes than are read. The message names both numbers."""


class PasswordRejected(AuthenticationError):
    """Unknown user or wrong password: deliberately one fact, so that neither text nor type reveals which."""


class KeyRejected(AuthenticationError):
    """A presented credential without a colon, which no verifier accepts."""


class TokenRejected(KeyRejected):
    """A token of an identity provider that is not accepted. The message says why: the caller has it and can read it."""


class SessionEnded(AuthenticationError):
    """A session of the console that has ended, or never was: deliberately one fact."""


class AccessDenied(KitewardError):
    """The caller is authenticated and lacks the privilege. The message names privilege, user and database."""

    default_code = ErrorCode.ACCESS_DENIED
    reason = ""  # the rule in full, for operators, where the message does not say it all


class OperationRefused(KitewardError):
    """An operation that Kiteward closes on purpose, whoever calls."""

    default_code = ErrorCode.OPERATION_NOT_OFFERED


class OperationUnknown(KitewardError):
    """No such operation."""

    default_code = ErrorCode.OPERATION_NOT_OFFERED


class PayloadMalformed(KitewardError):
    """The request bytes are not a message of the operation's type."""

    default_code = ErrorCode.PAYLOAD_MALFORMED


class RequestRefused(KitewardError):
    """The request is readable and wrong; the message says what would be right."""

    default_code = ErrorCode.REQUEST_REFUSED


class InvalidArgument(RequestRefused):
    """A value breaks a rule."""

    default_code = ErrorCode.INVALID_ARGUMENT


class FilterSyntaxError(InvalidArgument):
    """A filter cannot be read, or not taken. `position` is the offset of the character at fault; 0 if there is none."""

    def __init__(self, message: str = "", *details: ErrorDetail, field: str = "", position: int = 0) -> None:
        super().__init__(message, *details, field=field)
        self.position = position


class InvalidGroupName(RequestRefused):
    """A privilege group name breaks a rule."""

    default_code = ErrorCode.INVALID_ARGUMENT


class InvalidGrant(RequestRefused):
    """A grant, role binding or privilege group change whose parts do not fit together."""

    default_code = ErrorCode.INVALID_GRANT


class NotFound(RequestRefused):
    """A named user, role, privilege or privilege group does not exist."""

    default_code = ErrorCode.NOT_FOUND


class UserNotFound(NotFound):
    """The named user does not exist."""


class RoleNotFound(NotFound):
    """The named role does not exist."""


class AlreadyExists(RequestRefused):
    """A named user, role or privilege group exists already."""

    default_code = ErrorCode.ALREADY_EXISTS


class InUse(RequestRefused):
    """A role or privilege group that others hold cannot be deleted."""

    default_code = ErrorCode.IN_USE


class AliasConflict(RequestRefused):
    """An alias is named where only the collection itself can be, or refers to a collection that is to be dropped."""

    default_code = ErrorCode.ALIAS_CONFLICT


class LimitReached(RequestRefused):
    """A configured limit would be exceeded."""

    default_code = ErrorCode.LIMIT_REACHED


class OldPasswordWrong(RequestRefused):
    """A change without the right password, or for an unknown user: one fact. `reason` says why, to operators."""

    default_code = ErrorCode.OLD_PASSWORD_WRONG

    def __init__(self, message: str, *details: ErrorDetail, field: str = "oldPassword", reason: str = "") -> None:
        super().__init__(message, *details, field=field)
        self.reason = reason


class FactorRejected(RequestRefused):
    """A second factor that is wrong, was used before or must wait: one fact. `reason` says why, to operators."""

    default_code = ErrorCode.FACTOR_REJECTED

    def __init__(self, message: str, *details: ErrorDetail, field: str = "code", reason: str = "") -> None:
        super().__init__(message, *details, field=field)
        self.reason = reason


class ProtectedObject(RequestRefused):
    """The root user and the built-in roles cannot be changed or deleted."""

    default_code = ErrorCode.PROTECTED_OBJECT


class DatabaseNotFound(RequestRefused):
    """The database does not exist, or is not visible to the principal. Its code needs the name, so it is no default."""


class DatabaseNameInvalid(RequestRefused):
    """A database name breaks a rule."""

    default_code = ErrorCode.INVALID_ARGUMENT


class FieldNameInvalid(RequestRefused):
    """A field name breaks a rule."""

    default_code = ErrorCode.INVALID_ARGUMENT


class CollectionNotFound(RequestRefused):
    """The collection does not exist, or is not visible to the principal."""

    default_code = ErrorCode.COLLECTION_NOT_FOUND


class ResponseFailed(RequestRefused):
    """The response to a request reports a failure with this `Status.code`; the message is the reason that it gives."""

    UNEXPECTED: Final = 65535  # where a response reports a failure by the older `error_code` alone (contract 5.1)

    def __init__(self, message: str, *details: ErrorDetail, field: str = "", status: int = UNEXPECTED) -> None:
        super().__init__(message, *details, field=field)
        self.status = status


class EngineError(KitewardError):
    """The engine did not respond as requested."""

    default_code = ErrorCode.ENGINE_UNAVAILABLE


class EngineUnavailable(EngineError):
    """The engine cannot be reached now; the same call may succeed later."""


class EngineAccountRejected(EngineUnavailable):
    """A remote engine does not accept the service account, so that no call can succeed until that is corrected."""

    default_code = ErrorCode.ENGINE_ACCOUNT_REJECTED


class EngineDeadlineExceeded(EngineError):
    """The engine did not respond before the deadline. Whether it executed the request is unknown."""

    default_code = ErrorCode.ENGINE_DEADLINE_EXCEEDED


class EngineLacksOperation(EngineError):
    """The engine does not implement the operation."""

    default_code = ErrorCode.OPERATION_NOT_OFFERED


class EngineAccessDenied(EngineError):
    """A remote engine does not allow the operation to the service account. The caller was allowed to make it here."""

    default_code = ErrorCode.ENGINE_REJECTED


class EngineRejected(EngineError):
    """The engine refused at the protocol level, for example because it could not parse the request.

    Attributes:
        grpc_code: the number of the gRPC status that callers get: its own, or 3, INVALID_ARGUMENT.
    """

    default_code = ErrorCode.ENGINE_REJECTED

    def __init__(self, message: str = "", *details: ErrorDetail, field: str = "", grpc_code: int = 3) -> None:
        super().__init__(message, *details, field=field)
        self.grpc_code = grpc_code


class EngineResponseUnreadable(EngineError):
    """The engine's response is no message of the protocol. Whether it executed the request is unknown."""

    default_code = ErrorCode.ENGINE_RESPONSE_UNREADABLE


class StoreError(KitewardError):
    """The store cannot execute an operation."""

    default_code = ErrorCode.STORE_UNAVAILABLE


class StoreUnavailable(StoreError):
    """The store cannot be read or written now."""


class StoreUnreachable(StoreUnavailable):
    """The store cannot be read or written now, and may be in a while without a change of the configuration."""


class CommitUnknown(StoreUnavailable):
    """A change was being committed, and it is not known whether it was made. Whoever repeats it has to look first."""

    default_code = ErrorCode.STORE_COMMIT_UNKNOWN


class DataDirectoryHeld(StoreError):
    """Another server holds the data directory."""


class AuditUnavailable(KitewardError):
    """The request cannot be recorded in the audit trail now, so it is refused."""

    default_code = ErrorCode.AUDIT_UNAVAILABLE


class CapacityExceeded(KitewardError):
    """A limit on memory or concurrency is reached, for all callers or for this one; nothing was changed."""

    default_code = ErrorCode.CAPACITY_EXCEEDED


class RequestsLimited(CapacityExceeded):
    """The caller has made as many requests as its limits allow; nothing was done.

    Attributes:
        kind: which limit is reached: `rate` or `concurrent`.
        retry_after: seconds after which the same request can succeed.
    """

    def __init__(
        self, message: str = "", *details: ErrorDetail, field: str = "", kind: str = "rate", retry_after: float = 1.0
    ) -> None:
        super().__init__(message, *details, field=field)
        self.kind = kind
        self.retry_after = retry_after


class ConfigurationError(KitewardError):
    """The settings contradict each other or are unsafe; the message says how to fix them."""


class NotReady(KitewardError):
    """There is no policy snapshot yet, so nothing can be decided."""

    default_code = ErrorCode.NOT_READY


class LeaseOver(NotReady):
    """This server shares its store with others, which has not responded for so long that nothing can be decided."""

    default_code = ErrorCode.LEASE_OVER
