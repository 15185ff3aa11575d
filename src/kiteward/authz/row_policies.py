"""Row policies: which rows of a collection a principal may read and write. Compiled and bound here; pure.

A row is allowed if a permissive policy allows it and every restrictive one does. Policies are enforced where the
collection's property for it is true. Then nothing is allowed that no permissive policy allows.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol, Self

from kiteward.authz.model import PUBLIC_ROLE
from kiteward.authz.row_binding import Bindings, bound, conjunction, disjunction
from kiteward.domain.errors import KitewardError
from kiteward.domain.identity import Principal
from kiteward.filters import Constant, Dialect, Expression, fields_of, parse


class RowAction(StrEnum):
    """What a policy is about, as the protocol names it. Hybrid search is SEARCH."""

    QUERY = "Query"
    SEARCH = "Search"
    INSERT = "Insert"
    DELETE = "Delete"
    UPSERT = "Upsert"


class PolicyType(StrEnum):
    """How policies are combined. Those of the pinned protocol are permissive."""

    PERMISSIVE = "PERMISSIVE"
    """A row needs one of these."""
    RESTRICTIVE = "RESTRICTIVE"
    """A row needs all of these too."""


USING_ACTIONS: Final = frozenset({RowAction.QUERY, RowAction.SEARCH, RowAction.DELETE, RowAction.UPSERT})
"""Actions that use `using_expr`, on rows that are stored."""

CHECK_ACTIONS: Final = frozenset({RowAction.INSERT, RowAction.UPSERT})
"""Actions that use `check_expr`, on rows that are written."""


@dataclass(frozen=True, slots=True)
class RowPolicy:
    """A row policy as it is stored.

    Attributes:
        name: its name, unique on its collection.
        policy_type: how it is combined with others.
        actions: what it is about.
        roles: for whose holders it is, sorted; empty for everybody, as is `public`.
        using_expr: the rows that are stored which it allows, in the filter language of policies; empty where no action
            uses it.
        check_expr: the rows that are written which it allows; likewise.
        description: free text.
        created_at: seconds since the epoch.
    """

    name: str
    policy_type: PolicyType
    actions: frozenset[RowAction]
    roles: tuple[str, ...] = ()
    using_expr: str = ""
    check_expr: str = ""
    description: str = ""
    created_at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectedCollection:
    """A collection that has row policies, or whose properties about them were set.

    Attributes:
        database, collection: its names.
        enabled: whether the policies are enforced.
        force: whether they also apply to those who bypass them otherwise.
        policies: its policies, sorted by name.
    """

    database: str
    collection: str
    enabled: bool
    force: bool
    policies: tuple[RowPolicy, ...] = ()

    def policy(self, name: str) -> RowPolicy | None:
        """Return the policy of a name, or None."""
        return next((policy for policy in self.policies if policy.name == name), None)


@dataclass(frozen=True, slots=True)
class BoundPolicy:
    """One policy that applies to a request, with the values of its principal.

    Attributes:
        name: the policy.
        policy_type: how it is combined with others.
        expression: the rows that it allows.
    """

    name: str
    policy_type: PolicyType
    expression: Expression


@dataclass(frozen=True, slots=True)
class BoundRule:
    """The rows that a principal may touch by an action. It contains no variable any more.

    Attributes:
        expression: (one of the permissive policies) and (every restrictive one); `Constant(False)` for no row. A
            constant is never inside another expression.
        policies: the names of the policies that apply, sorted.
        parts: the same policies, each by itself.
    """

    expression: Expression
    policies: tuple[str, ...]
    parts: tuple[BoundPolicy, ...] = ()

    @classmethod
    def of(cls, parts: Sequence[BoundPolicy]) -> Self:
        """Return the rule of some policies; without a permissive one, it allows no row."""
        permissive = [part.expression for part in parts if part.policy_type is PolicyType.PERMISSIVE]
        restrictive = [part.expression for part in parts if part.policy_type is PolicyType.RESTRICTIVE]
        expression = conjunction([disjunction(permissive), *restrictive])
        return cls(expression, tuple(part.name for part in parts), tuple(parts))


class RolePrivileges(Protocol):
    """What tells who bypasses row policies; implemented by `PolicySnapshot`."""

    def skips_row_policies(self, principal: Principal, database: str, collection: str) -> bool:
        """Return whether a principal is an administrator, or holds SkipRLS on the collection."""
        ...


@dataclass(frozen=True, slots=True)
class _Compiled:
    """One expression of a policy, parsed; None where it cannot be parsed, so that it allows nothing."""

    policy: RowPolicy
    expression: Expression | None

    def bound(self, bindings: Bindings) -> BoundPolicy:
        expression = Constant(False) if self.expression is None else bound(self.expression, bindings)
        return BoundPolicy(self.policy.name, self.policy.policy_type, expression)

    @property
    def restrictive(self) -> bool:
        return self.policy.policy_type is PolicyType.RESTRICTIVE


@dataclass(frozen=True, slots=True)
class _Applying:
    """The policies that are about one action: those for everybody, and by role."""

    everybody: tuple[_Compiled, ...] = ()
    by_role: Mapping[str, tuple[_Compiled, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, policies: Iterable[_Compiled]) -> Self:
        everybody: list[_Compiled] = []
        by_role: dict[str, list[_Compiled]] = {}
        for each in policies:
            if not each.policy.roles or PUBLIC_ROLE in each.policy.roles:
                everybody.append(each)
                continue
            for role in each.policy.roles:
                by_role.setdefault(role, []).append(each)
        return cls(tuple(everybody), {role: tuple(held) for role, held in by_role.items()})

    def to(self, principal: Principal) -> list[_Compiled]:
        """Return the policies that apply to a principal, sorted by name.

        A key that leaves out a role of its user does not escape the restrictive policies for that role.
        """
        found = {each.policy.name: each for each in self.everybody}
        for role in principal.roles:
            found.update((each.policy.name, each) for each in self.by_role.get(role, ()))
        for role in principal.withheld_roles:
            found.update((each.policy.name, each) for each in self.by_role.get(role, ()) if each.restrictive)
        return [found[name] for name in sorted(found)]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledRowRules:
    """A collection's row policies, each expression parsed once.

    Attributes:
        stored: the collection with its policies, as it is stored.
        using_by, check_by: action -> the policies that are about it, with that expression.
        read_fields: the fields that any policy reads.
        faults: name of a policy -> why an expression of it cannot be parsed, so that it allows nothing.
    """

    stored: ProtectedCollection
    using_by: Mapping[RowAction, _Applying]
    check_by: Mapping[RowAction, _Applying]
    read_fields: frozenset[str]
    faults: Mapping[str, str]

    @classmethod
    def compile(cls, stored: ProtectedCollection) -> Self:
        """Compile a collection's policies. What cannot be parsed allows nothing."""
        faults: dict[str, str] = {}
        using = _parsed(stored.policies, lambda policy: policy.using_expr, USING_ACTIONS, faults)
        check = _parsed(stored.policies, lambda policy: policy.check_expr, CHECK_ACTIONS, faults)
        expressions = [each.expression for each in (*using, *check) if each.expression is not None]
        return cls(
            stored=stored,
            using_by=_by_action(using, USING_ACTIONS),
            check_by=_by_action(check, CHECK_ACTIONS),
            read_fields=frozenset().union(*map(fields_of, expressions)),
            faults=faults,
        )

    @property
    def enabled(self) -> bool:
        """Whether the policies are enforced."""
        return self.stored.enabled

    @property
    def force(self) -> bool:
        """Whether nobody bypasses them."""
        return self.stored.force

    def bypassed_by(self, principal: Principal, snapshot: RolePrivileges) -> bool:
        """Return whether a principal may touch every row: an administrator or a holder of SkipRLS, unless forced.

        Args:
            principal: who calls.
            snapshot: the policy in force.
        """
        return not self.force and snapshot.skips_row_policies(principal, self.stored.database, self.stored.collection)

    def using(self, principal: Principal, action: RowAction) -> BoundRule:
        """Return the stored rows that a principal may touch by an action; none for INSERT, which touches none.

        A comparison with a tag that the principal does not have is false. In a list, such a tag is left out.
        """
        return _rule(self.using_by.get(action, _Applying()), principal)

    def check(self, principal: Principal, action: RowAction) -> BoundRule:
        """Return the rows that a principal may write by an action; none for actions that write none.

        Tags are treated as by `using`.
        """
        return _rule(self.check_by.get(action, _Applying()), principal)


def _parsed(
    policies: Iterable[RowPolicy],
    text_of: Callable[[RowPolicy], str],
    actions: frozenset[RowAction],
    faults: dict[str, str],
) -> list[_Compiled]:
    """Parse one expression of every policy with an action that uses it."""
    compiled: list[_Compiled] = []
    for policy in policies:
        if not policy.actions & actions:
            continue
        try:
            compiled.append(_Compiled(policy, parse(text_of(policy), Dialect.POLICY)))
        except KitewardError as error:
            faults[policy.name] = str(error)
            compiled.append(_Compiled(policy, None))
    return compiled


def _by_action(compiled: list[_Compiled], actions: frozenset[RowAction]) -> dict[RowAction, _Applying]:
    return {
        action: _Applying.of(each for each in compiled if action in each.policy.actions)
        for action in RowAction
        if action in actions
    }


def _rule(applying: _Applying, principal: Principal) -> BoundRule:
    bindings = Bindings(principal.user_name, principal.tags)
    return BoundRule.of([each.bound(bindings) for each in applying.to(principal)])
