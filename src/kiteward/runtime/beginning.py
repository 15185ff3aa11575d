"""What every data directory holds from its first start on, and where it may be served from."""

import ipaddress
import logging
import socket
from pathlib import Path
from typing import Final

from kiteward.authn.hashing import PasswordHasher
from kiteward.config import Settings
from kiteward.domain.access import BUILT_IN_ROLES, PUBLIC_ROLE, Grant, GrantKey, Role
from kiteward.domain.audit import Event
from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import DEFAULT_ROOT_PASSWORD, ROOT, Secret
from kiteward.domain.naming import ANY
from kiteward.domain.privileges import ObjectType
from kiteward.gateway.recording import Recorder
from kiteward.gateway.snapshots import Snapshots
from kiteward.store.sql import SqlStore

_log = logging.getLogger("kiteward")


_log = logging.getLogger("kiteward")

PUBLIC_SEEDS: Final = (
    GrantKey(ObjectType.COLLECTION, ANY, ANY, "IndexDetail"),
    GrantKey(ObjectType.GLOBAL, ANY, ANY, "DescribeCollection"),
    GrantKey(ObjectType.GLOBAL, ANY, ANY, "ListAliases"),
)
"""What Milvus grants to `public` at each start (contract 4.7)."""


async def bootstrap(settings: Settings, snapshots: Snapshots, hasher: PasswordHasher, recorder: Recorder) -> None:
    """Create what every server has, where it is missing.

    Built-in roles, `root`, and the seeds of `public` if wanted.
    """
    made: dict[str, list[str]] = {}
    async with snapshots.change() as transaction:
        for name in BUILT_IN_ROLES:
            if await transaction.roles.get(name) is None:
                await transaction.roles.put(Role(name))
                made.setdefault("roles", []).append(name)
        if await transaction.users.get(ROOT) is None:
            await transaction.users.add(ROOT, await hasher.hash(settings.default_root_password))
            made["users"] = [ROOT]
        held = {grant.key for grant in await transaction.grants.of_role(PUBLIC_ROLE)}
        seeds = [key for key in PUBLIC_SEEDS if settings.seed_public and key not in held]
        if seeds:
            await transaction.grants.add([Grant(PUBLIC_ROLE, key, ROOT) for key in seeds])
            made |= {"granted_to": [PUBLIC_ROLE], "granted": [key.privilege for key in seeds]}
    if made:
        recorder.note_own(Event.POLICY_CHANGE, "Bootstrap", **made)


async def root_has_default_password(store_path: Path) -> bool:
    """Tell whether `root` still has the default password in a store, which is brought up to date by this.

    Raises:
        StoreError: it cannot be read.
    """
    store = await SqlStore.open(store_path)
    hasher = PasswordHasher()
    try:
        return await has_default_password(store, hasher)
    finally:
        hasher.close()
        await store.close()


async def has_default_password(store: SqlStore, hasher: PasswordHasher) -> bool:
    """Tell whether `root` still has the password that every server begins with."""
    root = await store.user(ROOT)
    return root is not None and await hasher.verify(root.password_hash, Secret(DEFAULT_ROOT_PASSWORD))


def require_loopback(host: str) -> None:
    """Keep the default password on this machine.

    Raises:
        ConfigurationError: the server would listen on another address.
    """
    if not is_loopback(host):
        raise ConfigurationError(
            f"refusing to listen on {host}: root still has the default password. Start on 127.0.0.1 "
            "and change it (MilvusClient.update_password), or start a new data directory with "
            "common.security.defaultRootPassword set"
        )


def require_loopback_without_authorization(host: str) -> None:
    """Keep a server that lets everybody in on this machine.

    Raises:
        ConfigurationError: it would listen on another address.
    """
    if not is_loopback(host):
        raise ConfigurationError(
            f"refusing to listen on {host}: common.security.authorizationEnabled is false. Without authentication "
            "Kiteward serves on this machine only: set it to true, or set kiteward.host to 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Tell whether every address a host name stands for is on this machine."""
    try:
        addresses = {str(info[4][0]) for info in socket.getaddrinfo(host or "0.0.0.0", None)}  # noqa: S104  only asked about
    except OSError:
        return False
    return all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in addresses)
