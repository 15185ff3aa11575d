"""How the server is, for administrators: strangers are told no more than that it is ready, or is not."""

from typing import Final

from kiteward.gateway.administration.base import Tools
from kiteward.gateway.extensions.base import Arguments, Extension, Outcome, Request
from kiteward.gateway.readiness import parts


class Part(Outcome):
    """How a part is; `reason` says why where it is not ready."""

    ready: bool
    reason: str


class ServerState(Outcome):
    """How the parts are, and whether all of them are ready; `revision` is that of the policy in force."""

    ready: bool
    revision: int
    store: Part
    engine: Part
    audit: Part


async def described(tools: Tools, request: Request, _arguments: Arguments) -> ServerState:
    """Ask the parts how they are."""
    found = {name: Part(ready=part.ready, reason=part.reason) for name, part in (await parts(tools)).items()}
    return ServerState(ready=all(part.ready for part in found.values()), revision=request.snapshot.revision, **found)


EXTENSIONS: Final = (
    Extension(
        "DescribeServer",
        "server/describe",
        Arguments,
        ServerState,
        described,
        "Tell how store, engine and audit trail are.",
        changes=False,
    ),
)
