"""Checks before a start: the password of `root`, and the address to listen on."""

import ipaddress
import logging
import socket
from typing import TYPE_CHECKING, Final

from kiteward.config.settings import Settings
from kiteward.domain.errors import ConfigurationError, InvalidArgument
from kiteward.domain.identity import DEFAULT_ROOT_PASSWORD, ROOT, Secret

if TYPE_CHECKING:  # the settings are checked without a store
    from kiteward.authn.hashing import PasswordHasher
    from kiteward.store.base import Store

_log = logging.getLogger("kiteward")

DEFAULT_IN_PLACE: Final = "root still has the default password"


def require_first_password(settings: Settings) -> None:
    """Check the configured first password of `root` against the password policy.

    The documented default password passes: `require_loopback_for_weak_root` restricts a server with it to loopback.

    Raises:
        ConfigurationError: the policy refuses the password; the message names the broken rules.
    """
    password = settings.default_root_password
    if password is None or password == Secret(DEFAULT_ROOT_PASSWORD):
        return
    try:
        settings.passwords.check(password, user_name=ROOT)
    except InvalidArgument as error:
        raise ConfigurationError(
            f"the password policy {settings.passwords.name} rejects the first password of root ({error}): set another "
            "by KITEWARD_ROOT_PASSWORD or common.security.defaultRootPassword"
        ) from None


async def root_password_weakness(store: "Store", hasher: "PasswordHasher", settings: Settings) -> str:
    """Return what is wrong with the password of `root`, or empty.

    A password is weak if it is the default, or if it is the configured first password and the policy refuses it. An
    earlier version or another policy may have accepted the latter.
    """
    root = await store.user(ROOT)
    if root is None:
        return ""
    if await hasher.verify(root.password_hash, Secret(DEFAULT_ROOT_PASSWORD)):
        return DEFAULT_IN_PLACE
    try:
        require_first_password(settings)
    except ConfigurationError:
        first = settings.default_root_password
        if first is not None and await hasher.verify(root.password_hash, first):
            return f"root still has its first password, which the password policy {settings.passwords.name} rejects"
    return ""


async def require_loopback_for_weak_root(store: "Store", hasher: "PasswordHasher", settings: Settings) -> str:
    """Return what is wrong with the password of `root`, or empty. On loopback, log a warning about a weak one.

    Raises:
        ConfigurationError: the password is weak and the server would listen on an address other than loopback.
    """
    weakness = await root_password_weakness(store, hasher, settings)
    if not weakness:
        return ""
    if not is_loopback(settings.host):
        raise ConfigurationError(
            f"refusing to listen on {settings.host}: {weakness}. Start on 127.0.0.1 "
            "and change it in the console, with `kiteward users reset-password root` or MilvusClient.update_password, "
            "or start a new data directory with KITEWARD_ROOT_PASSWORD set"
        )
    _log.warning("%s; change it before this server is reachable from other machines", weakness)
    return weakness


def require_loopback_without_authorization(host: str) -> None:
    """Check that a server without authorization listens on loopback only.

    Raises:
        ConfigurationError: it would listen on another address.
    """
    if not is_loopback(host):
        raise ConfigurationError(
            f"refusing to listen on {host}: common.security.authorizationEnabled is false. Without authentication "
            "Kiteward listens on loopback only: set it to true, or set kiteward.host to 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Return whether all addresses that a host name resolves to are loopback addresses."""
    try:
        addresses = {str(info[4][0]) for info in socket.getaddrinfo(host or "0.0.0.0", None)}  # noqa: S104  only asked about
    except OSError:
        return False
    return all(ipaddress.ip_address(address.partition("%")[0]).is_loopback for address in addresses)
