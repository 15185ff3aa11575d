"""Reads the values of keys; an error names the key with the invalid value."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from kiteward.config.key import Key
from kiteward.config.keys import DEFAULT_ROOT_PASSWORD_KEY
from kiteward.config.sources import DEFAULT, File, root_password, shown_as, variable_of
from kiteward.config.spelling import closest, dotted
from kiteward.domain.errors import ConfigurationError

T = TypeVar("T")

COMMAND_LINE: Final = "command line"
"""The origin of a value that an option gives."""

_DOTTED: Final = re.compile(r"[A-Za-z]\w*(?:\[\d+\])?(?:\.\w+(?:\[\d+\])?)+")
"""A dotted key in a message."""


@dataclass(frozen=True, slots=True)
class EffectiveValue:
    """One effective value.

    Attributes:
        key: the dotted key.
        shown: the value as text; for a secret only whether it is set.
        origin: `default`, a file with its key, an environment variable, or `command line`.
    """

    key: str
    shown: str
    origin: str


class Reader:
    """Reads typed values from a file and the environment.

    Values are never part of an error: some are secrets.

    Attributes:
        in_force: the values that `get` and `root_password` have returned, with their origins.
    """

    def __init__(self, file: File, environment: Mapping[str, str], given: Mapping[str, str] | None = None) -> None:
        """Set up a reader.

        Args:
            file: the configuration file.
            environment: overrides the file.
            given: dotted key -> value that the command line gives, which overrides both.
        """
        self._file = file
        self._environment = environment
        self._given = given or {}
        self.in_force: list[EffectiveValue] = []

    def require_known(self, section: str, known: frozenset[str], *, mappings: frozenset[str] = frozenset()) -> None:
        """Check that a section has no unknown keys.

        Args:
            section: the section, such as `kiteward`.
            known: the dotted keys that it may have.
            mappings: those among them whose values are sections with any keys.

        Raises:
            ConfigurationError: the section has another key.
        """
        found = self._from_file(section)
        if found is not None and not isinstance(found, dict):
            raise ConfigurationError(
                f"{section} must be a section{self._file.place_of(section)}: its keys stand below it, as in "
                f"`{section}: {{host: 127.0.0.1}}`"
            )
        for key in dotted(found):
            if key not in known and not any(key.startswith(f"{each}.") for each in mappings):
                where = self._file.place_of(f"{section}.{key}")
                raise ConfigurationError(f"unknown key {section}.{key}{where}{_instead(section, key, known)}")

    def get(self, key: Key[T], default: T | None = None) -> T:
        """Return the value of a key.

        Args:
            key: its row.
            default: the value where none is given; None takes the default of the row.

        Raises:
            ConfigurationError: the value is invalid for the key.
        """
        default = key.default if default is None else default
        value = self._value(key, default)
        if value is None:
            return default
        try:
            return key.kind.parse(value)
        except ValueError as error:
            raise ConfigurationError(f"{self._name(key.name)} {error}{self._place(key.name)}") from None

    def root_password(self) -> str:
        """Return the first password of `root`; Kiteward's own variables override the key.

        Raises:
            ConfigurationError: as `kiteward.config.sources.root_password`, or as `get`.
        """
        given = root_password(self._environment)
        if given is None:
            return self.get(DEFAULT_ROOT_PASSWORD_KEY)
        self.in_force.append(EffectiveValue(DEFAULT_ROOT_PASSWORD_KEY.name, "set", given[1]))
        return given[0]

    def _value(self, key: Key[T], default: T) -> Any:
        """Return the value given for a key, or None, and add the effective value to `in_force`."""
        variable = variable_of(key.name)
        value = self._given.get(key.name, self._environment.get(variable))
        origin = variable if key.name not in self._given else COMMAND_LINE
        if value is None:
            value = self._from_file(key.name)
            origin = f"{self._file.name}: {key.name}" if value is not None else DEFAULT
        if key.secret:
            shown = "not set" if value is None else "set"
        else:
            shown = shown_as(value) if value is not None else key.unset or shown_as(default)
        self.in_force.append(EffectiveValue(key.name, shown, origin))
        return value

    def located(self, error: ConfigurationError) -> ConfigurationError:
        """Return an error with the place in the file of the first key that it names and that the file gives."""
        text = str(error)
        named = (each.rstrip(".") for each in _DOTTED.findall(text))
        place = next((place for key in named if (place := self._place(key))), "")
        return error if place in text else ConfigurationError(f"{text}{place}")

    def _place(self, key: str) -> str:
        """Return where the file gives a value; empty where something else does."""
        return "" if key in self._given or variable_of(key) in self._environment else self._file.place_of(key)

    def _name(self, key: str) -> str:
        """Return the name of a key in errors: the environment variable or the key, whichever gives the value."""
        variable = variable_of(key)
        given_by_it = variable in self._environment and key not in self._given
        return f"the environment variable {variable}" if given_by_it else key

    def _from_file(self, key: str) -> Any:
        here: Any = self._file.document
        above = ""
        for part in key.split("."):
            if here is None:
                return None
            if not isinstance(here, dict):
                raise ConfigurationError(f"{above} must be a section, not a value{self._file.place_of(above)}")
            here = here.get(part)
            above = f"{above}.{part}" if above else part
        return here


def _instead(section: str, key: str, known: frozenset[str]) -> str:
    """Return what could stand instead of an unknown key: what it probably means, or the keys of the same section."""
    meant = closest(key, known)
    if meant is not None:
        return f": did you mean {section}.{meant}?"
    above = key.rpartition(".")[0]
    beside = sorted(each for each in known if each.rpartition(".")[0] == above)
    if not beside:
        beside = sorted({each.partition(".")[0] for each in known})
        above = ""
    return (
        f"; valid keys of {f'{section}.{above}'.rstrip('.')}: {', '.join(each.rpartition('.')[2] for each in beside)}"
    )
