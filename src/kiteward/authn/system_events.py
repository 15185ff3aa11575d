"""What records changes that the server makes on its own."""

from typing import Any, Protocol

from kiteward.audit.events import Event
from kiteward.store.transaction import Transaction


class SystemEventRecorder(Protocol):
    """Records what the server does on its own; the gateway's recorder implements it."""

    def note_system_event(self, event: Event, operation: str, **details: Any) -> None:
        """Record it."""
        ...

    def note_followed(self, operation: str, **details: Any) -> None:
        """Record how the store has followed a change of the catalog, whole: the details are bounded already."""
        ...

    async def store_system_event(self, transaction: Transaction, event: Event, operation: str, **details: Any) -> None:
        """Store it in the transaction of the change, where replicas share the store.

        Raises:
            StoreUnavailable: it could not be written.
        """
        ...
