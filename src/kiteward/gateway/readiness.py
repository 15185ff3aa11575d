"""How the parts behind the gateway are: what must answer before requests can be."""

from collections.abc import Mapping

from kiteward.domain.errors import StoreError
from kiteward.domain.identity import ROOT
from kiteward.gateway.administration.base import PartHealth, Tools


async def parts(tools: Tools) -> Mapping[str, PartHealth]:
    """Ask `store`, `engine` and `audit` how they are."""
    try:
        await tools.store.user(ROOT)
        store = PartHealth()
    except StoreError as error:
        store = PartHealth(ready=False, reason=str(error))
    engine = tools.engine.health()
    working = tools.audit().working
    audit = PartHealth(working, "" if working else "the audit trail cannot be written")
    return {"store": store, "engine": PartHealth(engine.ready, engine.reason), "audit": audit}
