"""What the store has to change with a change of the catalog: grants, row policies, and whether these are enforced.

`prepare` comes before the engine is asked, `follow` after it has executed the change, `undo` after it has not.

INVARIANT: a protected collection is protected under every name that it has at any moment. So a new name is protected
before the engine knows it, and an old one until the engine no longer does.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from kiteward.authz.row_policies import ProtectedCollection
from kiteward.iam.recorded_states import objects_before
from kiteward.iam.row_policies import Place, PropertyChange, apply_properties
from kiteward.store.intent_records import Intent, IntentKind, Released
from kiteward.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Followed:
    """What has followed a change.

    Attributes:
        kept_roles: roles whose grants are kept for the user who drops a collection, or were until now.
        row_policies: names of the row policies that were dropped or moved.
        before: the grants and row policies on what was dropped.
    """

    kept_roles: Sequence[str] = ()
    row_policies: Sequence[str] = ()
    before: Mapping[str, Any] = field(default_factory=dict)

    def details(self, intent: Intent) -> dict[str, Any]:
        """Return what is recorded of it."""
        found: dict[str, Any] = {}
        if intent.claimant and self.kept_roles:
            found = {"user": intent.claimant.user_name, "kept_roles": list(self.kept_roles)}
        if self.row_policies:
            found["row_policies"] = list(self.row_policies)
        return {**found, "before": self.before} if self.before else found


async def prepare(transaction: Transaction, intent: Intent, properties: PropertyChange | None) -> Released:
    """Remove what other users' roles have left on a name that a collection gets, and protect it there.

    Args:
        transaction: the transaction in which the intent is stored.
        intent: the change.
        properties: of a collection to be created, those about row policies; None for none.

    Returns:
        The roles that lost kept grants on the name, and those that still have some.
    """
    if intent.kind is IntentKind.CREATE_COLLECTION:
        if properties is not None:
            await apply_properties(transaction, Place(intent.db_name, intent.object_name), properties)
        return await transaction.grants.release_object(intent.db_name, intent.object_name, intent.claimant)
    if intent.kind is IntentKind.RENAME_COLLECTION:
        await transaction.row_policies.copy(_source(intent), _target(intent))
        return await transaction.grants.release_object(intent.new_db_name, intent.new_object_name, None)
    return Released((), ())


async def follow(transaction: Transaction, intent: Intent) -> Followed:
    """Change the store as a change of the catalog requires that the engine has executed."""
    return await _FOLLOW[intent.kind](transaction, intent)


async def undo(transaction: Transaction, intent: Intent) -> None:
    """Remove the protection of a name that a change would have given to a collection, and has not."""
    policies = transaction.row_policies
    if intent.kind is IntentKind.RENAME_COLLECTION and await policies.get(*_source(intent)) is not None:
        await policies.drop(*_target(intent))
    if intent.kind is IntentKind.CREATE_COLLECTION:
        held = await policies.get(*_source(intent))
        # What has policies is of an earlier collection, which vanished without us. It stays as it was left.
        if held is not None and not held.policies:
            await policies.drop(*_source(intent))


def followed_details(intent: Intent) -> dict[str, str]:
    """Return what is recorded of a change that the store follows."""
    old = {"because": intent.kind.value, "database": intent.db_name, "object": intent.object_name}
    moved = {"to_database": intent.new_db_name, "to_object": intent.new_object_name}
    return {name: value for name, value in {**old, **moved}.items() if value}


def _source(intent: Intent) -> tuple[str, str]:
    return intent.db_name, intent.object_name


def _target(intent: Intent) -> tuple[str, str]:
    return intent.new_db_name, intent.new_object_name


async def _after_drop_collection(transaction: Transaction, intent: Intent) -> Followed:
    held = await transaction.row_policies.get(*_source(intent))
    before = objects_before(await transaction.grants.on_object(*_source(intent)), [] if held is None else [held])
    await transaction.row_policies.drop(*_source(intent))
    # Nothing is kept on the name of a protected collection: re-created, it would not be protected (decision 0043).
    claimant = None if held is not None and held.enabled else intent.claimant
    kept = await transaction.grants.drop_object(*_source(intent), kept_for=claimant)
    return Followed(kept, _names(held), before)


async def _after_drop_database(transaction: Transaction, intent: Intent) -> Followed:
    protected = await transaction.row_policies.of_database(intent.db_name)
    before = objects_before(await transaction.grants.on_object(intent.db_name, None), protected)
    await transaction.row_policies.drop(intent.db_name, None)
    return Followed(await transaction.grants.drop_object(intent.db_name, None), before=before)


async def _after_rename(transaction: Transaction, intent: Intent) -> Followed:
    source, target = _source(intent), _target(intent)
    held = await transaction.row_policies.get(*source)
    if source != target:
        await transaction.row_policies.copy(source, target)
        await transaction.row_policies.drop(*source)
    await transaction.grants.move_object(source, target)
    return Followed(row_policies=_names(held))


async def _after_create_collection(transaction: Transaction, intent: Intent) -> Followed:
    return Followed(await transaction.grants.confirm_object(*_source(intent)))


def _names(held: ProtectedCollection | None) -> Sequence[str]:
    return () if held is None else [policy.name for policy in held.policies]


_FOLLOW: Final[dict[IntentKind, Callable[[Transaction, Intent], Awaitable[Followed]]]] = {
    IntentKind.DROP_COLLECTION: _after_drop_collection,
    IntentKind.RENAME_COLLECTION: _after_rename,
    IntentKind.CREATE_COLLECTION: _after_create_collection,
    IntentKind.DROP_DATABASE: _after_drop_database,
}
