"""Replaces the texts of a service's errors by those of another interface."""

import contextlib
from collections.abc import Callable, Iterator

from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import RequestRefused


@contextlib.contextmanager
def reworded(
    kind: type[RequestRefused],
    text: str | Callable[[RequestRefused], str],
    *,
    code: ErrorCode | None = None,
    instead: type[RequestRefused] | None = None,
) -> Iterator[None]:
    """Raise an error that occurs inside the block with another text.

    Args:
        kind: the class of error; errors of its subclasses are reworded too, others are not.
        text: the new text, or what returns it for the error.
        code: the code of the errors that are reworded; None for any.
        instead: the class of the new error; that of the error itself by default.
    """
    try:
        yield
    except kind as error:
        if code not in (None, error.code):
            raise
        told = text if isinstance(text, str) else text(error)
        raise (instead or type(error))(told, *error.details, field=error.field) from None
