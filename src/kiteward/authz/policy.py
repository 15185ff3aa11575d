"""Decisions: a pure function of principal, conditions and policy snapshot.

A role's grants compile to masks indexed by (database, object), with `*` rows, so that a decision costs a few
dictionary look-ups however many grants there are. The rules are those of contract 4.6 and 4.7, with these of our own:
roles add up (decision 0001); a grant on a named collection applies to that collection (decision 0007); any privilege on
a collection makes it visible (decision 0002); cluster-level privileges are checked without a database (decision 0003).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, Self

from kiteward.authz.compiled_role import CompiledRole
from kiteward.authz.model import ADMIN_ROLE, PUBLIC_ROLE, Grant, Policy, PrivilegeGroup, Role
from kiteward.authz.privileges import PRIVILEGES, SHOWS_COLLECTION, Level, ObjectType, Privilege
from kiteward.authz.row_policies import CompiledRowRules, ProtectedCollection
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import AccessDenied
from kiteward.domain.identity import CredentialReach, Principal, SignInStep
from kiteward.domain.naming import ANY
from kiteward.domain.request_limits import RequestLimits


class Condition(NamedTuple):
    """One requirement of a request; all must hold for it to be allowed. A tuple, for one is created for every request.

    Attributes:
        privilege: the required privilege.
        database: the resolved database; without meaning for cluster-level privileges.
        names: every object on which it is required; `*` requires the privilege on all objects. Users for User
            privileges, collections for the others. Empty for requests about a database or the cluster as a whole.
        visibility_is_enough: whether any other privilege on the object satisfies the condition.
        own_role: a role whose holders are exempt (SelectGrant, SelectRole: contract 4.6 rule 7), or empty.
        not_oneself: whether nobody but an administrator meets it as one of the named users, with any privilege; else
            one needs no privilege as the named user (contract 4.6 rule 7).
    """

    privilege: Privilege
    database: str = ANY
    names: tuple[str, ...] = ()
    visibility_is_enough: bool = False
    own_role: str = ""
    not_oneself: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """Allowed or refused, with the rule behind it. Only `decide` creates an allowing one.

    Attributes:
        allowed: whether the request is allowed.
        reason: the rule in full, for operators.
        message: one sentence for the client; empty when allowed.
        detail: the rule as a code with parameters, for programs and translations.
    """

    allowed: bool
    reason: str
    message: str = ""
    detail: ErrorDetail | None = None

    def require_allowed(self) -> None:
        """Return if the decision is to allow.

        Raises:
            AccessDenied: the decision is a refusal; the error has the message for the client, and the rule.
        """
        if not self.allowed:
            denied = AccessDenied(self.message, *(() if self.detail is None else (self.detail,)))
            denied.reason = self.reason
            raise denied


@dataclass(frozen=True, slots=True)
class PolicySnapshot:
    """Immutable, indexed copy of the policy at one revision. Decisions depend on it and the request alone.

    Attributes:
        revision: the store's revision at which it was read.
        roles: role name -> compiled role.
        groups: custom privilege groups by name.
        row_rules: (database, collection) -> compiled row policies, enforced or not.
        role_limits: role name -> limits of the requests of its holders, where it has any; None where no role has.
    """

    revision: int
    roles: Mapping[str, CompiledRole]
    groups: Mapping[str, PrivilegeGroup]
    row_rules: Mapping[tuple[str, str], CompiledRowRules] = field(default_factory=dict)
    role_limits: Mapping[str, RequestLimits] | None = None

    @classmethod
    def compile(cls, policy: Policy) -> Self:
        """Compile the whole policy."""
        groups = {group.name: group for group in policy.groups}
        held: dict[str, list[Grant]] = {role.name: [] for role in policy.roles}
        for grant in policy.grants:
            held[grant.role].append(grant)
        roles = {role.name: CompiledRole.compile(role, held[role.name], groups) for role in policy.roles}
        rules = {(each.database, each.collection): CompiledRowRules.compile(each) for each in policy.protected}
        return cls(policy.revision, roles, groups, rules, _limits_of(roles))

    def protected(self, database: str, collection: str) -> CompiledRowRules | None:
        """Return the row policies of a collection where they are enforced, or None."""
        rules = self.row_rules.get((database, collection))
        return rules if rules is not None and rules.enabled else None

    def skips_row_policies(self, principal: Principal, database: str, collection: str) -> bool:
        """Return whether a principal bypasses row policies that are not forced.

        Administrators do, and holders of SkipRLS on the collection.
        """
        if principal.unrestricted or ADMIN_ROLE in principal.roles:
            return True
        return any(role.on(database, collection) & _SKIP_RLS for role in self.held_by(principal))

    def with_collections(self, changed: Mapping[tuple[str, str], ProtectedCollection | None]) -> Self:
        """Return a snapshot with the row policies of these collections changed; None: it has none any more."""
        rules = {**self.row_rules}
        for key, stored in changed.items():
            if stored is None:
                rules.pop(key, None)
            else:
                rules[key] = CompiledRowRules.compile(stored)
        return replace(self, row_rules=rules)

    def with_groups(self, changed: Mapping[str, PrivilegeGroup | None]) -> Self:
        """Return a snapshot with these groups changed. None stands for a group that was deleted.

        Every role that holds one of them is compiled again.
        """
        groups = {**self.groups}
        for name, group in changed.items():
            if group is None:
                groups.pop(name, None)
            else:
                groups[name] = group
        roles = {
            name: CompiledRole.compile(held.role, held.grants, groups)
            if any(grant.key.privilege in changed for grant in held.grants)
            else held
            for name, held in self.roles.items()
        }
        return replace(self, groups=groups, roles=roles)

    def with_roles(self, changed: Mapping[str, tuple[Role, Iterable[Grant]] | None], *, revision: int) -> Self:
        """Return a snapshot at a later revision with these roles changed. None stands for a role that was deleted."""
        roles = {**self.roles}
        for name, entry in changed.items():
            if entry is None:
                roles.pop(name, None)
            else:
                roles[name] = CompiledRole.compile(*entry, self.groups)
        return replace(self, revision=revision, roles=roles, role_limits=_limits_of(roles))

    def held_by(self, principal: Principal) -> list[CompiledRole]:
        """Return the principal's roles that exist, and `public`."""
        get = self.roles.get
        found = [role for name in principal.roles if (role := get(name)) is not None]
        public = get(PUBLIC_ROLE)
        if public is not None and PUBLIC_ROLE not in principal.roles:
            found.append(public)
        return found


