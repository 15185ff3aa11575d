"""Carries out requests to endpoints in this process, without HTTP: for the command line, which authenticates nobody."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import msgspec

from kiteward.api.rest import bodies
from kiteward.api.rest.endpoint_table import TABLE
from kiteward.api.rest.endpoints import Answer, RequestContext
from kiteward.api.rest.status import TIMED_OUT, UNEXPECTED, RestFailure
from kiteward.domain.errors import KitewardError
from kiteward.gateway.client import GatewayClient


async def answer_to(client: GatewayClient, path: str, body: bytes, *, timeout: float | None = None) -> bytes:
    """Return the answer to a request as a line of JSON: `{"data": DATA}`, or `{"fault": MESSAGE, "field": MEMBER}`.

    What else is wrong is in `others`, a list of `{"message": MESSAGE, "field": MEMBER}`.

    Args:
        client: sends the requests of the endpoint.
        path: the endpoint, below `/v2/`.
        body: the body, as JSON.
        timeout: seconds after which it ends as over REST, unless the endpoint takes long by nature; None for never.
    """
    try:
        return _line({"data": await _data_of(client, path, body, timeout)})
    except TimeoutError:
        return fault(TIMED_OUT)
    except RestFailure as failure:
        return fault(failure.message, failure.field, [(each.message, each.field) for each in failure.others])
    except KitewardError as error:
        return fault(str(error), error.field, [(str(each), each.field) for each in error.others])


def fault(message: str, field: str = "", others: Sequence[tuple[str, str]] = ()) -> bytes:
    """Return the answer that says what is wrong, and with which member of the request; `others` are more of these."""
    more = [{"message": message, "field": field} for message, field in others]
    return _line({"fault": message, "field": field, **({"others": more} if more else {})})


async def _data_of(client: GatewayClient, path: str, body: bytes, timeout: float | None) -> Any:
    endpoint = TABLE.get(f"/v2/{path}")
    if endpoint is None:
        raise RestFailure(UNEXPECTED, f"there is no endpoint /v2/{path}")
    request = bodies.decode(endpoint.body, body)
    seconds = None if timeout is None else endpoint.seconds(timeout)
    if seconds is not None:
        client = replace(client, deadline=asyncio.get_running_loop().time() + seconds)
    with ThreadPoolExecutor(1) as executor:
        context = RequestContext(client, executor, allow_int64=True)
        context.choose_database(request, endpoint)
        async with asyncio.timeout(seconds):
            answer = await endpoint.run(context, request)
    return answer.data if isinstance(answer, Answer) else answer


def _line(values: dict[str, Any]) -> bytes:
    return msgspec.json.encode(values) + b"\n"
