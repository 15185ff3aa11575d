"""Reads the settings of the console."""

import re
from typing import Final
from urllib.parse import urlsplit

from kiteward.api.console.settings import ConsoleSettings
from kiteward.authn.second_factor.rules import PasskeyRules, RequiredOf, SecondFactorRules
from kiteward.authn.session_rules import SessionRules
from kiteward.config import console_keys, keys
from kiteward.config.reader import Reader
from kiteward.config.sources import password_in
from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import Secret

_SHORTEST_KEY: Final = 32
_AUTHORITY: Final = re.compile(r"[A-Za-z0-9.:\[\]_-]+")
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
_NUMBERS: Final = re.compile(r"[0-9.]+")
_LOCALHOST: Final = "localhost"


def console(reader: Reader, *, shared: bool) -> ConsoleSettings:
    """Return the settings of the console.

    Args:
        reader: reads the settings.
        shared: whether the store is one that several servers can share, which have no file with a key in common.

    Raises:
        ConfigurationError: settings contradict one another, the address is more or less than a scheme and a host, or
            nobody could enrol a second factor that is required.
    """
    required, key, passkeys = reader.get(console_keys.SECOND_FACTOR), _factor_key(reader), _passkeys(reader)
    if required is not RequiredOf.NOBODY and shared and not key and passkeys is None:
        raise ConfigurationError(
            f"{console_keys.SECOND_FACTOR.name} is {required}, and nobody can enrol one: set "
            f"{console_keys.FACTOR_KEY_FILE.name} for authenticator apps, or {console_keys.PASSKEY_RP_ID.name} for "
            "passkeys"
        )
    return ConsoleSettings(
        enabled=reader.get(keys.CONSOLE_ENABLED),
        sessions=SessionRules(
            idle=reader.get(keys.CONSOLE_IDLE_TIMEOUT), lifetime=reader.get(keys.CONSOLE_SESSION_LIFETIME)
        ),
        local_sign_in=reader.get(console_keys.LOCAL_SIGN_IN),
        address=_address(reader.get(console_keys.CONSOLE_ADDRESS)),
        factors=SecondFactorRules(required, passkeys),
        factor_key=key,
    )


def _address(text: str) -> str:
    if not text:
        return ""
    try:
        parts = urlsplit(text.removesuffix("/"))
        found = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        found = False
    if not found or not _AUTHORITY.fullmatch(parts.netloc) or parts.path or parts.query or parts.fragment:
        raise ConfigurationError(
            f"{console_keys.CONSOLE_ADDRESS.name} must be a scheme and a host, like https://kiteward.example, or "
            "http://localhost:19530, without a path"
        )
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _factor_key(reader: Reader) -> Secret:
    text, path = reader.get(console_keys.FACTOR_KEY), reader.get(console_keys.FACTOR_KEY_FILE)
    if text and path:
        raise ConfigurationError(
            f"{console_keys.FACTOR_KEY.name} and {console_keys.FACTOR_KEY_FILE.name} are both set: set one of them"
        )
    if path:
        text = password_in(path, console_keys.FACTOR_KEY_FILE.name)
    name = console_keys.FACTOR_KEY_FILE.name if path else console_keys.FACTOR_KEY.name
    if (text or path) and len(text) < _SHORTEST_KEY:
        raise ConfigurationError(
            f"{name} must hold {_SHORTEST_KEY} random characters or more, as `openssl rand -hex 32` prints them"
        )
    return Secret(text)


def _passkeys(reader: Reader) -> PasskeyRules | None:
    rp_id, origins = reader.get(console_keys.PASSKEY_RP_ID), reader.get(console_keys.PASSKEY_ORIGINS)
    if not rp_id:
        if origins:
            raise ConfigurationError(
                f"{console_keys.PASSKEY_ORIGINS.name} without {console_keys.PASSKEY_RP_ID.name} does nothing: set "
                "both, or leave it out"
            )
        return None
    if not _HOST.fullmatch(rp_id) or _NUMBERS.fullmatch(rp_id):
        raise ConfigurationError(
            f"{console_keys.PASSKEY_RP_ID.name} must be a host name in lower case, without a port, and no address"
        )
    for origin in origins:
        if not _fits(origin, rp_id):
            raise ConfigurationError(
                f"{console_keys.PASSKEY_ORIGINS.name} must be like https://{rp_id} or https://console.{rp_id}:8443; "
                "http:// is for localhost alone"
            )
    return PasskeyRules(rp_id, tuple(sorted(origins)) or (f"https://{rp_id}",))


def _fits(origin: str, rp_id: str) -> bool:
    """Return whether browsers let pages of an origin use passkeys of a host name."""
    try:
        parts = urlsplit(origin)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    local = host == _LOCALHOST or host.endswith(f".{_LOCALHOST}")
    whole = f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")
    return (
        whole == origin
        and (parts.scheme == "https" or (parts.scheme == "http" and local))
        and (host == rp_id or host.endswith(f".{rp_id}"))
    )