def _limits_of(roles: Mapping[str, CompiledRole]) -> Mapping[str, RequestLimits] | None:
    return {name: compiled.role.limits for name, compiled in roles.items() if compiled.role.limits} or None


_SKIP_RLS: Final = PRIVILEGES["SkipRLS"].bit

_ALLOWED_ROOT: Final = Decision(True, "`root` is not restricted", detail=ErrorDetail(ErrorCode.ALLOWED_TO_ROOT))
_ALLOWED_ADMIN: Final = Decision(
    True, "the role `admin` may do everything", detail=ErrorDetail(ErrorCode.ALLOWED_TO_ADMINISTRATORS)
)
_ALLOWED_OPEN: Final = Decision(True, "any authenticated user may", detail=ErrorDetail(ErrorCode.ALLOWED_TO_EVERY_USER))
_ALLOWED_OWN: Final = Decision(
    True, "users may do this for themselves, with what is theirs", detail=ErrorDetail(ErrorCode.ALLOWED_TO_ONESELF)
)
_ALLOWED: Final = Decision(
    True, "the roles of the principal hold every required privilege", detail=ErrorDetail(ErrorCode.ALLOWED_BY_ROLES)
)


def decide(
    principal: Principal,
    conditions: tuple[Condition, ...],
    snapshot: PolicySnapshot,
    *,
    credential: CredentialReach = CredentialReach.FULL,
) -> Decision:
    """Decide whether a principal may make a request with these conditions.

    Args:
        principal: who calls.
        conditions: all must hold; empty when no privilege is required.
        snapshot: the policy in force.
        credential: which credentials are accepted where no privilege is required, or where the principal is exempt
            because the request is about itself or a role that it holds.

    Returns:
        The decision with its reason. It depends on the arguments alone.
    """
    if principal.unrestricted:
        return _ALLOWED_ROOT
    if not conditions:
        return decide_authenticated(principal, credential)
    if ADMIN_ROLE in principal.roles:
        return _ALLOWED_ADMIN
    held = snapshot.held_by(principal)
    exempt = _is_open(principal, credential)
    for condition in conditions:
        if condition.not_oneself and principal.user_name in condition.names:
            return _denied_to_oneself(principal, condition)
        lacking = _lacking(principal, condition, held, exempt=exempt)
        if lacking is not None:
            return denied(principal, condition, lacking)
    return _ALLOWED


