"""The collection that a page is about, and what the signed-in user may do with it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kiteward.api.console.forms import path_below
from kiteward.api.console.request import ConsoleRequest
from kiteward.domain.errors import AccessDenied
from kiteward.domain.naming import ANY
from kiteward.gateway.operations import OPERATIONS
from kiteward.iam.json_api.access import Explained, ExplainRequest, OfSomebody, Reaches
from kiteward.milvus import messages
from kiteward.milvus.collection_fields import CollectionShape, shape_of


@dataclass(frozen=True, slots=True)
class Rights:
    """What the signed-in user may do. It decides which links a page has, and protects nothing.

    Attributes:
        administrator: whether everything is allowed.
        held: (database, collection) -> names of privileges on it; either part may be `*`.
        cluster: the cluster-level privileges.
    """

    administrator: bool
    held: Mapping[tuple[str, str], frozenset[str]]
    cluster: frozenset[str] = frozenset()

    def may(self, operation: str, database: str, collection: str = ANY) -> bool:
        """Return whether the user may send an RPC about a collection, or for `*` about all of the database."""
        privilege = OPERATIONS[operation].privilege
        return privilege is None or self.holds(privilege.name, database, collection)

    def holds(self, privilege: str, database: str, collection: str = ANY) -> bool:
        """Return whether the user has a privilege on a collection, or for `*` on all of the database."""
        if self.administrator or privilege in self.cluster:
            return True
        scopes = ((ANY, ANY), (database, ANY), (database, collection))
        return any(privilege in self.held.get(scope, ()) for scope in scopes)


@dataclass(frozen=True, slots=True)
class Place:
    """One collection as its reader may see it.

    Attributes:
        database: its database.
        name: the name in the path, which may be an alias.
        described: its description.
        rights: what the signed-in user may do.
    """

    database: str
    name: str
    described: messages.DescribeCollectionResponse
    rights: Rights

    @property
    def path(self) -> str:
        """The path of its page."""
        return path_below("collections", self.database, self.name)

    @property
    def shape(self) -> CollectionShape:
        """Its fields."""
        return shape_of(self.described)

    def may(self, operation: str) -> bool:
        """Return whether the signed-in user may send an RPC about it."""
        return self.rights.may(operation, self.database, self.described.collection_name or self.name)

    def holds(self, privilege: str) -> bool:
        """Return whether the signed-in user has a privilege on it."""
        return self.rights.holds(privilege, self.database, self.described.collection_name or self.name)

    def values(self) -> dict[str, Any]:
        """Return the variables of every template about a collection."""
        return {"place": self, "here": self.path, "database": self.database, "name": self.name}


async def rights_of(request: ConsoleRequest) -> Rights:
    """Return what the signed-in user may do.

    Raises:
        KitewardError: as `GatewayClient.invoke`.
    """
    found = await request.client.invoke("DescribeUserAccess", OfSomebody(), Reaches)
    held = {(each.db_name, each.collection_name): frozenset(each.privileges) for each in found.collections}
    return Rights(found.administrator, held, frozenset(found.cluster))


async def open_place(request: ConsoleRequest, operation: str = "") -> Place:
    """Return the collection in the path.

    Args:
        request: the request of a page below `collections/{database}/{name}`.
        operation: the RPC that the page is for; empty for none.

    Raises:
        CollectionNotFound, DatabaseNotFound: there is none, or none that the user may see.
        AccessDenied: the user may see it, and not send the RPC.
        KitewardError: as `GatewayClient.call`.
    """
    database, name = request.names["database"], request.names["name"]
    asked = messages.DescribeCollectionRequest(db_name=database, collection_name=name)
    described = await request.client.call(asked, messages.DescribeCollectionResponse)
    place = Place(database, name, described, await rights_of(request))
    if operation and not place.may(operation):
        await require(request, operation, database=database, collection=name)
    return place


async def require(request: ConsoleRequest, operation: str, *, database: str, collection: str = ANY) -> None:
    """Require that the signed-in user may send an RPC, by the explanation of the gateway.

    Raises:
        AccessDenied: the user is not allowed to; it says which privilege is missing.
        KitewardError: as `GatewayClient.invoke`.
    """
    question = ExplainRequest(operation=operation, db_name=database, collection_name=collection)
    answer = await request.client.invoke("ExplainAccess", question, Explained)
    if not answer.allowed:
        raise AccessDenied(answer.reason, *answer.details)
