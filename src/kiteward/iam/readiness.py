"""The state of the components behind the gateway, all of which must be ready before requests can be handled."""

from collections.abc import Mapping

from kiteward.domain.errors import StoreError
from kiteward.domain.identity import ROOT
from kiteward.iam.services import ComponentHealth, Services


async def components(services: Services) -> Mapping[str, ComponentHealth]:
    """Return the health of `store`, `engine` and `audit`. An engine whose catalog is too old is not ready."""
    try:
        await services.store.user(ROOT)
        store = ComponentHealth()
    except StoreError as error:
        store = ComponentHealth(ready=False, reason=str(error))
    engine = services.engine.health()
    working = services.audit().working
    audit = ComponentHealth(working, "" if working else "the audit trail cannot be written")
    reason = engine.reason or services.catalog.fault
    ready = engine.ready and not services.catalog.fault
    return {"store": store, "engine": ComponentHealth(ready, reason), "audit": audit}
