"""Carries out requests to endpoints in this process, without HTTP: for the command line, which authenticates nobody."""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from kiteward.api.rest import bodies
from kiteward.api.rest.endpoint_table import TABLE
from kiteward.api.rest.endpoints import Answer, RequestContext
from kiteward.gateway.client import GatewayClient


async def data_of(client: GatewayClient, path: str, request: Mapping[str, Any]) -> Any:
    """Return the member `data` of the response to a request, as plain values.

    Args:
        client: sends the requests of the endpoint.
        path: the full path of the endpoint.
        request: the body, as plain values.

    Raises:
        KeyError: there is no such endpoint.
        RestFailure: the body is not what the endpoint takes, or the endpoint refuses.
        KitewardError: as `GatewayClient.call`.
    """
    endpoint = TABLE[path]
    body = bodies.decode(endpoint.body, json.dumps(request).encode())
    with ThreadPoolExecutor(1) as executor:
        context = RequestContext(client, executor, allow_int64=True)
        context.choose_database(body, endpoint)
        answer = await endpoint.run(context, body)
    data = answer.data if isinstance(answer, Answer) else answer
    return msgspec.json.decode(msgspec.json.encode(data))
