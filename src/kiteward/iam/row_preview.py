"""Previews of row policies: how many rows somebody sees, and through which policies.

A preview counts rows for its caller, who can choose the policies by which they are counted. So it needs ManageRLS and
Query on the collection: who has both can read every row anyway, with a policy of its own. It also depends on the roles
and tags of the user in question, so that it needs SelectUser for another user.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kiteward.authn.principals import PrincipalState
from kiteward.authz.policy import Condition, decide
from kiteward.authz.privileges import PRIVILEGES
from kiteward.authz.refusals import on_object
from kiteward.authz.row_policies import (
    USING_ACTIONS,
    BoundPolicy,
    BoundRule,
    PolicyType,
    RowAction,
)
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import InvalidArgument, LimitReached
from kiteward.filters import Constant
from kiteward.iam.access import Who, find_principal
from kiteward.iam.caller import Caller, require
from kiteward.iam.lookup import stored_user
from kiteward.iam.row_policies import Place, compiled_rules, require_on, resolved
from kiteward.iam.services import Services

MOST_KEYS: Final = 100
"""Most primary keys that one preview is asked about."""

MOST_COUNTED: Final = 50
"""Most policies whose rows one preview counts."""

_EVERY_ROW: Final = BoundRule(Constant(True), ())


@dataclass(frozen=True, slots=True)
class PolicyRows:
    """What one policy does to the rows that somebody sees.

    Attributes:
        policy: the policy, with the values of the principal.
        rows: of a permissive policy how many rows it shows, of a restrictive one how many it takes away from those that
            would be seen without it. None where this was not counted, because too many policies apply.
    """

    policy: BoundPolicy
    rows: int | None


@dataclass(frozen=True, slots=True)
class KeyRows:
    """Whether the row of a primary key is seen.

    Attributes:
        key: the primary key.
        stored: whether there is such a row.
        visible: whether the action reaches it.
        shown_by: the permissive policies that allow it.
        hidden_by: the restrictive policies that do not.
    """

    key: str
    stored: bool
    visible: bool
    shown_by: tuple[str, ...] = ()
    hidden_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Which rows somebody reaches by an action.

    Rows are counted one after another; a collection that is written to meanwhile may give numbers of different moments.

    Attributes:
        target: the collection, aliases resolved.
        user_name: the user.
        key_id: its API key, or None.
        action: the action.
        enabled: whether the policies are enforced; if not, the preview is as if they were.
        bypassed: whether they do not apply to the principal, who sees every row.
        total: how many rows there are.
        visible: how many of them the action reaches.
        policies: the policies that apply, sorted by name; none where they are bypassed.
        keys: the primary keys in question, in their order.
        refusal: why the action is refused as a whole, for lack of its privilege or because the user or key cannot
            authenticate; empty where it is not.
    """

    target: Place
    user_name: str
    key_id: str | None
    action: RowAction
    enabled: bool
    bypassed: bool
    total: int
    visible: int
    policies: Sequence[PolicyRows]
    keys: Sequence[KeyRows]
    refusal: tuple[ErrorDetail, ...]


async def preview(
    services: Services, caller: Caller, place: Place, who: Who, *, action: str, keys: Sequence[str] = ()
) -> Preview:
    """Return which rows a user or an API key reaches by an action; without either, the caller.

    Raises:
        InvalidArgument: the action touches no stored rows, the collection is not loaded, or a key is of another type.
        LimitReached: there are too many keys.
        AccessDenied: the caller lacks ManageRLS or Query on the collection, or SelectUser for another user.
        NotFound: there is no such user, or no such API key that the caller manages.
        CollectionNotFound: there is no such collection.
        EngineError: the engine does not respond, or refuses.
    """
    target = await resolved(services, place)
    require_on(caller, "ManageRLS", target, given=place)
    require_on(caller, "Query", target, given=place)
    wanted = _action(action)
    _require_few(keys)
    state, key_id = await _principal(services, caller, who)
    rules = compiled_rules(caller, target)
    bypassed = rules.bypassed_by(state.principal, caller.snapshot)
    rule = _EVERY_ROW if bypassed else rules.using(state.principal, wanted)
    view = _View(services, target, rule)
    total, visible = await view.count(_EVERY_ROW), await view.count(rule)
    return Preview(
        target=target,
        user_name=state.principal.user_name,
        key_id=key_id,
        action=wanted,
        enabled=rules.enabled,
        bypassed=bypassed,
        total=total,
        visible=visible,
        policies=await view.policies(visible),
        keys=await view.keys(keys) if keys else (),
        refusal=_refusal(caller, state, wanted, target),
    )


