"""`kiteward completion`: prints a script that completes the command line in a shell.

The script is made of the parsers of all commands, so that completing starts no process.
"""

import argparse
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from kiteward.cli.options import exit_status_of

_FILES: Final = frozenset({"FILE", "DIR", "PATH"})
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_./:=+-]")


@dataclass(frozen=True, slots=True)
class Flag:
    """One option of a command.

    Attributes:
        names: how it is written, such as `-n` and `--lines`.
        help: its help text.
        value: what it takes: empty for nothing, else `file`, `choice` or `text`.
        choices: the values that it takes, if they are known.
    """

    names: tuple[str, ...]
    help: str
    value: str
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Level:
    """One command or group of commands.

    Attributes:
        path: the words that lead there, such as `users list`; empty for the program.
        commands: the words that may follow, with their help.
        flags: its options.
        files: whether its positional arguments are files.
        choices: the values of its positional arguments, if they are known.
    """

    path: str
    commands: Mapping[str, str]
    flags: tuple[Flag, ...]
    files: bool
    choices: tuple[str, ...]


def levels(parser: argparse.ArgumentParser, path: str = "") -> Iterator[Level]:
    """Yield a parser and all parsers below it."""
    commands: dict[str, str] = {}
    below: list[tuple[str, argparse.ArgumentParser]] = []
    flags, files, choices = [], False, []
    for action in parser._actions:  # noqa: SLF001  argparse has no public way to look at a parser
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            helps = {each.dest: each.help or "" for each in action._choices_actions}  # noqa: SLF001
            commands = {word: helps.get(word, "") for word in action.choices}
            below = [(f"{path} {word}".strip(), each) for word, each in action.choices.items()]
        elif action.help == argparse.SUPPRESS:
            continue
        elif action.option_strings:
            flags.append(_flag(action))
        else:
            files = files or action.metavar in _FILES
            choices += [str(each) for each in action.choices or ()]
    yield Level(path, commands, tuple(flags), files, tuple(choices))
    for words, each in below:
        yield from levels(each, words)


def _flag(action: argparse.Action) -> Flag:
    choices = tuple(str(each) for each in action.choices or ())
    value = ""
    if action.nargs != 0:
        value = "choice" if choices else "file" if action.metavar in _FILES else "text"
    return Flag(tuple(action.option_strings), action.help or "", value, choices)


def bash(found: Sequence[Level]) -> str:
    """Return the script for bash."""
    cases = []
    for level in found:
        names = [name for flag in level.flags for name in flag.names]
        words = [*level.commands, *level.choices]
        cases += [
            f"        {_quoted(level.path)})",
            f"            words={_quoted(' '.join(words))}",
            f"            flags={_quoted(' '.join(names))}",
            f"            values={_quoted(' '.join(_taking(level, 'file', 'choice', 'text')))}",
            f"            files={_quoted(' '.join(_taking(level, 'file')))}",
            f"            places={_quoted('files' if level.files else '')}",
            "            ;;",
        ]
    chosen = [
        f"        {_quoted(f'{level.path}:{name}')}) COMPREPLY=($(compgen -W {_quoted(' '.join(flag.choices))} -- "
        '"$current")) ;;'
        for level in found
        for flag in level.flags
        for name in flag.names
        if flag.choices
    ]
    return _BASH.format(cases="\n".join(cases), chosen="\n".join(chosen))


_BASH: Final = """\
# Completes kiteward in bash. It was printed by `kiteward completion bash`.
_kiteward_at() {{
    case $1 in
{cases}
        *) return 1 ;;
    esac
}}

_kiteward() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}}
    local path='' words flags values files places word skip='' IFS=$' \\t\\n'
    [[ $current == '=' ]] && current=''
    [[ $before == '=' ]] && before=${{COMP_WORDS[COMP_CWORD - 2]}}
    _kiteward_at ''
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD - 1}}"; do
        if [[ $word == '=' ]]; then
            skip=1
        elif [[ $skip ]]; then
            skip=''
        elif [[ $word == -* ]]; then
            [[ " $values " == *" $word "* ]] && skip=1
        elif [[ " $words " == *" $word "* ]] && _kiteward_at "${{path:+$path }}$word"; then
            path=${{path:+$path }}$word
        fi
    done
    COMPREPLY=()
    case $path:$before in
{chosen}
        *)
            if [[ " $files " == *" $before "* ]]; then
                compopt -o filenames 2> /dev/null
                COMPREPLY=($(IFS=$'\\n'; compgen -f -- "$current"))
            elif [[ " $values " == *" $before "* ]]; then
                :
            elif [[ $current == -* ]]; then
                COMPREPLY=($(compgen -W "$flags" -- "$current"))
            elif [[ $places ]]; then
                compopt -o filenames 2> /dev/null
                COMPREPLY=($(IFS=$'\\n'; compgen -f -- "$current"))
            else
                COMPREPLY=($(compgen -W "$words" -- "$current"))
            fi
            ;;
    esac
}}

complete -F _kiteward kiteward
"""


