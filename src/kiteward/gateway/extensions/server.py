"""How the server is, for administrators: strangers are told no more than that it is ready, or is not."""

import contextlib
from typing import Final

from kiteward.domain.errors import EngineError
from kiteward.gateway.administration.base import Services
from kiteward.gateway.administration.server import VERSION
from kiteward.gateway.extensions.base import AdminOperation, Arguments, Outcome, Request
from kiteward.gateway.extensions.objects import databases_of
from kiteward.gateway.readiness import components


class Part(Outcome):
    """How a part is; `reason` says why where it is not ready."""

    ready: bool
    reason: str


class ServerState(Outcome):
    """How the parts are, whether all of them are ready, and how much there is.

    `revision` is that of the policy in force; `databases` is null while the engine cannot tell.
    """

    ready: bool
    version: str
    revision: int
    databases: int | None
    roles: int
    groups: int
    sessions: int
    store: Part
    engine: Part
    audit: Part


async def described(services: Services, request: Request, _arguments: Arguments) -> ServerState:
    """Ask the parts how they are."""
    found = {name: Part(ready=part.ready, reason=part.reason) for name, part in (await components(services)).items()}
    databases = None
    with contextlib.suppress(EngineError):
        databases = len(await databases_of(services))
    return ServerState(
        ready=all(part.ready for part in found.values()),
        version=VERSION,
        revision=request.snapshot.revision,
        databases=databases,
        roles=len(request.snapshot.roles),
        groups=len(request.snapshot.groups),
        sessions=services.sessions.count(),
        **found,
    )


ADMIN_OPERATIONS: Final = (
    AdminOperation(
        "DescribeServer",
        "server/describe",
        Arguments,
        ServerState,
        described,
        "Return the state of store, engine and audit trail, and counts.",
        changes=False,
    ),
)
