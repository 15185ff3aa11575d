"""Reviews the stored row policies for the doctor: what does not protect as it seems to. It changes nothing."""

from pathlib import Path

from kiteward.authz.row_policies import CompiledRowRules
from kiteward.store.sql import SqlStore


async def review_row_policies(store_path: Path, *, shared: bool) -> list[str]:
    """Return a sentence for each collection whose row policies do not protect as they seem to.

    Args:
        store_path: the store, which is migrated if it is older.
        shared: whether others than Kiteward can write to the engine.

    Raises:
        StoreError: the store cannot be read.
    """
    store = await SqlStore.open(store_path)
    try:
        protected = (await store.policy()).protected
    finally:
        await store.close()
    found: list[str] = []
    for each in protected:
        name = f"{each.database}.{each.collection}"
        if each.enabled and shared:
            found.append(
                f"the row policies of {name} hold only for what is sent through Kiteward: let nobody else write to it"
            )
        if each.policies and not each.enabled:
            found.append(f"the row policies of {name} are not enforced: set its property rls.enabled to true")
        for policy, fault in sorted(CompiledRowRules.compile(each).faults.items()):
            found.append(f"the row policy {policy} of {name} allows nothing: {fault}")
    return found
