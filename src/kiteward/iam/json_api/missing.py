"""Grants on collections that do not exist."""

from typing import Final

from kiteward.iam.json_api.base import AdminOperation, Arguments, Outcome, Request
from kiteward.iam.json_api.shapes import HeldGrant
from kiteward.iam.missing_collections import list_grants_on_missing
from kiteward.iam.services import Services


class OnMissing(Outcome):
    """Grants whose collection does not exist. `complete` is false if the engine has not responded for all of them."""

    grants: list[HeldGrant]
    complete: bool


async def missing(services: Services, request: Request, _arguments: Arguments) -> OnMissing:
    """List grants on collections that do not exist."""
    found = await list_grants_on_missing(services, request)
    return OnMissing(grants=[HeldGrant.of(grant) for grant in found.grants], complete=found.complete)


ADMIN_OPERATIONS: Final = (
    AdminOperation(
        "ListMissingAccess",
        "access/missing",
        Arguments,
        OnMissing,
        missing,
        "List grants on collections that do not exist: not yet, or not any more.",
        changes=False,
    ),
)