def zsh(found: Sequence[Level]) -> str:
    """Return the script for zsh."""
    cases = []
    for level in found:
        words = [_described(word, text) for word, text in level.commands.items()]
        words += [_described(word, "") for word in level.choices]
        flags = [_described(name, flag.help) for flag in level.flags for name in flag.names]
        cases += [
            f"        {_quoted(level.path)})",
            f"            subcommands=({' '.join(words)})",
            f"            flags=({' '.join(flags)})",
            f"            values=({' '.join(map(_quoted, _taking(level, 'file', 'choice', 'text')))})",
            f"            files=({' '.join(map(_quoted, _taking(level, 'file')))})",
            f"            places={_quoted('files' if level.files else '')}",
            "            ;;",
        ]
    chosen = [
        f"        {_quoted(f'{level.path}:{name}')}) compadd -- {' '.join(map(_quoted, flag.choices))} ;;"
        for level in found
        for flag in level.flags
        for name in flag.names
        if flag.choices
    ]
    return _ZSH.format(cases="\n".join(cases), chosen="\n".join(chosen))


_ZSH: Final = """\
#compdef kiteward
# Completes kiteward in zsh. It was printed by `kiteward completion zsh`.
_kiteward_at() {{
    case $1 in
{cases}
        *) return 1 ;;
    esac
}}

_kiteward() {{
    local at='' before=${{words[CURRENT - 1]}} current=${{words[CURRENT]}} word skip='' places=''
    local -a subcommands flags values files
    _kiteward_at ''
    for word in "${{(@)words[2,CURRENT - 1]}}"; do
        if [[ -n $skip ]]; then
            skip=''
        elif [[ $word == -* ]]; then
            (( ${{values[(Ie)$word]}} )) && skip=1
        elif (( ${{${{subcommands[@]%%:*}}[(Ie)$word]}} )) && _kiteward_at "${{at:+$at }}$word"; then
            at=${{at:+$at }}$word
        fi
    done
    case $at:$before in
{chosen}
        *)
            if (( ${{files[(Ie)$before]}} )); then
                _files
            elif (( ${{values[(Ie)$before]}} )); then
                :
            elif [[ $current == -* ]]; then
                _describe option flags
            elif [[ -n $places ]]; then
                _files
            else
                _describe command subcommands
            fi
            ;;
    esac
}}

if [[ ${{funcstack[1]}} == _kiteward ]]; then
    _kiteward "$@"
else
    compdef _kiteward kiteward
fi
"""


def fish(found: Sequence[Level]) -> str:
    """Return the script for fish."""
    paths = " ".join(_quoted(level.path) for level in found if level.path)
    lines = []
    for level in found:
        at = f"-n {_quoted(f'__kiteward_at {_quoted(level.path)}')}"
        words = {**level.commands, **dict.fromkeys(level.choices, "")}
        lines += [f"complete -c kiteward {at} -a {_quoted(word)} -d {_quoted(text)}" for word, text in words.items()]
        if level.files:
            lines.append(f"complete -c kiteward {at} -F")
        lines += [f"complete -c kiteward {at} {_in_fish(flag)} -d {_quoted(flag.help)}" for flag in level.flags]
    return _FISH.format(paths=paths, lines="\n".join(lines))


def _in_fish(flag: Flag) -> str:
    names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in flag.names)
    takes = {"": "", "file": " -rF", "text": " -x", "choice": f" -xa {_quoted(' '.join(flag.choices))}"}
    return f"{names}{takes[flag.value]}"


_FISH: Final = """\
# Completes kiteward in fish. It was printed by `kiteward completion fish`.
function __kiteward_at
    set -l known {paths}
    set -l path
    for word in (commandline -opc)[2..]
        set -l longer (string join -- ' ' $path $word)
        contains -- $longer $known; and set path $longer
    end
    test "$path" = "$argv[1]"
end

complete -c kiteward -e
complete -c kiteward -f
{lines}
"""

SHELLS: Final[Mapping[str, Callable[[Sequence[Level]], str]]] = MappingProxyType(
    {"bash": bash, "zsh": zsh, "fish": fish}
)
"""Shell -> what returns its script."""


def add_parsers(commands: Any) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "completion",
        help="print a script that completes the command line in a shell",
        description="Print a script for bash, zsh or fish. In bash: source <(kiteward completion bash).",
    )
    parser.add_argument("shell", choices=tuple(SHELLS), metavar="SHELL", help="bash, zsh or fish")
    parser.set_defaults(run=lambda arguments: exit_status_of(lambda: _print(arguments.shell)))


def _print(shell: str) -> None:
    from kiteward.cli.main import whole_parser  # noqa: PLC0415  which imports the modules of commands by their names

    print(SHELLS[shell](list(levels(whole_parser()))), end="")


def _taking(level: Level, *kinds: str) -> list[str]:
    return [name for flag in level.flags if flag.value in kinds for name in flag.names]


def _described(word: str, text: str) -> str:
    """Return an entry of `_describe`, in which a colon separates word and description."""
    return _quoted(f"{word.replace(':', chr(92) + ':')}:{text}" if text else word)


def _quoted(text: str) -> str:
    """Return a text in quotes that all three shells read in the same way."""
    if text and not _UNSAFE.search(text):
        return text
    return "'" + text.replace("'", "'\"'\"'") + "'"
