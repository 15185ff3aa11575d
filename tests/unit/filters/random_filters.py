"""Random filters as texts: most are valid for the embedded engine, some for Milvus, many are spoilt."""

import random
from collections.abc import Callable, Sequence
from typing import Final

NUMBERS: Final = ("n", "m")
STRINGS: Final = ("s", "t")
PLACES: Final = ('j["k"]', 'j["k"]["l"]', 'j["a"][0]', "a[1]", '$meta["d"]', "j['it\\'s']")
BLANKS: Final = ("", " ", " ", " ", "  ", "\n", "\t")
_SCRAPS: Final = (
    *("(", ")", "[", "]", '"', "'", "\\", "and", "or", "not", "in", "==", "=", "<", "-", "%", "like", "exists"),
    *(
        "is",
        "null",
        "--",
        "/*",
        "#",
        ";",
        "{",
        "}",
        "$",
        "$meta",
        "union",
        "\0",
        "\xa0",
        "\u2028",
        "٣",
        "²",
        "İn",
        "\ufeff",
    ),
    *("true", "0x", "1e", ".", "&&", "||", "!", "&", "|", "~", "**", "r'", "u8", "n", "s", "1", "ISO", "interval"),
)


class RandomFilters:
    """Makes filters.

    Args:
        seed: decides all of them.
        strict: whether they are spelled as Milvus reads them.
    """

    def __init__(self, seed: int, *, strict: bool = False) -> None:
        self._random = random.Random(seed)
        self._strict = strict

    def filter(self, depth: int = 3) -> str:
        """Return a filter that the engine reads."""
        return self._condition(depth)

    def spoilt(self) -> str:
        """Return a filter with something removed, doubled, inserted or exchanged."""
        text = self._condition(2)
        for _ in range(self._random.randint(1, 3)):
            at = self._random.randint(0, len(text))
            end = min(len(text), at + self._random.randint(0, 3))
            kept = self._pick(("", text[at:end] * 2, self._pick(_SCRAPS), f" {self._pick(_SCRAPS)} "))
            text = text[:at] + kept + text[end:]
        return text

    def _pick(self, choices: Sequence[str]) -> str:
        return self._random.choice(choices)

    def _blank(self) -> str:
        return self._pick(BLANKS)

    def _word(self, word: str) -> str:
        """Return a keyword in some case, with blanks around it."""
        if self._strict:
            return f" {word} "
        return f" {self._pick((word, word, word.upper(), word.capitalize()))} "

    def _condition(self, depth: int) -> str:
        if depth == 0:
            return self._comparison()
        deeper = depth - 1
        match self._random.randrange(7):
            case 0:
                joint = self._pick((self._word("and"), " && ", self._word("or"), " || "))
                return joint.join(self._condition(deeper) for _ in range(self._random.randint(2, 4)))
            case 1:
                return f"({self._blank()}{self._condition(deeper)}{self._blank()})"
            case 2 if not self._strict:
                return f"{self._pick((self._word('not'), '!', '! not '))}{self._condition(deeper)}"
            case 3:
                return f"{self._condition(deeper)}{self._word('and')}{self._condition(deeper)}"
            case 4:
                return f"{self._condition(deeper)}{self._word('or')}{self._condition(deeper)}"
            case 5:
                return f"{self._word('not')}({self._condition(deeper)})"
            case _:
                return self._comparison()

    def _comparison(self) -> str:
        makers = [self._numbers, self._numbers, self._strings, self._members, self._like, self._exists, self._path]
        makers += [self._range, self._call, self._flag]
        if not self._strict:  # newer than Milvus 2.3.5
            makers.append(self._null)
        return self._random.choice(makers)()

    def _numbers(self) -> str:
        return f"{self._number(2)}{self._operator()}{self._number(1)}"

    def _strings(self) -> str:
        return f"{self._pick(STRINGS)}{self._operator()}{self.string()}"

    def _operator(self) -> str:
        return f"{self._blank()}{self._pick(('==', '!=', '<', '<=', '>', '>='))}{self._blank()}"

    def _members(self) -> str:
        if self._random.randrange(3) == 0:
            return f"{self._pick(NUMBERS)}{self._in()}[{self._list(self._literal)}]"
        return f"{self._pick((*STRINGS, *PLACES))}{self._in()}[{self._list(self.string)}]"

    def _like(self) -> str:
        return f"{self._pick(STRINGS)}{self._word('like')}{self.string()}"

    def _null(self) -> str:
        place = self._pick((*STRINGS, *NUMBERS, *PLACES))
        return f"{place}{self._word('is')}{self._pick(('', self._word('not')))}{self._word('null')}"

    def _exists(self) -> str:
        exists = f"{self._word('exists')}{self._pick(PLACES)}"
        return f"({exists})" if self._strict else exists

    def _path(self) -> str:
        return f"{self._pick(PLACES)}{self._operator()}{self._pick((self._literal(), self.string(), 'true'))}"

    def _range(self) -> str:
        operators = self._pick("<>")
        first, second = (operators + self._pick(("", "=")) for _ in range(2))
        middle = self._pick((*NUMBERS, 'j["k"]') if self._strict else (*NUMBERS, 'j["k"]', "(n)"))
        return f"{self._literal()} {first} {middle} {second}{self._blank()}{self._literal()}"

    def _flag(self) -> str:
        if self._strict:
            return self._pick(("b == true", "b != false", "n == m"))
        return self._pick(("b", "b == true", "True", "false", "1 == 1", "b != FALSE"))

    def _call(self) -> str:
        name = self._pick(("array_contains", "json_contains", "JSON_CONTAINS"))
        b = self._blank()
        match self._random.randrange(4):
            case 0:
                return (
                    f"{name}{b}({b}{self._pick(('a', 'j', PLACES[0]))},{b}{self._pick(('1', '(-2)', self.string()))})"
                )
            case 1:
                which = self._pick(("_all", "_any", "_ANY"))
                return f"{name}{which}({self._pick(('a', PLACES[2]))}, [{self._literal()}{b},{self._literal()}])"
            case 2:
                return f"array_length({b}a{b}) {self._pick(('==', '>'))} 2"
            case _:
                return f"text_match(s, {self.string()})"

    def _in(self) -> str:
        return self._pick((self._word("in"), " not in " if self._strict else f"{self._word('not')}{self._word('in')}"))

    def _list(self, element: Callable[[], str]) -> str:
        items = [element() for _ in range(self._random.randint(0, 4))]
        return f",{self._blank()}".join(items) + (self._pick(("", ",")) if items else "")

    def _number(self, depth: int) -> str:
        if depth == 0 or self._random.random() < 0.4:
            return self._pick((*NUMBERS, self._literal(), "x", PLACES[0]))
        left, right = self._number(depth - 1), self._number(depth - 1)
        computed = f"{left}{self._pick((' + ', '-', ' - ', '*', ' / ', '%'))}{self._blank()}{right}"
        return self._pick((computed, f"({computed})", f"-{left}", f"- ({computed})"))

    def _literal(self) -> str:
        return self._pick(("0", "1", "2", "-1", "- 3", "1.5", "2e3", "007", "-0.5E-1", "9223372036854775807"))

    def string(self) -> str:
        """Return a string in quotes."""
        pieces = (
            "a",
            "b",
            "ab",
            "%",
            "_",
            "\\\\",
            '\\"',
            "\\'",
            "\\n",
            "\\t",
            "\\r",
            ")",
            "(",
            " and ",
            "é",
            "中",
            "😀",
            "{x}",
            "**",
        )
        text = "".join(self._random.choices(pieces, k=self._random.randint(0, 4)))
        return self._pick((f'"{text}"', f"'{text}'"))
