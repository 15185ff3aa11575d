"""The second factors of a server, and the key that seals the secrets of authenticator apps."""

import os
import secrets
from importlib import import_module
from pathlib import Path
from typing import Final

from kiteward.authn.second_factor.factors import SecondFactors
from kiteward.authn.second_factor.sealing import FactorKey
from kiteward.authn.shared_throttle import OwnLimits, SharedLimits
from kiteward.authn.throttle import Throttle
from kiteward.config.settings import Settings
from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import Secret
from kiteward.store.base import Store
from kiteward.store.data_directory import DataDirectory

_BYTES: Final = 32
_MODE: Final = 0o600


def open_factors(settings: Settings, store: Store) -> SecondFactors:
    """Return the second factors of a server.

    Raises:
        ConfigurationError: the key in the data directory cannot be read or written.
    """
    if settings.console.factors.passkeys is not None:
        # Loaded now: in the first request that needs it, it would delay all others.
        import_module("kiteward.authn.second_factor.passkeys")
    throttle = Throttle(alone=not store.shared)
    return SecondFactors(
        store,
        settings.console.factors,
        key=_key(settings),
        limits=SharedLimits(throttle, store.attempts) if store.shared else OwnLimits(throttle),
    )


def _key(settings: Settings) -> FactorKey | None:
    """Return the key of the settings; without one that of the data directory, if the store is in it too."""
    if settings.console.factor_key:
        return FactorKey(settings.console.factor_key)
    if settings.store is not None:
        return None
    return FactorKey(_key_in(DataDirectory(settings.data_dir.absolute()).factor_key_path))


def _key_in(path: Path) -> Secret:
    """Return the key in a file, which is made with a random one if it is absent."""
    try:
        if not path.exists():
            # Named when it is complete, so that a crash leaves none or a whole one.
            part = path.with_suffix(".part")
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
            with os.fdopen(descriptor, "w") as file:
                file.write(f"{secrets.token_hex(_BYTES)}\n")
                file.flush()
                os.fsync(file.fileno())
            part.rename(path)
        text = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"the key of authenticator apps `{path}` cannot be used: {error}") from None
    if not text:
        raise ConfigurationError(
            f"the key of authenticator apps `{path}` is empty: restore it, or remove it and let users enrol again"
        )
    return Secret(text)
