"""For administrators: what a user holds, and what lists show to it."""

from typing import Final

from kiteward.authz.policy import decide_administrator
from kiteward.iam.access import grants_of
from kiteward.iam.json_api.accounts import Named
from kiteward.iam.json_api.base import AdminOperation, Outcome, Request
from kiteward.iam.json_api.shapes import HeldGrant, issuer_of, subject_of
from kiteward.iam.services import Services
from kiteward.iam.user_view import view_as_user


class SeenDatabase(Outcome):
    """A database and its collections that are shown."""

    db_name: str
    collections: list[str]


class View(Outcome):
    """What a user holds, and what lists show to it.

    `issuer` and `subject` say who a federated user is at its identity provider, null for others.
    """

    user_name: str
    administrator: bool
    roles: list[str]
    grants: list[HeldGrant]
    databases: list[SeenDatabase]
    issuer: str | None = None
    subject: str | None = None


async def viewed(services: Services, request: Request, arguments: Named) -> View:
    """Return what a user holds, and what lists show to it."""
    view = await view_as_user(services, request, arguments.user_name)
    return View(
        user_name=view.principal.user_name,
        administrator=decide_administrator(view.principal).allowed,
        roles=sorted(view.principal.roles),
        grants=[HeldGrant.of(grant) for grant in grants_of(view.principal, request.snapshot)],
        databases=[
            SeenDatabase(db_name=name, collections=list(collections)) for name, collections in view.databases.items()
        ],
        issuer=issuer_of(view.principal.identity),
        subject=subject_of(view.principal.identity),
    )


ADMIN_OPERATIONS: Final = (
    AdminOperation("ViewAsUser", "users/view", Named, View, viewed, "Return what a user has and sees.", changes=False),
)
