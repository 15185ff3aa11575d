"""Reads the values of keys; an error names the key with the invalid value."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from kiteward.config.key import Key
from kiteward.config.keys import DEFAULT_ROOT_PASSWORD_KEY
from kiteward.config.sources import DEFAULT, File, root_password, shown_as, variable_of
from kiteward.domain.errors import ConfigurationError

T = TypeVar("T")

COMMAND_LINE: Final = "command line"
"""The origin of a value that an option gives."""


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
        for key in _dotted(self._from_file(section)):
            if key not in known and not any(key.startswith(f"{each}.") for each in mappings):
                raise ConfigurationError(f"unknown key {section}.{key}; valid keys: {', '.join(sorted(known))}")

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
            raise ConfigurationError(f"{self._name(key.name)} {error}") from None

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

    def _name(self, key: str) -> str:
        """Return the name of a key in errors: the environment variable or the key, whichever gives the value."""
        variable = variable_of(key)
        given_by_it = variable in self._environment and key not in self._given
        return f"the environment variable {variable}" if given_by_it else key

    def _from_file(self, key: str) -> Any:
        here: Any = self._file.document
        for part in key.split("."):
            if here is None:
                return None
            if not isinstance(here, dict):
                raise ConfigurationError(f"{key} cannot be read: a section of that name is expected, not a value")
            here = here.get(part)
        return here


def _dotted(section: object, prefix: str = "") -> list[str]:
    if not isinstance(section, dict):
        return [prefix.rstrip(".")] if prefix else []
    return [key for name, value in section.items() for key in _dotted(value, f"{prefix}{name}.")]
