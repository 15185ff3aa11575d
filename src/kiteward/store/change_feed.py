"""What a transaction changes, as it will be announced."""

from kiteward.store.records import Change, Subject


class Changes:
    """What is not as it was, in the order it first changed."""

    def __init__(self) -> None:
        self._seen: dict[Change, None] = {}

    def add(self, subject: Subject, *names: str) -> None:
        """Note that these changed."""
        self._seen.update(dict.fromkeys(Change(subject, name) for name in names))

    def all(self) -> tuple[Change, ...]:
        """Return every change once."""
        return tuple(self._seen)
