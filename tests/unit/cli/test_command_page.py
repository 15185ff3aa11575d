"""docs/command-line.md lists every command with its options, as the parser has them."""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.support import generated_sections

from kiteward.cli.main import whole_parser

PAGE = Path(__file__).parents[3] / "docs" / "command-line.md"

EXPLAINED = ("-h", "--help", "--json", "--config", "--data-dir", "--server", "--token-file", "--ca-file", "--insecure")
"""Options of most commands, which the text above the tables explains."""


def rows(parser: argparse.ArgumentParser, path: str, text: str) -> Iterator[str]:
    """Yield a row for each command of a parser."""
    places, options, known = [path], [], set(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {each.dest: each.help or "" for each in action._choices_actions}
            for word, below in action.choices.items():
                yield from rows(below, f"{path} {word}", helps[word])
            return
        if action.help == argparse.SUPPRESS:
            known -= set(action.option_strings)
        elif not action.option_strings:
            places.append(_placed(action))
        elif not set(action.option_strings) & set(EXPLAINED):
            options.append(_written(action))
    command = parser.get_default("command")
    near = "served" if command is not None and command.needs_server else "near"
    where = ", ".join(name for name, option in ((near, "--data-dir"), ("far", "--server")) if option in known)
    yield f"| `{' '.join(places)}` | {text.replace('|', ';')} | {where or '-'} | {' '.join(options) or '-'} |"


def _placed(action: argparse.Action) -> str:
    name = str(action.metavar or action.dest)
    return {"*": f"[{name} ...]", "+": f"{name} ...", "?": f"[{name}]"}.get(str(action.nargs), name)


_WIDEST: Final = 80
"""Characters of the choices of an option that the table has room for; `--help` lists more."""


def _written(action: argparse.Action) -> str:
    name = action.option_strings[-1]
    if action.nargs == 0:
        return f"`{name}`"
    choices = "{" + ",".join(map(str, action.choices or ())) + "}"
    short = bool(action.choices) and len(choices) < _WIDEST
    value = choices if short else action.metavar or action.dest.upper()
    return f"`{name} {value}`"


def test_the_page_lists_every_command_and_option() -> None:
    head = "| command | what it does | where | options of its own |\n| --- | --- | --- | --- |"
    (commands,) = (each for each in whole_parser()._actions if isinstance(each, argparse._SubParsersAction))
    helps = {each.dest: each.help or "" for each in commands._choices_actions}
    found = [
        row
        for word, parser in sorted(commands.choices.items())
        for row in rows(parser, f"kiteward {word}", helps[word])
    ]
    generated_sections.demand(PAGE, "tests/unit/cli/test_command_page.py", "\n".join([head, *found]))


def test_the_page_explains_the_options_of_most_commands() -> None:
    text = PAGE.read_text(encoding="utf-8").partition("<!-- written by")[0]
    assert all(f"`{option}" in text for option in EXPLAINED if option != "-h")
