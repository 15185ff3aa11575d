"""Reads a Dockerfile and a .dockerignore, as far as the image of this project uses them; anything else is an error."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_WORD: Final = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Instruction:
    """An instruction.

    Attributes:
        name: in capitals, such as `RUN`.
        text: what follows it, with continued lines joined.
    """

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """The text as an array in JSON, or its words."""
        return list(json.loads(self.text)) if self.text.startswith("[") else self.text.split()


@dataclass(slots=True)
class Stage:
    """A stage: what it begins with, and its instructions without `FROM`."""

    name: str
    base: str
    instructions: list[Instruction] = field(default_factory=list)

    def last(self, name: str) -> list[str]:
        """Return the words of the last instruction of a name, which is the one in force."""
        return [each for each in self.instructions if each.name == name][-1].words


def stages(text: str) -> list[Stage]:
    """Return the stages of a Dockerfile.

    Raises:
        AssertionError: an argument before `FROM` has no default.
    """
    found: list[Stage] = []
    arguments: dict[str, str] = {}
    for each in _instructions(text):
        if each.name == "ARG" and not found:
            name, equals, default = each.text.partition("=")
            assert equals, f"{name} has no default"
            arguments[name] = default
        elif each.name == "FROM":
            base, *rest = _WORD.sub(lambda match: arguments[match[1]], each.text).split()
            found.append(Stage(rest[-1] if rest else "", base))
        else:
            found[-1].instructions.append(each)
    return found


def environment(stage: Stage) -> dict[str, str]:
    """Return the variables that `ENV` sets in a stage."""
    words = [word for each in stage.instructions if each.name == "ENV" for word in each.words]
    return dict(word.split("=", 1) for word in words)


def _instructions(text: str) -> Iterator[Instruction]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        name, _, rest = line.strip().partition(" ")
        yield Instruction(name.upper(), rest.strip())


def context(directory: Path) -> Mapping[str, Path]:
    """Return the files that reach the builder, by their path in the context, by `.dockerignore` there."""
    lines = (directory / ".dockerignore").read_text().splitlines()
    rules = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    compiled = [(rule.startswith("!"), _pattern(rule.removeprefix("!"))) for rule in rules]
    roots = [directory / rule.removeprefix("!") for rule in rules if rule.startswith("!")]
    assert rules[0] == "*", "everything is to be left out that is not named"
    files = {path for root in roots for path in ([root] if root.is_file() else root.rglob("*")) if path.is_file()}
    named = {str(path.relative_to(directory)): path for path in sorted(files)}
    return {name: path for name, path in named.items() if _included(name, compiled)}


def _pattern(rule: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*)", rule.strip("/"))
    wild = {"**/": "(?:.*/)?", "*": "[^/]*"}
    return re.compile("".join(wild.get(part, re.escape(part)) for part in parts) + r"(?:/.*)?")


def _included(name: str, rules: Sequence[tuple[bool, re.Pattern[str]]]) -> bool:
    """Return whether a file is in the context: the last rule that matches it says so."""
    return next((keeps for keeps, pattern in reversed(rules) if pattern.fullmatch(name)), True)
