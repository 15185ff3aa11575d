"""The settings of the REST service."""

import re
from dataclasses import dataclass
from typing import Final

from kiteward.domain.errors import ConfigurationError
from kiteward.milvus.limits import MAX_MESSAGE_BYTES
from kiteward.net.budget import MEBIBYTE

LARGEST_BODY: Final = MAX_MESSAGE_BYTES
"""The largest configurable body, in bytes."""

ANY_ORIGIN: Final = "*"
_ORIGIN: Final = re.compile(r"https?://[^/\s?#@*]+")


@dataclass(frozen=True, slots=True)
class RestSettings:
    """The settings of the REST service.

    Attributes:
        enabled: whether the service is enabled, `proxy.http.enabled`.
        request_timeout: seconds that a request may take unless its caller asks otherwise,
            `proxy.http.requestTimeoutMs`.
        allow_int64: whether 64-bit integers are JSON numbers unless the caller asks otherwise,
            `proxy.http.acceptTypeAllowInt64`.
        max_body: bytes of the largest body, `kiteward.rest.maxBodyBytes`. The default is the limit of Milvus for a gRPC
            message.
        cors_origins: origins whose pages may send requests, `kiteward.rest.corsOrigins`; `*` stands for every origin.

    Raises:
        ConfigurationError: one of the origins is invalid.
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
