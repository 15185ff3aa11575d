"""How a command line is parsed: a misspelt word is refused with what may be meant, without repeating a value."""

import argparse
import itertools
import sys
from collections.abc import Iterable
from typing import Any, Final, NoReturn

_FILE: Final = "-file"
"""How options end that name a file with a secret. Without it, the secret itself may have been given."""

_CERTIFICATES: Final = "--ca-file"
"""The option for a file without secrets."""


class CommandParser(argparse.ArgumentParser):
    """Parses the arguments of one command, all of which it has to know.

    Attributes:
        wrong: the exit status of a wrong command line.
    """

    wrong = 2

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Return what is known; the usage of this command, not of its parent, says what else there could be."""
        self._check_options(sys.argv[1:] if args is None else args)
        found, left = super().parse_known_args(args, namespace)
        if left:
            # What was given in a wrong place may be a password.
            options = (word[:2] for word in itertools.takewhile("--".__ne__, left) if word.startswith("-"))
            option = next(options, "--")
            self.error("more arguments than this command has" if option == "--" else f"unknown option {option}")
        return found, left

    def error(self, message: str) -> NoReturn:
        """Print what is wrong, and end."""
        self.print_usage(sys.stderr)
        self.exit(self.wrong, f"{self.prog}: error: {message}\n")

    def _check_options(self, words: Iterable[str]) -> None:
        """Refuse options that this command does not have, before what is missing is named."""
        for word in words:
            if word == "--" or (self._subparsers and not word.startswith("-")):
                break
            name = word.partition("=")[0]
            if name.startswith("--") and " " not in name and name not in self._option_string_actions:
                self._check_abbreviation(name)

    def _check_abbreviation(self, name: str) -> None:
        meant = [option for option in self._option_string_actions if option.startswith(name)]
        if not meant:
            after = "; options come after COMMAND" if self._subparsers else ""
            self.error(f"unknown option {name}{_meant(name, self._option_string_actions) or after}")
        if len(meant) > 1:
            self.error(f"ambiguous option {name}; did you mean one of {', '.join(meant)}?")
        stem, file, _ = meant[0].rpartition(_FILE)
        if file and stem.startswith(name) and meant[0] != _CERTIFICATES:
            self.error(f"other users of this machine can read arguments: give {meant[0]} FILE")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Refuse a value that is not among the choices."""
        if action.choices is not None and value not in action.choices:
            meant = _meant(str(value), map(str, action.choices))
            if meant:
                raise argparse.ArgumentError(action, f"invalid choice: {value!r}{meant}")
        super()._check_value(action, value)


def _meant(word: str, known: Iterable[str]) -> str:
    from kiteward.domain.suggestions import meant_by  # noqa: PLC0415  only where something is wrong

    meant = meant_by(word, known)
    return f"; did you mean {meant}?" if meant else ""
