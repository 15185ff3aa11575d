"""The call context of a servicer method, without gRPC."""

import grpc


class CallContext:
    """Gives a servicer method the metadata of its call, and takes the status that it sets."""

    __slots__ = ("_metadata", "code", "details")

    def __init__(self, metadata: tuple[tuple[str, str], ...]) -> None:
        self._metadata = metadata
        self.code: grpc.StatusCode | None = None
        self.details = ""

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        """Return the metadata that came with the call."""
        return self._metadata

    def set_code(self, code: grpc.StatusCode) -> None:
        """Set the gRPC status code with which the call is refused."""
        self.code = code

    def set_details(self, details: str) -> None:
        """Set the message of the gRPC status."""
        self.details = details
