"""The state of the components behind the gateway, all of which must be ready before requests can be handled."""

from collections.abc import Mapping
from typing import Final

from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import StoreError
from kiteward.domain.identity import ROOT
from kiteward.iam.services import ComponentHealth, Services

_AUDIT_NOT_WRITABLE: Final = ComponentHealth(
    ready=False,
    reason="the audit trail cannot be written",
    details=(ErrorDetail(ErrorCode.AUDIT_NOT_WRITABLE),),
)


async def components(services: Services) -> Mapping[str, ComponentHealth]:
    """Return the health of `store`, `engine` and `audit`. An engine whose catalog is too old is not ready."""
    try:
        await services.store.user(ROOT)
        store = ComponentHealth()
    except StoreError as error:
        store = ComponentHealth(ready=False, reason=str(error), details=error.details)
    working = services.audit().working
    audit = ComponentHealth() if working else _AUDIT_NOT_WRITABLE
    return {"store": store, "engine": _engine(services), "audit": audit}


def _engine(services: Services) -> ComponentHealth:
    health, fault = services.engine.health(), services.catalog.fault
    if not health.ready:
        return ComponentHealth(ready=False, reason=health.reason, details=(health.detail,))
    return ComponentHealth() if fault is None else ComponentHealth(False, str(fault), fault.details)
