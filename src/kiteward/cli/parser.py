"""How a command line is parsed: a misspelt word is refused with what may be meant, without repeating a value."""

import argparse
import sys
from collections.abc import Iterable
from typing import Any, NoReturn


class CommandParser(argparse.ArgumentParser):
    """Parses the arguments of one command, all of which it has to know.

    Attributes:
        wrong: the exit status of a wrong command line.
    """

    wrong = 2

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Return what is known; the usage of this command, not of its parent, says what else there could be."""
        unknown = self._unknown_option(sys.argv[1:] if args is None else args)
        if unknown:
            self.error(f"unknown option {unknown}{_meant(unknown, self._option_string_actions)}")
        found, left = super().parse_known_args(args, namespace)
        if left:
            self.error(f"unrecognized arguments: {' '.join(left)}")
        return found, left

    def error(self, message: str) -> NoReturn:
        """Print what is wrong, and end."""
        self.print_usage(sys.stderr)
        self.exit(self.wrong, f"{self.prog}: error: {message}\n")

    def _unknown_option(self, words: Iterable[str]) -> str:
        """Return the first option that this command does not have, before what is missing is named; empty for none."""
        for word in words:
            if word == "--" or (self._subparsers and not word.startswith("-")):
                break
            name = word.partition("=")[0]
            if name.startswith("--") and not any(option.startswith(name) for option in self._option_string_actions):
                return name
        return ""

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
