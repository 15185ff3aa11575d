"""The rows of the settings that limit the requests of every user."""

from typing import Final

from kiteward.config.key import Key
from kiteward.config.kinds import Number
from kiteward.domain.request_limits import HIGHEST_RATE, MOST_AT_ONCE

_MOST_REPLICAS: Final = 10_000

CONCURRENT_REQUESTS: Final[Key[int]] = Key(
    "kiteward.limits.concurrentRequests",
    Number("number", 0, MOST_AT_ONCE),
    0,
    "concurrent requests of each user that has no other such limit; 0 for no limit",
)
ENGINE_REQUESTS: Final[Key[int | None]] = Key(
    "kiteward.limits.engineRequests",
    Number("number", 0, MOST_AT_ONCE),
    None,
    "reads, and writes, of rows that are worked on at once; more wait, fairly by user; 0 for no limit",
    unset="for the embedded engine one for each processor, from 2 to 4; 0 for a remote one",
)
REPLICAS: Final[Key[int]] = Key(
    "kiteward.limits.replicas",
    Number("number", 1, _MOST_REPLICAS),
    1,
    "number of servers among which limits of requests are divided",
)
REQUEST_BURST: Final[Key[int]] = Key(
    "kiteward.limits.requestBurst",
    Number("number", 0, MOST_AT_ONCE),
    0,
    "requests that may come at once after a pause, with `requestsPerSecond`; 0 for those of a second",
)
REQUESTS_PER_SECOND: Final[Key[int]] = Key(
    "kiteward.limits.requestsPerSecond",
    Number("number", 0, int(HIGHEST_RATE)),
    0,
    "requests a second of each user that has no other such limit; 0 for no limit",
)
