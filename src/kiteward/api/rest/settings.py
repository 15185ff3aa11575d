"""What can be set about the REST door."""

import re
from dataclasses import dataclass
from typing import Final

from kiteward.domain.errors import ConfigurationError
from kiteward.milvus.messages import MAX_MESSAGE_BYTES
from kiteward.net.budget import MEBIBYTE

LARGEST_BODY: Final = MAX_MESSAGE_BYTES
"""Bytes."""

ANY_ORIGIN: Final = "*"
_ORIGIN: Final = re.compile(r"https?://[^/\s?#@*]+")


@dataclass(frozen=True, slots=True)
class RestSettings:
    """Limits and switches of the REST door.

    Attributes:
        enabled: whether it is offered at all, `proxy.http.enabled`.
        request_timeout: seconds a request may take unless its caller asks otherwise, `proxy.http.requestTimeoutMs`.
        allow_int64: whether 64-bit integers are JSON numbers unless the caller asks otherwise,
            `proxy.http.acceptTypeAllowInt64`.
        max_body: bytes of the largest body, `kiteward.rest.maxBodyBytes`. The default is as large as a message that
            Milvus takes over gRPC.
        cors_origins: origins whose pages are let in, `kiteward.rest.corsOrigins`; `*` stands for every origin.

    Raises:
        ConfigurationError: an origin is none.
    """

    enabled: bool = True
    request_timeout: float = 30.0
    allow_int64: bool = True
    max_body: int = 64 * MEBIBYTE
    cors_origins: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for origin in self.cors_origins:
            if origin != ANY_ORIGIN and not _ORIGIN.fullmatch(origin):
                raise ConfigurationError(
                    "kiteward.rest.corsOrigins takes `*` and origins such as `https://app.example:8443`, "
                    "without a path or a slash at the end"
                )
