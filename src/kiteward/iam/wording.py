"""Replaces the texts of a service's errors by those of another interface."""

import contextlib
from collections.abc import Iterator

from kiteward.domain.errors import RequestRefused


@contextlib.contextmanager
def reworded(kind: type[RequestRefused], text: str, *, instead: type[RequestRefused] | None = None) -> Iterator[None]:
    """Raise an error that occurs inside the block with another text.

    Args:
        kind: the class of error; errors of its subclasses are reworded too, others are not.

        text: the new text.
        instead: the class of the new error; that of the error itself by default.
    """
    try:
        yield
    except kind as error:
        raise (instead or type(error))(text, *error.details, field=error.field) from None
