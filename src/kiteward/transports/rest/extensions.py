"""What Kiteward adds to the protocol, over REST: an endpoint for each extension."""

from typing import Any, Final

from kiteward.gateway.extensions import EXTENSIONS
from kiteward.gateway.extensions.base import Arguments, Extension
from kiteward.transports.rest.endpoints import OWN_PREFIX, Conversation, Endpoint


def _endpoint(extension: Extension) -> Endpoint[Arguments]:
    async def run(talk: Conversation, body: Arguments) -> Any:
        return await talk.extend(extension.name, body)

    return Endpoint(extension.path, extension.arguments, extension.outcome, run, extension.summary, prefix=OWN_PREFIX)


ENDPOINTS: Final = tuple(_endpoint(extension) for extension in EXTENSIONS.values() if extension.rest)
