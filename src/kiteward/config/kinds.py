"""The types of values. An invalid value is never part of an error: it may be a secret."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")

T_co = TypeVar("T_co", covariant=True)
Word = TypeVar("Word", bound=str)


class Kind(Protocol[T_co]):
    """A type of values.

    Attributes:
        takes: the accepted values in a word or two, for the documents.
    """

    @property
    def takes(self) -> str: ...

    def parse(self, value: object) -> T_co:
        """Return the value that a file or the environment gives.

        Args:
            value: what YAML or the environment holds.

        Raises:
            ValueError: it is not of this type. The message completes a sentence that begins with the key's name, and
                does not contain the value.
        """
        ...


@dataclass(frozen=True, slots=True)
class Text:
    """A text."""

    takes: str

    def parse(self, value: object) -> str:
        if isinstance(value, dict | list):
            raise ValueError("must be one value")  # noqa: TRY004  as every wrong value
        return str(value)


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false, in every spelling that Milvus accepts."""

    takes: str = "true or false"

    def parse(self, value: object) -> bool:
        if isinstance(value, bool):
            return value
        word = str(value).strip().lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        raise ValueError("must be true or false")


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number from `least` to `most`, both included."""

    takes: str
    least: int
    most: int | None = None

    def parse(self, value: object) -> int:
        try:
            number = int(str(value))
        except ValueError:
            raise ValueError("must be a whole number") from None
        if number < self.least or (self.most is not None and number > self.most):
            raise ValueError(
                f"must be at least {self.least}" + (f" and at most {self.most}" if self.most is not None else "")
            )
        return number


@dataclass(frozen=True, slots=True)
class Choice(Generic[Word]):
    """One of a fixed set of words."""

    choices: Sequence[Word]

    @property
    def takes(self) -> str:
        *others, last = self.choices
        return f"{', '.join(others)} or {last}"

    def parse(self, value: object) -> Word:
        # YAML reads a bare `off` as false.
        text = "off" if value is False else Text("text").parse(value)
        for each in self.choices:
            if each == text:
                return each
        raise ValueError(f"must be one of {', '.join(self.choices)}")


@dataclass(frozen=True, slots=True)
class Names:
    """Names, as a list or separated by commas."""

    takes: str

    def parse(self, value: object) -> frozenset[str]:
        parts = [str(each) for each in value] if isinstance(value, list) else Text(self.takes).parse(value).split(",")
        return frozenset(part.strip() for part in parts if part.strip())


FLAG: Final = Flag()
