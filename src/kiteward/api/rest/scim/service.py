"""Finds the operation of a SCIM request and carries it out. The gateway authorizes it, as every request."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from kiteward.api.rest.endpoints import RequestContext
from kiteward.api.rest.scim import discovery, responses
from kiteward.api.rest.scim.requests import (
    Projection,
    object_of,
    projection_of,
    require_search,
    search_of,
    versions_of,
)
from kiteward.api.rest.status import UNIMPLEMENTED, RestFailure
from kiteward.gateway.large_requests import LARGE
from kiteward.iam.json_api.base import Done
from kiteward.iam.json_api.scim import (
    Identified,
    NewResource,
    Patch,
    PatchOperation,
    Replacement,
    Resource,
    Resources,
)
from kiteward.iam.scim.documents import version_of
from kiteward.iam.scim.patching import operations_of, relevant
from kiteward.iam.scim.resources import accepted
from kiteward.iam.scim.schemas import GROUP, USER, ResourceSchema

ROOT: Final = "/scim/v2"
"""The path of the API."""

_SEARCH: Final = ".search"
_NOT_OFFERED: Final = frozenset({"Bulk", "Me", _SEARCH})

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request with what it is answered by.

    Attributes:
        request: the HTTP request.
        raw: its body.
        context: calls the gateway with the caller's credential.
        schema: the type of resources that it is about.
        resource_id: the id of the resource, or empty.
    """

    request: Request
    raw: bytes | bytearray
    context: RequestContext
    schema: ResourceSchema
    resource_id: str = ""

    @property
    def base(self) -> str:
        """The address of the API, as the client has written it."""
        return f"{self.request.url.scheme}://{self.request.url.netloc}{ROOT}"

    @property
    def projection(self) -> Projection:
        """Which attributes are returned."""
        return projection_of(self.request.query_params)

    def operation(self, verb: str) -> str:
        """Return the name of an operation on these resources."""
        return f"{verb}Scim{self.schema.name}"

    async def read(self, operation: str, read: Callable[[Mapping[str, Any]], _T]) -> _T:
        """Return what the body means, once its caller may send one of its size.

        Raises:
            KitewardError: as `RequestContext.read_large`; InvalidArgument for a body that is wrong.
        """
        if len(self.raw) <= LARGE:
            return read(object_of(self.raw))
        return await self.context.read_large(operation, lambda: read(object_of(self.raw)), size=len(self.raw))


async def answered(request: Request, raw: bytes | bytearray, context: RequestContext) -> Response:
    """Return the response to a request below `ROOT`.

    Args:
        request: the HTTP request.
        raw: its body.
        context: calls the gateway with the caller's credential.

    Raises:
        KitewardError: as of the gateway; InvalidArgument for what is wrong with the request.
        RestFailure: there is no such endpoint, or it does not take the method.
    """
    endpoint, _, rest = request.scope["path"].removeprefix(ROOT).removeprefix("/").partition("/")
    if endpoint == discovery.CONFIGURATION or endpoint in discovery.LISTS:
        return _discovered(request, endpoint, rest)
    schema = next((each for each in (USER, GROUP) if each.endpoint == f"/{endpoint}"), None)
    if endpoint in _NOT_OFFERED:
        raise RestFailure(UNIMPLEMENTED, f"/{endpoint} is not offered", http=HTTPStatus.NOT_IMPLEMENTED)
    if schema is None or "/" in rest:
        raise _nothing_here()
    methods = _OF_ONE if rest else _OF_ALL
    if rest == _SEARCH:
        methods = _OF_SEARCH
    answer = methods.get(request.method)
    if answer is None:
        raise RestFailure(
            UNIMPLEMENTED, f"this address takes {', '.join(methods)} only", http=HTTPStatus.METHOD_NOT_ALLOWED
        )
    return await answer(Exchange(request, raw, context, schema, rest))


