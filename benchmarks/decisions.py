"""What it costs to authenticate, resolve and decide in process, with 100 grants and with 100,000, beside pycasbin."""

import gc
import random
import statistics
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from benchmarks.frames import COLLECTION, Recorded
from kiteward.authn.authenticator import Authenticator
from kiteward.authn.hashing import TESTING, PasswordHasher
from kiteward.authz.model import Grant, GrantKey, Policy, Role
from kiteward.authz.policy import PolicySnapshot, decide
from kiteward.authz.privileges import ObjectType
from kiteward.domain.identity import PasswordCredential, Secret
from kiteward.engine.base import EngineHealth
from kiteward.gateway.admission import Admission
from kiteward.gateway.call import Call
from kiteward.gateway.catalog import Catalog
from kiteward.gateway.operations import OPERATIONS
from kiteward.gateway.resolve import resolve_request
from kiteward.store.records import HashSchemes, UserRecord

FEW: Final = 100
MANY: Final = 100_000
_ROLES: Final = 1_000
_USER: Final = "reader"
_PASSWORD: Final = "Kite-ward-1"
_PRIVILEGES: Final = ("Query", "Insert", "Delete", "Load", "Release", "Flush", "GetStatistics")
_BLOCKS: Final = 10
_CALLS_A_BLOCK: Final = 2_500
_CASBIN_SECONDS: Final = 8.0

_CASBIN_MATCHER: Final = (
    'r.privilege == p.privilege && (p.name == "*" || r.name == p.name) && (p.db == "*" || r.db == p.db)'
    " && g(r.user, p.role)"
)
_CASBIN_MODEL: Final = f"""
[request_definition]
r = user, db, name, privilege
[policy_definition]
p = role, db, name, privilege
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = {_CASBIN_MATCHER}
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds a call.

    Attributes:
        median, p99: of all calls.
        calls: how many.
    """

    median: float
    p99: float
    calls: int

    @classmethod
    def of(cls, nanoseconds: list[int]) -> "Cost":
        """Summarise single calls."""
        ordered = sorted(nanoseconds)
        return cls(statistics.median(ordered) / 1e3, ordered[(len(ordered) - 1) * 99 // 100] / 1e3, len(ordered))


class OneUser:
    """As much of a store as the authenticator asks for: one user."""

    def __init__(self, record: UserRecord) -> None:
        self._record = record

    async def user(self, name: str) -> UserRecord | None:
        """Return the user of that name."""
        return self._record if name == self._record.name else None

    async def hash_schemes(self, names: Collection[str] | None) -> HashSchemes:
        """Return how the one hash begins: all but its salt and digest."""
        if names is not None and self._record.name not in names:
            return HashSchemes(frozenset(), None)
        beginning, _, _ = self._record.password_hash.rsplit("$", 2)
        return HashSchemes(frozenset({f"{beginning}$"}), None)


class _NoEngine:
    """As much of an engine as the catalog asks for when nothing has changed."""

    generation = 1

    async def call(self, method: str, payload: bytes, *, metadata: Mapping[str, str], timeout: float | None) -> bytes:
        raise NotImplementedError

    def health(self) -> EngineHealth:
        return EngineHealth(ready=True)

    async def close(self) -> None:
        return


def grants(number: int) -> list[Grant]:
    """Return grants spread over the roles, in no order.

    The third role of the user holds Search on the collection, which stands half-way: what searches a list does not find
    it at once. All other grants are of other privileges on other collections.
    """
    drawn = random.Random(number)
    made = [_grant(at % _ROLES, drawn.choice(_PRIVILEGES), f"collection_{at // _ROLES}") for at in range(1, number)]
    drawn.shuffle(made)
    made.insert(number // 2, _grant(2, "Search", COLLECTION))
    return made


def _grant(role: int, privilege: str, name: str) -> Grant:
    return Grant(f"role_{role}", GrantKey(ObjectType.COLLECTION, "default", name, privilege), "root")


def _snapshot(number: int) -> PolicySnapshot:
    roles = (Role("admin"), Role("public"), *(Role(f"role_{number}") for number in range(_ROLES)))
    return PolicySnapshot.compile(Policy(1, roles, tuple(grants(number)), ()))


async def ours(request: Recorded) -> dict[int, Cost]:
    """Measure a remembered caller with three roles; the two sizes take turns."""
    hasher = PasswordHasher(TESTING)
    hashed = await hasher.hash(Secret(_PASSWORD))
    roles = ("role_0", "role_1", "role_2")
    record = UserRecord(_USER, hashed, "credential", description="", created_at=0, changed_at=0, roles=roles)
    authenticator = Authenticator(OneUser(record), hasher)  # type: ignore[arg-type]  # it asks for users only
    policy_cache = {FEW: _snapshot(FEW), MANY: _snapshot(MANY)}
    samples: dict[int, list[int]] = {FEW: [], MANY: []}
    catalog = Catalog(_NoEngine())
    gc.collect()
    for block in range(_BLOCKS + 1):
        for size, snapshot in policy_cache.items():
            taken = await _block(request, authenticator, snapshot, catalog)
            # The first block logs in and warms up.
            samples[size] += taken if block else []
    hasher.close()
    return {size: Cost.of(taken) for size, taken in samples.items()}


async def _block(
    request: Recorded, authenticator: Authenticator, snapshot: PolicySnapshot, catalog: Catalog
) -> list[int]:
    operation = OPERATIONS[request.operation]
    call = Call(request.operation, request.payload, PasswordCredential(_USER, Secret(_PASSWORD)))
    check = Admission().check
    # None of this waits, so this thread's processor time is how long it takes while nobody else needs the core.
    clock = time.thread_time_ns
    taken = []
    for _ in range(_CALLS_A_BLOCK):
        start = clock()
        principal = await authenticator.authenticate(call.credential)
        resolved = resolve_request(operation, call, catalog, check)
        decision = decide(principal, resolved.conditions, snapshot)
        taken.append(clock() - start)
        assert decision.allowed
    return taken


def casbin(number: int) -> Cost | None:
    """Measure pycasbin with the same roles and grants, for a few seconds; None where it is not installed."""
    try:
        import casbin as library  # noqa: PLC0415  the yardstick may be missing
    except ImportError:
        return None
    enforcer = library.Enforcer(library.Enforcer.new_model(text=_CASBIN_MODEL))
    held = enforcer.get_model().model["p"]["p"]
    # Straight into the model: adding one by one searches for duplicates each time.
    held.policy += [
        [grant.role, grant.key.db_name, grant.key.object_name, grant.key.privilege] for grant in grants(number)
    ]
    for role in ("role_0", "role_1", "role_2"):
        enforcer.add_grouping_policy(_USER, role)
    taken = list(_enforced(enforcer))
    return Cost.of(taken)


def _enforced(enforcer: object) -> Iterator[int]:
    """Yield nanoseconds a call: at least three calls, at most 20,000, no more than a few seconds of them."""
    end = time.monotonic() + _CASBIN_SECONDS
    for done in range(20_000):
        start = time.thread_time_ns()
        allowed = enforcer.enforce(_USER, "default", COLLECTION, "Search")  # type: ignore[attr-defined]  # untyped library
        yield time.thread_time_ns() - start
        assert allowed
        if done >= 2 and time.monotonic() > end:
            return
