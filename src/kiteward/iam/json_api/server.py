"""The state of the server, for administrators. Unauthenticated clients learn only whether it is ready."""

from typing import Final

from kiteward.domain.error_codes import ErrorDetail
from kiteward.iam.json_api.base import AdminOperation, Arguments, Outcome, Request
from kiteward.iam.server_state import describe_server
from kiteward.iam.services import Services


class Part(Outcome):
    """The state of a component; `reason` says why it is not ready, `details` the same as codes with parameters."""

    ready: bool
    reason: str
    details: list[ErrorDetail]


class ServerState(Outcome):
    """The state of the components, whether all of them are ready, and the number of objects.

    `revision` is that of the policy in force; `databases` is null while the engine does not respond.
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
    """Return the state of the server."""
    found = await describe_server(services, request)
    parts = {
        name: Part(ready=each.ready, reason=each.reason, details=list(each.details))
        for name, each in found.components.items()
    }
    return ServerState(
        ready=found.ready,
        version=found.version,
        revision=found.revision,
        databases=found.databases,
        roles=found.roles,
        groups=found.groups,
        sessions=found.sessions,
        **parts,
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
        while_unrecorded=True,
    ),
)
