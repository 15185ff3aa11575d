"""How pages look in one browser: theme, language and time zone."""

import re
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Final, Self
from zoneinfo import ZoneInfo, available_timezones

from kiteward.api.console.language import NAMES

THEMES: Final = ("system", "light", "dark")
BY_BROWSER: Final = "browser"
"""The choice of the language that the browser asks for."""

UNIVERSAL: Final = "UTC"
_ZONE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,2}")
_LONGEST_ZONE: Final = 64
_PARTS: Final = 3


@dataclass(frozen=True, slots=True)
class Display:
    """How pages look in one browser.

    Attributes:
        theme: one of `THEMES`; `system` follows the operating system.
        language: the name of a language, or `BY_BROWSER`.
        zone: the name of the time zone in which times are shown.
    """

    theme: str = THEMES[0]
    language: str = BY_BROWSER
    zone: str = UNIVERSAL

    @classmethod
    def read(cls, cookie: str) -> Self:
        """Return what a cookie says; what is not valid in it counts as not chosen.

        Args:
            cookie: the value of the cookie, from an untrusted browser; empty where it sent none.
        """
        parts = cookie.split(".")
        if len(parts) != _PARTS:
            return cls()
        theme, language, zone = parts
        return cls(
            theme if theme in THEMES else THEMES[0],
            language if language in NAMES else BY_BROWSER,
            zone if zone_named(zone) is not None else UNIVERSAL,
        )

    @property
    def cookie(self) -> str:
        """The value of the cookie, which `read` takes."""
        return ".".join((self.theme, self.language, self.zone))

    @property
    def time_zone(self) -> tzinfo:
        """The time zone; UTC where the system does not know it."""
        return zone_named(self.zone) or UTC


def zone_named(name: str) -> tzinfo | None:
    """Return the time zone of a name of the IANA database, or None if there is none here.

    Args:
        name: what a browser sent; never a path outside the database.
    """
    if name == UNIVERSAL:
        return UTC
    if len(name) > _LONGEST_ZONE or not _ZONE.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        return None


def zone_names() -> list[str]:
    """Return the names of the time zones to choose from: UTC, and those of places."""
    places = (name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/")))
    return [UNIVERSAL, *sorted(places)]
