"""What this server does, for the overview: the counters of the metrics, sampled while it runs."""

from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Final

from kiteward.bootstrap.components import AccessControl, make_services, repeat
from kiteward.config.settings import Settings
from kiteward.gateway.catalog import Catalog
from kiteward.gateway.ddl import DdlExecutor
from kiteward.gateway.instrumentation import InstrumentedEngine
from kiteward.iam.services import Services
from kiteward.telemetry.activity import Activity, numbers_of
from kiteward.telemetry.telemetry import Telemetry

_SAMPLE_SECONDS: Final = 5.0
"""Seconds between two samples of the counters."""


def services_of_server(
    stack: AsyncExitStack,
    settings: Settings,
    access: AccessControl,
    *,
    engine: InstrumentedEngine,
    catalog: Catalog,
    ddl: DdlExecutor,
) -> Services:
    """Return the services of `make_services`, which know what this server does; sampled until `stack` closes."""
    activity = _record_activity(stack, settings, access, engine.telemetry)
    return replace(make_services(settings, access, engine, catalog, ddl=ddl), activity=activity)


def _record_activity(
    stack: AsyncExitStack, settings: Settings, access: AccessControl, telemetry: Telemetry
) -> Activity:
    counts = access.authenticator.counts
    activity = Activity(lambda: numbers_of(telemetry, counts), server=settings.replicas.shown, workers=settings.workers)

    async def sample() -> None:
        activity.sample()

    repeat(stack, _SAMPLE_SECONDS, "sampling the counters", sample)
    return activity
