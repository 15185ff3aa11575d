"""The settings of one worker: limits that are meant for the whole server are divided."""

import math
from dataclasses import replace
from typing import Final

from kiteward.authn.hashing import HashingProfile
from kiteward.config.settings import Settings

FORWARDING: Final = 1
"""The number of the worker that passes the lines of the audit trail on, which all workers write."""


def share_of(settings: Settings, number: int) -> Settings:
    """Return the settings of one of the workers of a server.

    Args:
        settings: those of the server.
        number: which worker, from 1 on.
    """
    audit = settings.audit
    if number != FORWARDING:
        audit = replace(audit, syslog=None, otlp=None)
    return replace(
        settings,
        replicas=replace(settings.replicas, name=f"{settings.replicas.shown}/{number}"),
        audit=audit,
        byte_limits=settings.byte_limits.share(settings.workers),
        engine_requests=math.ceil(settings.engine_requests / settings.workers),
        limit_replicas=settings.limit_replicas * settings.workers,
    )


def hashing_share(profile: HashingProfile, workers: int) -> HashingProfile:
    """Return how one of several workers hashes passwords: at its share of the threads, and at one at least."""
    return replace(profile, workers=max(1, profile.workers // workers))