def decide_authenticated(principal: Principal, credential: CredentialReach) -> Decision:
    """Decide on a request that requires no privilege: any user is allowed, with a credential of sufficient reach.

    Args:
        principal: who calls.
        credential: which credentials are accepted.
    """
    if _is_open(principal, credential):
        return _ALLOWED_OPEN
    administrator = decide_administrator(principal)
    if administrator.allowed:
        return administrator
    return Decision(
        False,
        f"`{principal.credential}` is limited, and does not act as `{principal.user_name}`",
        f"permission deny to {principal.user_name}: a limited API key does not act as its user",
        ErrorDetail(ErrorCode.LIMITED_KEY),
    )


def _is_open(principal: Principal, credential: CredentialReach) -> bool:
    return credential is CredentialReach.ANY or not principal.limited


def decide_administrator(principal: Principal) -> Decision:
    """Decide whether a principal is an administrator: `root` where it is not restricted, or a holder of `admin`.

    No other privilege suffices: whoever can set another user's password can act as that user. Nobody is one before the
    sign-in is complete.
    """
    if principal.step is not SignInStep.COMPLETE:
        return Decision(
            False,
            f"the sign-in of `{principal.user_name}` lacks a second factor",
            f"permission deny to {principal.user_name}: a second factor is needed",
            ErrorDetail(ErrorCode.ENROLMENT_DUE),
        )
    if principal.unrestricted:
        return _ALLOWED_ROOT
    if ADMIN_ROLE in principal.roles:
        return _ALLOWED_ADMIN
    return Decision(
        False,
        f"`{principal.user_name}` does not hold the role `admin`",
        f"permission deny to {principal.user_name}: an administrator is needed",
        ErrorDetail(ErrorCode.ADMINISTRATOR_NEEDED),
    )


def decide_oneself(principal: Principal) -> Decision:
    """Return why a principal was allowed what administrators may do with everything, and others with what is theirs."""
    administrator = decide_administrator(principal)
    return administrator if administrator.allowed else _ALLOWED_OWN


def _lacking(principal: Principal, condition: Condition, held: list[CompiledRole], *, exempt: bool) -> str | None:
    """Return the first object on which the condition does not hold, or None when it holds.

    The object is `*` where no particular object is missing. `exempt` says whether the principal is exempt from
    conditions about itself and its roles.
    """
    privilege = condition.privilege
    bit = privilege.bit
    own_role = condition.own_role if exempt else ""
    if own_role and (own_role == PUBLIC_ROLE or own_role in principal.roles):
        return None
    if privilege.object_type is ObjectType.USER:
        return _user_without(principal.user_name if exempt else None, condition, held)
    if privilege.level is Level.CLUSTER:
        return None if any(role.cluster & bit for role in held) else ANY
    return _collection_without(condition, held)


def _user_without(exempt: str | None, condition: Condition, held: list[CompiledRole]) -> str | None:
    bit = condition.privilege.bit
    for name in condition.names or (ANY,):
        if name != exempt and not any(role.on_user(name) & bit for role in held):
            return name
    return None


