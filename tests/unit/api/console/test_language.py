"""The sentences of the console for errors: one for each code in every language, about values that sources give."""

import ast
import string
from pathlib import Path

import pytest

import kiteward
from kiteward.api.console.language import Language, catalogues
from kiteward.domain import errors
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import KitewardError

LANGUAGES = catalogues()
SOURCE = Path(kiteward.__file__).parent


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def placeholders_of(language: Language, code: ErrorCode) -> set[str]:
    return placeholders(language.texts[f"reason.{code}"])


def details_in_sources() -> list[tuple[str, ErrorCode, set[str]]]:
    """Return where a detail of an error is made, with its code and the names of its parameters."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ErrorDetail"):
                continue
            named, *given = node.args
            if isinstance(named, ast.Attribute) and ast.unparse(named.value) == "ErrorCode":
                keys = given[0].keys if given and isinstance(given[0], ast.Dict) else []
                names = {key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)}
                found.append((f"{path.relative_to(SOURCE)}:{node.lineno}", ErrorCode[named.attr], names))
    return found


@pytest.mark.parametrize("name", sorted(LANGUAGES))
def test_every_code_has_a_sentence_and_every_sentence_a_code(name: str) -> None:
    keys = {key for key in LANGUAGES[name].texts if key.startswith("reason.")}
    assert keys == {f"reason.{code}" for code in ErrorCode} | {"reason.separator"}


def test_chinese_sentences_are_chinese() -> None:
    sentences = {code: LANGUAGES["zh"].texts[f"reason.{code}"] for code in ErrorCode}
    assert not [code for code, text in sentences.items() if not any("\u4e00" <= letter <= "\u9fff" for letter in text)]


def test_sources_give_every_value_that_the_sentence_of_a_code_names() -> None:
    made = details_in_sources()
    assert len(made) > 40
    wrong = [each for each in made if not placeholders_of(LANGUAGES["en"], each[1]) <= each[2] | {"message"}]
    assert not wrong


@pytest.mark.parametrize(
    "kind", [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, KitewardError)]
)
def test_sentence_of_a_class_needs_no_more_than_the_message(kind: type[KitewardError]) -> None:
    for language in LANGUAGES.values():
        assert placeholders_of(language, kind.default_code) <= {"message"}
