"""Creates the built-in users and roles of a data directory."""

from typing import Final

from kiteward.audit.events import Event
from kiteward.authn.hashing import PasswordHasher
from kiteward.authz.model import BUILT_IN_ROLES, PUBLIC_ROLE, Grant, GrantKey, Role
from kiteward.authz.privileges import ObjectType
from kiteward.bootstrap.start_checks import require_first_password
from kiteward.config.settings import Settings
from kiteward.domain.identity import ROOT
from kiteward.domain.naming import ANY
from kiteward.gateway.audit_recorder import Recorder
from kiteward.gateway.policy_cache import PolicyCache
from kiteward.store.records import NO_PASSWORD

PUBLIC_SEEDS: Final = (
    GrantKey(ObjectType.COLLECTION, ANY, ANY, "IndexDetail"),
    GrantKey(ObjectType.GLOBAL, ANY, ANY, "DescribeCollection"),
    GrantKey(ObjectType.GLOBAL, ANY, ANY, "ListAliases"),
)
"""The privileges that Milvus grants to `public` at each start (contract 4.7)."""


async def bootstrap(settings: Settings, policy_cache: PolicyCache, hasher: PasswordHasher, recorder: Recorder) -> None:
    """Create the built-in roles and `root` where they are missing.

    If configured, also grant `public` its seed privileges.

    Raises:
        ConfigurationError: as `require_first_password`; nothing was created.
    """
    made: dict[str, list[str]] = {}
    async with policy_cache.change() as transaction:
        first = await transaction.users.get(ROOT) is None
    if first:
        require_first_password(settings)
    password = settings.default_root_password
    # Outside of a transaction: a database ends one that pauses for long.
    password_hash = NO_PASSWORD if password is None or not first else await hasher.hash(password)
    async with policy_cache.change() as transaction:
        for name in BUILT_IN_ROLES:
            if await transaction.roles.get(name) is None:
                await transaction.roles.put(Role(name))
                made.setdefault("roles", []).append(name)
        if first and await transaction.users.get(ROOT) is None:
            await transaction.users.add(ROOT, password_hash)
            made["users"] = [ROOT]
        held = {grant.key for grant in await transaction.grants.of_role(PUBLIC_ROLE)}
        seeds = [key for key in PUBLIC_SEEDS if settings.seed_public and key not in held]
        if seeds:
            await transaction.grants.add([Grant(PUBLIC_ROLE, key, ROOT) for key in seeds])
            made |= {"granted_to": [PUBLIC_ROLE], "granted": [key.privilege for key in seeds]}
        if made:
            await recorder.store_system_event(transaction, Event.POLICY_CHANGE, "Bootstrap", **made)
    if made:
        recorder.note_system_event(Event.POLICY_CHANGE, "Bootstrap", **made)
