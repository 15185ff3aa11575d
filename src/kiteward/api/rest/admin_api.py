"""Kiteward's own operations over REST: an endpoint for each of them."""

from typing import Final

import msgspec

from kiteward.api.rest.endpoints import OWN_PREFIX, Endpoint, RequestContext
from kiteward.iam.json_api import ADMIN_OPERATIONS
from kiteward.iam.json_api.base import AdminOperation, Arguments, encoded


def _endpoint(extension: AdminOperation) -> Endpoint[Arguments]:
    async def run(context: RequestContext, body: Arguments) -> msgspec.Raw:
        return msgspec.Raw(encoded(await context.invoke(extension.name, body, extension.outcome)))

    return Endpoint(extension.path, extension.arguments, extension.outcome, run, extension.summary, prefix=OWN_PREFIX)


ENDPOINTS: Final = tuple(_endpoint(extension) for extension in ADMIN_OPERATIONS.values() if extension.rest)
