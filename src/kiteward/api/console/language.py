"""The languages of the console: a catalogue of texts for each, chosen by the `Accept-Language` of the browser."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Final

DEFAULT: Final = "en"
_TAGS: Final = {"en": "en", "zh": "zh-Hans"}
NAMES: Final = {"en": "English", "zh": "中文"}
"""What the languages call themselves."""

_CODE: Final = re.compile(r"`[^`]*`")
_PLACEHOLDER: Final = re.compile(r"\{(\w+)\}")
_INVISIBLE: Final = {
    " ": "character.space",
    r"\t": "character.tab",
    r"\n": "character.line_break",
    r"\r": "character.line_break",
    r"\xa0": "character.no_break_space",
    r"\u3000": "character.wide_space",
    r"\u200b": "character.zero_width_space",
}
"""A character that nobody sees, as errors spell it -> its name, which texts have in place of it."""

_LOOKS_LIKE_BACKTICK: Final = "\N{MODIFIER LETTER GRAVE ACCENT}"
_ASKED: Final = re.compile(r"\s*([A-Za-z]{1,8})(?:-[A-Za-z0-9-]+)?\s*(?:;\s*q=([01](?:\.[0-9]{0,3})?))?\s*")


@dataclass(frozen=True, slots=True)
class Language:
    """One language.

    Attributes:
        tag: its language tag for HTML.
        texts: key -> text; `{name}` is replaced by a value.
        zone: the name of the time zone of a page, for texts with `{zone}`.
    """

    tag: str
    texts: Mapping[str, str]
    zone: str = "UTC"

    def __call__(self, key: str, /, **values: object) -> str:
        """Return a text with its values; templates escape it as a whole.

        Names are between backticks. The macro `coded` of the templates shows those as code, and `plain` leaves the
        backticks out. A backtick of a name itself would end it there, so another letter that looks like it is shown.
        A character that nobody sees has its name there.

        Args:
            key: the key of the text.
            values: the values of its placeholders.

        Raises:
            KeyError: there is no such text; a test checks all keys.
        """
        text = self.texts[key]
        for name in {name for code in _CODE.findall(text) for name in _PLACEHOLDER.findall(code)} & values.keys():
            if str(values[name]) in _INVISIBLE:
                text = self._with_name(text, name, self.texts[_INVISIBLE[str(values[name])]])
            values[name] = str(values[name]).replace("`", _LOOKS_LIKE_BACKTICK)
        return text.format(**{"zone": self.zone, **values})

    def _with_name(self, text: str, placeholder: str, name: str) -> str:
        """Return a text with the name of a character in place of its code, which Chinese has no spaces around."""
        around = " ?" if self.tag.startswith("zh") else ""
        return re.sub(f"{around}`{{{placeholder}}}`{around}", name, text)


def catalogues() -> dict[str, Language]:
    """Return all languages by the name of their file in `strings/`."""
    directory = resources.files(__package__) / "strings"
    return {
        name: Language(tag, json.loads((directory / f"{name}.json").read_text("utf-8"))) for name, tag in _TAGS.items()
    }


def chosen(accept_language: str) -> str:
    """Return the name of the language that a browser prefers among the available ones; the first wins a tie."""
    best, weight = DEFAULT, 0.0
    for part in accept_language[:500].split(","):
        match = _ASKED.fullmatch(part)
        if match is None or match[1].lower() not in _TAGS:
            continue
        wanted = float(match[2]) if match[2] else 1.0
        if wanted > weight:
            best, weight = match[1].lower(), wanted
    return best
