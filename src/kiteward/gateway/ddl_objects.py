"""Which databases and names a change of the catalog is about."""

from kiteward.gateway.operations import Operation
from kiteward.gateway.resolved_request import ResolvedRequest
from kiteward.store.intent_records import Intent, IntentKind


def objects_of(row: Operation, resolved: ResolvedRequest) -> tuple[set[str], set[str]]:
    """Return the databases and the names of collections and aliases that a change is about."""
    databases = {resolved.database}
    if row.target_database:
        databases.add(str(resolved.fields[row.target_database]) or resolved.database)
    names = set(resolved.collections)
    for path in (*row.collections, *row.new_collections, *row.aliases, *row.creates):
        names.add(str(resolved.fields[path]))
    return databases, names - {""}


def mark_of(row: Operation, resolved: ResolvedRequest) -> Intent | None:
    """Return the intent of changing what a collection is, to which nobody may write meanwhile.

    Returns:
        None for a change beside which writes may go on, such as that of an alias.
    """
    if not row.excludes_writes or not any(resolved.collections):
        return None
    return Intent(IntentKind.CHANGE_COLLECTION, resolved.database, resolved.collections[0])