@dataclass(frozen=True, slots=True)
class _View:
    """The rows of a collection under a rule."""

    services: Services
    target: Place
    rule: BoundRule

    async def count(self, rule: BoundRule) -> int:
        return await self.services.rows.count(self.target.database, self.target.collection, rule)

    async def policies(self, visible: int) -> list[PolicyRows]:
        """Return what each policy does, given how many rows they allow together."""
        found: list[PolicyRows] = []
        restrictive = [part for part in self.rule.parts if _restricts(part)]
        for number, part in enumerate(self.rule.parts):
            rows: int | None = None
            if number < MOST_COUNTED and _restricts(part):
                without = BoundRule.of([each for each in self.rule.parts if each is not part])
                rows = max(0, await self.count(without) - visible)
            elif number < MOST_COUNTED:
                rows = await self.count(BoundRule.of([part, *restrictive]))
            found.append(PolicyRows(part, rows))
        return found

    async def keys(self, keys: Sequence[str]) -> list[KeyRows]:
        stored, visible = await self._found(_EVERY_ROW, keys), await self._found(self.rule, keys)
        alone = {
            part: await self._found(BoundRule(part.expression, (part.name,), (part,)), keys)
            for part in self.rule.parts[:MOST_COUNTED]
        }
        return [
            KeyRows(
                key,
                stored=key in stored,
                visible=key in visible,
                shown_by=tuple(part.name for part, found in alone.items() if key in found and not _restricts(part)),
                hidden_by=tuple(
                    part.name
                    for part, found in alone.items()
                    if key in stored and key not in found and _restricts(part)
                ),
            )
            for key in dict.fromkeys(keys)
        ]

    async def _found(self, rule: BoundRule, keys: Sequence[str]) -> frozenset[str]:
        return await self.services.rows.keys(self.target.database, self.target.collection, rule, keys)


def _restricts(part: BoundPolicy) -> bool:
    return part.policy_type is PolicyType.RESTRICTIVE


def _require_few(keys: Sequence[str]) -> None:
    if len(keys) > MOST_KEYS:
        raise LimitReached(
            f"a preview is of at most {MOST_KEYS} primary keys",
            ErrorDetail(ErrorCode.PREVIEW_KEYS_LIMIT, {"limit": MOST_KEYS}),
            field="primaryKeys",
        )


def _action(name: str) -> RowAction:
    known = [action.value for action in RowAction if action in USING_ACTIONS]
    if name not in known:
        raise InvalidArgument(
            f"{name} is no action on stored rows: choose from {', '.join(known)}",
            ErrorDetail(ErrorCode.ROW_POLICY_ACTION_UNKNOWN, {"name": name, "known": ", ".join(known)}),
            field="action",
        )
    return RowAction(name)


async def _principal(services: Services, caller: Caller, who: Who) -> tuple[PrincipalState, str | None]:
    """Return the principal of a user or API key; of another user to holders of SelectUser, who also see its tags."""
    if not who.user_name or who.key_id:
        return await find_principal(services, caller, who)
    condition = Condition(PRIVILEGES["SelectUser"], names=(who.user_name,))
    require(caller, condition)
    return await services.principals.of_user(await stored_user(services, who.user_name)), None


def _refusal(caller: Caller, state: PrincipalState, action: RowAction, target: Place) -> tuple[ErrorDetail, ...]:
    if state.closed is not None:
        return state.closed.details
    condition = Condition(PRIVILEGES[action.value], target.database, (target.collection,))
    decision = decide(state.principal, (condition,), caller.snapshot)
    decision = on_object(decision, state.principal, condition, target.collection)
    return () if decision.allowed or decision.detail is None else (decision.detail,)
