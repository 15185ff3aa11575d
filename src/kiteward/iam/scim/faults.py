"""The errors of SCIM requests. The API translates their codes to the `scimType` and status of RFC 7644, 3.12."""

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AlreadyExists, InvalidArgument, NotFound


def invalid_filter(what: str) -> InvalidArgument:
    """Return the error of a filter that cannot be read, or compares what cannot be compared."""
    return InvalidArgument(f"filter: {what}", ErrorDetail(ErrorCode.SCIM_FILTER_INVALID), field="filter")


def invalid_path(what: str) -> InvalidArgument:
    """Return the error of a path of a PATCH that names nothing."""
    return InvalidArgument(f"path: {what}", ErrorDetail(ErrorCode.SCIM_PATH_INVALID), field="path")


def no_target(what: str) -> InvalidArgument:
    """Return the error of a PATCH whose path selects nothing."""
    return InvalidArgument(what, ErrorDetail(ErrorCode.SCIM_NO_TARGET), field="path")


def invalid_syntax(what: str) -> InvalidArgument:
    """Return the error of a body that is not what its operation takes."""
    return InvalidArgument(what, ErrorDetail(ErrorCode.SCIM_SYNTAX_INVALID))


def invalid_value(attribute: str, what: str) -> InvalidArgument:
    """Return the error of a value that its attribute does not take; the message never contains the value."""
    return InvalidArgument(f"`{attribute}` {what}", ErrorDetail(ErrorCode.SCIM_VALUE_INVALID), field=attribute)


def not_changeable(attribute: str, what: str) -> InvalidArgument:
    """Return the error of a change of what cannot be changed so."""
    return InvalidArgument(f"`{attribute}` {what}", ErrorDetail(ErrorCode.SCIM_READ_ONLY), field=attribute)


def name_taken(what: str) -> AlreadyExists:
    """Return the error of a `userName` that cannot be given, because a user has it or its name in Kiteward."""
    return AlreadyExists(what, ErrorDetail(ErrorCode.SCIM_NAME_TAKEN), field="userName")


def version_differs() -> InvalidArgument:
    """Return the error of a change under the condition of a version that is no longer the present one."""
    return InvalidArgument(
        "the resource has changed since the version in If-Match: read it again",
        ErrorDetail(ErrorCode.SCIM_VERSION_DIFFERS),
    )


def not_found(kind: str, resource_id: str) -> NotFound:
    """Return the error of a resource that does not exist, or that SCIM does not manage."""
    return NotFound(f"there is no {kind} with the id {resource_id}", ErrorDetail(ErrorCode.SCIM_RESOURCE_NOT_FOUND))
