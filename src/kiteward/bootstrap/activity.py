"""What this server does, for the overview: the counters of the metrics, sampled while it runs."""

from contextlib import AsyncExitStack
from typing import Final

from kiteward.bootstrap.components import AccessControl, repeat
from kiteward.config.settings import Settings
from kiteward.telemetry.activity import Activity, numbers_of
from kiteward.telemetry.telemetry import Telemetry

_SAMPLE_SECONDS: Final = 5.0
"""Seconds between two samples of the counters."""


def record_activity(stack: AsyncExitStack, settings: Settings, access: AccessControl, telemetry: Telemetry) -> Activity:
    """Return what this server does from now on, sampled until `stack` closes."""
    counts = access.authenticator.counts
    activity = Activity(lambda: numbers_of(telemetry, counts), server=settings.replicas.shown)

    async def sample() -> None:
        activity.sample()

    repeat(stack, _SAMPLE_SECONDS, "sampling the counters", sample)
    return activity