def _collection_without(condition: Condition, held: list[CompiledRole]) -> str | None:
    # Plain loops: every search runs this part of a decision.
    bit, database, visibility_is_enough = condition.privilege.bit, condition.database, condition.visibility_is_enough
    for name in condition.names or (ANY,):
        for role in held:
            if role.on(database, name) & bit or (visibility_is_enough and role.shows(database, name)):
                break
        else:
            return name
    return None


def denied(principal: Principal, condition: Condition, name: str) -> Decision:
    """Return the refusal of a condition that does not hold on an object."""
    privilege = condition.privilege
    database = ANY if privilege.level is Level.CLUSTER else condition.database
    return Decision(
        False,
        f"no role of `{principal.user_name}` holds {privilege.name} on `{database}.{name}`",
        f"Privilege{privilege.name}: permission deny to {principal.user_name} in the `{database}` database",
        ErrorDetail(ErrorCode.PRIVILEGE_MISSING_EVERYWHERE, {"privilege": privilege.name})
        if database == ANY
        else ErrorDetail(ErrorCode.PRIVILEGE_MISSING, {"privilege": privilege.name, "database": database}),
    )


def _denied_to_oneself(principal: Principal, condition: Condition) -> Decision:
    name = condition.privilege.name
    return Decision(
        False,
        f"only administrators do this as `{principal.user_name}` to `{principal.user_name}`, with or without {name}",
        f"Privilege{name}: permission deny to {principal.user_name}: only administrators change their own tags, "
        "and those of their own API keys",
        ErrorDetail(ErrorCode.TAGS_OF_ONESELF),
    )


def holds_anywhere(
    principal: Principal, privilege: Privilege, snapshot: PolicySnapshot, *, visibility_is_enough: bool
) -> bool:
    """Return whether a role of the principal holds a privilege on any object; if not, every such request is refused.

    Args:
        principal: who calls.
        privilege: the required privilege.
        snapshot: the policy in force.
        visibility_is_enough: whether any privilege on a collection suffices.
    """
    wanted = privilege.bit | (SHOWS_COLLECTION if visibility_is_enough else 0)
    return any(role.anywhere & wanted for role in snapshot.held_by(principal))


def listed_collections(
    principal: Principal, database: str, names: Iterable[str], snapshot: PolicySnapshot
) -> list[bool]:
    """Return for each collection of a database whether a list shows it to the principal.

    Contract 4.9, and decision 0002 on visibility. What `public` holds on every database (`*`) does not count here:
    Milvus' seeds are such grants and do not fill lists.
    """
    if principal.unrestricted or ADMIN_ROLE in principal.roles:
        return [True for _ in names]
    own = _explicit(principal, snapshot)
    public = snapshot.roles.get(PUBLIC_ROLE)
    return [any(role.shows(database, name) for role in own) or _public_lists(public, database, name) for name in names]


def listed_databases(principal: Principal, names: Iterable[str], snapshot: PolicySnapshot) -> list[bool]:
    """Return for each database whether a list shows it to the principal.

    It does when a grant of the principal names the database or `*` (contract 4.9).
    """
    if principal.unrestricted or ADMIN_ROLE in principal.roles:
        return [True for _ in names]
    databases = frozenset().union(*(role.databases for role in _explicit(principal, snapshot)))
    public = snapshot.roles.get(PUBLIC_ROLE)
    shown = databases | (public.databases - {ANY} if public else frozenset())
    return [ANY in databases or name in shown for name in names]


def _explicit(principal: Principal, snapshot: PolicySnapshot) -> list[CompiledRole]:
    return [role for name in principal.roles if (role := snapshot.roles.get(name)) is not None]


def _public_lists(public: CompiledRole | None, database: str, name: str) -> bool:
    if public is None:
        return False
    get = public.rows.get
    return bool(get((database, name), 0) or get((database, ANY), 0) & SHOWS_COLLECTION)
