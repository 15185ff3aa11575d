"""The changes of a transaction, as the change feed will hold them."""

from kiteward.store.records import Change, Subject


class Changes:
    """Collects what a transaction changes, in the order of the first change."""

    def __init__(self) -> None:
        self._seen: dict[Change, None] = {}

    def add(self, subject: Subject, *names: str) -> None:
        """Add changes."""
        self._seen.update(dict.fromkeys(Change(subject, name) for name in names))

    def all(self) -> tuple[Change, ...]:
        """Return every change once."""
        return tuple(self._seen)
