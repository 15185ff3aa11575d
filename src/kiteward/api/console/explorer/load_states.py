"""Whether collections are loaded, in the list and on the page, for readers with the privilege `GetLoadState`."""

from collections.abc import Sequence
from typing import Final

from kiteward.api.console.explorer.place import Place, Rights
from kiteward.api.console.request import ConsoleRequest
from kiteward.domain.errors import AccessDenied, EngineError, RequestRefused
from kiteward.milvus import messages
from kiteward.milvus.messages import milvus_pb2

LOADED: Final = "loaded"
LOADING: Final = "loading"
NOT_LOADED: Final = "not_loaded"
_STATES: Final = {"LoadStateLoaded": LOADED, "LoadStateLoading": LOADING, "LoadStateNotLoad": NOT_LOADED}
_WHOLE: Final = 100
"""The percentage of a collection that is loaded."""


async def load_state(request: ConsoleRequest, place: Place) -> str:
    """Return the state of a collection; empty where it is not known to the reader."""
    if not place.may("GetLoadState"):
        return ""
    asked = milvus_pb2.GetLoadStateRequest(db_name=place.database, collection_name=place.name)
    try:
        found = await request.client.call(asked, milvus_pb2.GetLoadStateResponse)
    except (AccessDenied, EngineError, RequestRefused):
        return ""
    return _STATES.get(messages.enum_name(found, "state"), "")


async def load_states(request: ConsoleRequest, rights: Rights, database: str, names: Sequence[str]) -> dict[str, str]:
    """Return the states of collections of a database, with one request; without those not known to the reader.

    Milvus lists what is loaded to whoever sees a collection. The console keeps to the privilege of the page.
    """
    known = [name for name in names if rights.may("GetLoadState", database, name)]
    if not known:
        return {}
    asked = messages.ShowCollectionsRequest(db_name=database, type=milvus_pb2.ShowType.InMemory)
    try:
        found = await request.client.call(asked, messages.ShowCollectionsResponse)
    except (AccessDenied, EngineError, RequestRefused):
        return {}
    shown, percentages = list(found.collection_names), list(found.inMemory_percentages)
    told = (
        dict(zip(shown, percentages, strict=True)) if len(percentages) == len(shown) else dict.fromkeys(shown, _WHOLE)
    )
    return {name: NOT_LOADED if name not in told else LOADED if told[name] >= _WHOLE else LOADING for name in known}
