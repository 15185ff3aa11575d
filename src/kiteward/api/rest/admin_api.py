"""Kiteward's own operations over REST: an endpoint for each of them."""

from collections.abc import Sequence

import msgspec

from kiteward.api.rest.endpoints import OWN_PREFIX, Endpoint, RequestContext
from kiteward.iam.json_api import rows_of
from kiteward.iam.json_api.base import AdminOperation, Arguments, encoded


def _endpoint(extension: AdminOperation) -> Endpoint[Arguments]:
    async def run(context: RequestContext, body: Arguments) -> msgspec.Raw:
        return msgspec.Raw(encoded(await context.invoke(extension.name, body, extension.outcome)))

    return Endpoint(
        extension.path,
        extension.arguments,
        extension.outcome,
        run,
        extension.summary,
        prefix=OWN_PREFIX,
        long=extension.long,
    )


def endpoints_of(topic: str) -> Sequence[Endpoint[Arguments]]:
    """Return the endpoints of the operations that a module of `kiteward.iam.json_api` declares."""
    return [_endpoint(extension) for extension in rows_of(topic).values() if extension.rest]
