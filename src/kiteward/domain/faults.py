"""Everything that is wrong with one request, where its arguments can be checked one by one."""

from types import TracebackType

from kiteward.domain.errors import RequestRefused


class Faults:
    """Collects refusals: each block `with faults:` may raise one, and the next block is run all the same."""

    def __init__(self) -> None:
        self._found: list[RequestRefused] = []

    def __enter__(self) -> None:
        """Begin a check."""

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> bool:
        """End a check, and keep its refusal; any other error is raised."""
        if isinstance(error, RequestRefused):
            self._found.append(error)
            return True
        return False

    def require_none(self) -> None:
        """Raise the first refusal, which has the others, if there is any."""
        if self._found:
            first, *others = self._found
            first.others = tuple(others)
            raise first
