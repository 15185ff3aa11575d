"""Which grants have to follow a change of the catalog: one function for each kind of change."""

from kiteward.authz.model import BUILT_IN_ROLES
from kiteward.authz.policy import decide_administrator
from kiteward.domain.identity import Principal
from kiteward.gateway.resolved_request import ResolvedRequest
from kiteward.store.intent_records import Claimant, Intent, IntentKind


def create_collection(principal: Principal, resolved: ResolvedRequest) -> Intent:
    """Return the intent of creating a collection, for which grants may have been kept."""
    name = str(resolved.fields["collection_name"])
    return Intent(IntentKind.CREATE_COLLECTION, resolved.database, name, claimant=_claimant(principal))


def drop_collection(principal: Principal, resolved: ResolvedRequest) -> Intent:
    """Return the intent of dropping a collection; its user keeps its own grants on the name (decision 0030)."""
    return Intent(IntentKind.DROP_COLLECTION, resolved.database, resolved.collections[0], claimant=_claimant(principal))


def rename_collection(_: Principal, resolved: ResolvedRequest) -> Intent:
    """Return the intent of renaming a collection, perhaps into another database."""
    target = str(resolved.fields["newDBName"]) or resolved.database
    new_name = str(resolved.fields["newName"])
    return Intent(IntentKind.RENAME_COLLECTION, resolved.database, resolved.collections[0], target, new_name)


def restore_snapshot(_: Principal, resolved: ResolvedRequest) -> Intent:
    """Return the intent of creating a collection from a snapshot.

    No grants are kept, because the collection was not created by the user who restores it.
    """
    target = str(resolved.fields.get("target_db_name", "")) or resolved.database
    return Intent(IntentKind.CREATE_COLLECTION, target, str(resolved.fields["target_collection_name"]))


def drop_database(_: Principal, resolved: ResolvedRequest) -> Intent:
    """Return the intent of dropping a database with everything in it."""
    return Intent(IntentKind.DROP_DATABASE, resolved.database)


def _claimant(principal: Principal) -> Claimant | None:
    """Return the user for whom grants are kept; None for an administrator, who needs none.

    Grants of `public` are not the user's own.
    """
    if decide_administrator(principal).allowed:
        return None
    return Claimant(principal.user_name, tuple(sorted(principal.roles.difference(BUILT_IN_ROLES))))
