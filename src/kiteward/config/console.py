"""Reads the settings of the console."""

import re
from typing import Final
from urllib.parse import urlsplit

from kiteward.api.console.settings import ConsoleSettings
from kiteward.authn.sessions import SessionRules
from kiteward.config import console_keys, keys
from kiteward.config.reader import Reader
from kiteward.domain.errors import ConfigurationError

_HOST: Final = re.compile(r"[A-Za-z0-9.:\[\]_-]+")


def console(reader: Reader) -> ConsoleSettings:
    """Return the settings of the console.

    Raises:
        ConfigurationError: the address is more or less than a scheme and a host.
    """
    return ConsoleSettings(
        enabled=reader.get(keys.CONSOLE_ENABLED),
        sessions=SessionRules(
            idle=reader.get(keys.CONSOLE_IDLE_TIMEOUT), lifetime=reader.get(keys.CONSOLE_SESSION_LIFETIME)
        ),
        local_sign_in=reader.get(console_keys.LOCAL_SIGN_IN),
        address=_address(reader.get(console_keys.CONSOLE_ADDRESS)),
    )


def _address(text: str) -> str:
    if not text:
        return ""
    try:
        parts = urlsplit(text.removesuffix("/"))
        found = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        found = False
    if not found or not _HOST.fullmatch(parts.netloc) or parts.path or parts.query or parts.fragment:
        raise ConfigurationError(
            f"{console_keys.CONSOLE_ADDRESS.name} must be a scheme and a host, like https://kiteward.example, or "
            "http://localhost:19530, without a path"
        )
    return f"{parts.scheme}://{parts.netloc.lower()}"
