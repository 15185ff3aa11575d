"""What a servicer method learns of its call."""

import grpc


class CallContext:
    """What a servicer method may learn of its call and say about it, without gRPC."""

    __slots__ = ("_metadata", "code", "details")

    def __init__(self, metadata: tuple[tuple[str, str], ...]) -> None:
        self._metadata = metadata
        self.code: grpc.StatusCode | None = None
        self.details = ""

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        """Return the metadata that came with the call."""
        return self._metadata

    def set_code(self, code: grpc.StatusCode) -> None:
        """Refuse the call at the protocol level."""
        self.code = code

    def set_details(self, details: str) -> None:
        """Say why the call is refused."""
        self.details = details