def _discovered(request: Request, endpoint: str, name: str) -> Response:
    """Return what the API says of itself; a filter is refused, as RFC 7644, 4 says."""
    if request.method != "GET":
        raise RestFailure(UNIMPLEMENTED, "this address takes GET only", http=HTTPStatus.METHOD_NOT_ALLOWED)
    if "filter" in request.query_params:
        raise RestFailure(UNIMPLEMENTED, f"/{endpoint} takes no filter", http=HTTPStatus.FORBIDDEN)
    base = f"{request.url.scheme}://{request.url.netloc}{ROOT}"
    if endpoint == discovery.CONFIGURATION:
        if name:
            raise _nothing_here()
        return responses.answer(responses.located_at(discovery.PROVIDER, base))
    if not name:
        found = discovery.LISTS[endpoint]
        return responses.listed(found, base, total=len(found), start=1, projection=Projection())
    document = discovery.document(endpoint, name)
    if document is None:
        raise _nothing_here()
    return responses.answer(responses.located_at(document, base))


def _nothing_here() -> RestFailure:
    return RestFailure(UNIMPLEMENTED, "there is nothing at this address", http=HTTPStatus.NOT_FOUND)


async def _list(exchange: Exchange) -> Response:
    return await _searched(exchange, exchange.request.query_params)


async def _search(exchange: Exchange) -> Response:
    body = await exchange.read(f"{exchange.operation('List')}s", _checked_search)
    return await _searched(exchange, body)


def _checked_search(body: Mapping[str, Any]) -> Mapping[str, Any]:
    require_search(body)
    return body


async def _searched(exchange: Exchange, parameters: Mapping[str, Any]) -> Response:
    search = search_of(parameters)
    page = await exchange.context.invoke(f"{exchange.operation('List')}s", search.listed, Resources)
    return responses.listed(
        page.resources,
        exchange.base,
        total=page.total,
        start=search.listed.start,
        projection=search.projection,
    )


async def _create(exchange: Exchange) -> Response:
    kept = await exchange.read(exchange.operation("Create"), lambda body: _kept(exchange.schema, body))
    made = await exchange.context.invoke(exchange.operation("Create"), NewResource(resource=kept), Resource)
    return _shown(exchange, made, HTTPStatus.CREATED)


async def _get(exchange: Exchange) -> Response:
    found = await exchange.context.invoke(exchange.operation("Get"), Identified(id=exchange.resource_id), Resource)
    known = versions_of(exchange.request, "if-none-match")
    if "*" in known or version_of(found.resource) in known:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers={"ETag": version_of(found.resource)})
    return _shown(exchange, found)


async def _replace(exchange: Exchange) -> Response:
    kept = await exchange.read(exchange.operation("Replace"), lambda body: _kept(exchange.schema, body))
    wanted = Replacement(id=exchange.resource_id, versions=_condition(exchange), resource=kept)
    return _shown(exchange, await exchange.context.invoke(exchange.operation("Replace"), wanted, Resource))


async def _patch(exchange: Exchange) -> Response:
    operations = await exchange.read(
        exchange.operation("Patch"), lambda body: relevant(exchange.schema, operations_of(body))
    )
    identified = Identified(id=exchange.resource_id)
    if not operations:
        changed = await exchange.context.invoke(exchange.operation("Get"), identified, Resource)
    else:
        wanted = Patch(
            id=exchange.resource_id,
            versions=_condition(exchange),
            operations=[PatchOperation(op=each.verb, path=each.path, value=each.value) for each in operations],
        )
        changed = await exchange.context.invoke(exchange.operation("Patch"), wanted, Resource)
    if exchange.schema is GROUP and exchange.projection == Projection():
        # A group may have many members, which nobody asked for.
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"ETag": version_of(changed.resource)})
    return _shown(exchange, changed)


async def _delete(exchange: Exchange) -> Response:
    wanted = Identified(id=exchange.resource_id, versions=_condition(exchange))
    await exchange.context.invoke(exchange.operation("Delete"), wanted, Done)
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _condition(exchange: Exchange) -> list[str]:
    return versions_of(exchange.request, "if-match")


def _kept(schema: ResourceSchema, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is kept of a resource, so that nothing else, such as a password, reaches the audit trail."""
    return {"schemas": [schema.urn], **accepted(schema, body)}


def _shown(exchange: Exchange, found: Resource, status: int = HTTPStatus.OK) -> Response:
    return responses.resource(found.resource, exchange.base, projection=exchange.projection, status=status)


_OF_ALL: Final = {"GET": _list, "POST": _create}
_OF_ONE: Final = {"GET": _get, "PUT": _replace, "PATCH": _patch, "DELETE": _delete}
_OF_SEARCH: Final = {"POST": _search}
