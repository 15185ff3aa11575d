"""What every data directory holds from its first start on, and where it may be served from."""

import ipaddress
import logging
import socket
from pathlib import Path
from typing import Final

from kiteward.audit.events import Event
from kiteward.authn.hashing import PasswordHasher
from kiteward.authz.model import BUILT_IN_ROLES, PUBLIC_ROLE, Grant, GrantKey, Role
from kiteward.authz.privileges import ObjectType
from kiteward.config.settings import Settings
from kiteward.domain.errors import ConfigurationError, InvalidArgument
from kiteward.domain.identity import DEFAULT_ROOT_PASSWORD, ROOT, Secret
from kiteward.domain.naming import ANY
from kiteward.gateway.audit_recorder import Recorder
from kiteward.gateway.policy_cache import PolicyCache
from kiteward.store.base import Store
from kiteward.store.sql import SqlStore

_log = logging.getLogger("kiteward")

DEFAULT_IN_PLACE: Final = "root still has the default password"

PUBLIC_SEEDS: Final = (
    GrantKey(ObjectType.COLLECTION, ANY, ANY, "IndexDetail"),
    GrantKey(ObjectType.GLOBAL, ANY, ANY, "DescribeCollection"),
    GrantKey(ObjectType.GLOBAL, ANY, ANY, "ListAliases"),
)
"""What Milvus grants to `public` at each start (contract 4.7)."""


async def bootstrap(settings: Settings, policy_cache: PolicyCache, hasher: PasswordHasher, recorder: Recorder) -> None:
    """Create what every server has, where it is missing.

    Built-in roles, `root`, and the seeds of `public` if wanted.

    Raises:
        ConfigurationError: as `require_first_password`; nothing was created.
    """
    made: dict[str, list[str]] = {}
    async with policy_cache.change() as transaction:
        for name in BUILT_IN_ROLES:
            if await transaction.roles.get(name) is None:
                await transaction.roles.put(Role(name))
                made.setdefault("roles", []).append(name)
        if await transaction.users.get(ROOT) is None:
            require_first_password(settings)
            await transaction.users.add(ROOT, await hasher.hash(settings.default_root_password))
            made["users"] = [ROOT]
        held = {grant.key for grant in await transaction.grants.of_role(PUBLIC_ROLE)}
        seeds = [key for key in PUBLIC_SEEDS if settings.seed_public and key not in held]
        if seeds:
            await transaction.grants.add([Grant(PUBLIC_ROLE, key, ROOT) for key in seeds])
            made |= {"granted_to": [PUBLIC_ROLE], "granted": [key.privilege for key in seeds]}
    if made:
        recorder.note_system_event(Event.POLICY_CHANGE, "Bootstrap", **made)


async def root_password_weakness_in(store_path: Path, settings: Settings) -> str:
    """Return what is wrong with the password of `root` in a store, which is brought up to date by this, or empty.

    Raises:
        StoreError: it cannot be read.
    """
    store = await SqlStore.open(store_path)
    hasher = PasswordHasher()
    try:
        return await root_password_weakness(store, hasher, settings)
    finally:
        hasher.close()
        await store.close()


def require_first_password(settings: Settings) -> None:
    """Hold the configured first password of `root` to the password policy.

    The default password is let through: it is documented, and kept on this machine by `require_loopback_for_weak_root`.

    Raises:
        ConfigurationError: the policy refuses it; the message names the broken rules.
    """
    password = settings.default_root_password
    if password == Secret(DEFAULT_ROOT_PASSWORD):
        return
    try:
        settings.passwords.check(password, user_name=ROOT)
    except InvalidArgument as error:
        raise ConfigurationError(
            f"the password policy {settings.passwords.name} rejects the first password of root ({error}): set another "
            "by KITEWARD_ROOT_PASSWORD or common.security.defaultRootPassword"
        ) from None


async def root_password_weakness(store: Store, hasher: PasswordHasher, settings: Settings) -> str:
    """Return what is wrong with the password of `root`, or empty.

    It is the default, or the configured first password and refused by the policy: a server of an earlier version, or of
    another policy, may have begun with it.
    """
    root = await store.user(ROOT)
    if root is None:
        return ""
    if await hasher.verify(root.password_hash, Secret(DEFAULT_ROOT_PASSWORD)):
        return DEFAULT_IN_PLACE
    try:
        require_first_password(settings)
    except ConfigurationError:
        if await hasher.verify(root.password_hash, settings.default_root_password):
            return f"root still has its first password, which the password policy {settings.passwords.name} rejects"
    return ""


async def require_loopback_for_weak_root(store: Store, hasher: PasswordHasher, settings: Settings) -> str:
    """Keep a weak password of `root` on this machine, warn of it there, and return what is wrong with it, or empty.

    Raises:
        ConfigurationError: the server would listen on another address.
    """
    weakness = await root_password_weakness(store, hasher, settings)
    if not weakness:
        return ""
    if not is_loopback(settings.host):
        raise ConfigurationError(
            f"refusing to listen on {settings.host}: {weakness}. Start on 127.0.0.1 "
            "and change it (MilvusClient.update_password), or start a new data directory with "
            "common.security.defaultRootPassword set"
        )
    _log.warning("%s; change it before this server is reachable from other machines", weakness)
    return weakness


def require_loopback_without_authorization(host: str) -> None:
    """Keep a server that lets everybody in on this machine.

    Raises:
        ConfigurationError: it would listen on another address.
    """
    if not is_loopback(host):
        raise ConfigurationError(
            f"refusing to listen on {host}: common.security.authorizationEnabled is false. Without authentication "
            "Kiteward listens on loopback only: set it to true, or set kiteward.host to 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Tell whether every address a host name stands for is on this machine."""
    try:
        addresses = {str(info[4][0]) for info in socket.getaddrinfo(host or "0.0.0.0", None)}  # noqa: S104  only asked about
    except OSError:
        return False
    return all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in addresses)
