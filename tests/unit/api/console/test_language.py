"""The sentences of the console for reasons: one for each code in every language, made of data alone.

A message of an error is English. It must not get into a sentence of another language, neither as a whole nor as a
parameter. So sentences name parameters only, parameters are data, and what the console can show has a precise code.
"""

import ast
import functools
import re
import string
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest
from tests.support.python_sources import syntax_tree

import kiteward
from kiteward.api.console.language import Language, catalogues
from kiteward.domain import errors
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import KitewardError

LANGUAGES = catalogues()
SOURCE = Path(kiteward.__file__).parent
CLASSES: Final = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, KitewardError)
}

VAGUE: Final = frozenset(
    {
        ErrorCode.INTERNAL,
        ErrorCode.ACCESS_DENIED,
        ErrorCode.OPERATION_NOT_OFFERED,
        ErrorCode.REQUEST_REFUSED,
        ErrorCode.INVALID_ARGUMENT,
        ErrorCode.INVALID_GRANT,
        ErrorCode.NOT_FOUND,
        ErrorCode.ALREADY_EXISTS,
        ErrorCode.IN_USE,
        ErrorCode.ALIAS_CONFLICT,
        ErrorCode.LIMIT_REACHED,
        ErrorCode.PROTECTED_OBJECT,
        ErrorCode.ENGINE_REJECTED,
    }
)
"""Codes whose sentence does not say what is wrong: an error that the console can show must have another one."""

ELSEWHERE: Final = {
    "api/rest/": "REST has messages in English, and reads its own bodies",
    "api/grpc/": "gRPC has messages in English",
    "cli/": "the command line is in English",
    "bootstrap/": "before the console is served",
    "milvus/messages.py": "the console names RPCs that exist",
    "milvus/builders.py": "builds the requests of REST",
    "gateway/outbound.py": "the console sends no functions, and only known parameters of searches",
    "gateway/resolve.py": "the console sends no sub-requests, and renames within a database",
    "iam/policy_files/": "the console applies no files",
    "milvus/json_codec.py": "the data explorer quotes what is said about rows as JSON",
    "iam/milvus_rpc/": "refuses messages whose parts are missing; the console fills them in",
    "iam/policy_backup.py": "the console restores no backup",
    "store/data_directory.py": "before the console is served",
    "store/migrations/": "before the console is served",
}
"""Sources whose errors the console does not show, with the reason."""

EXCEPTIONS: Final = {
    "authz/policy.py": "raises what a `Decision` holds; `test_every_decision_has_a_code` covers it",
    "authn/password_policy.py": "has one detail for each broken rule",
    "domain/naming.py Invalid index name": "the console gives indexes no names",
    "iam/json_api/base.py {self.path}": "the console sends arguments of the declared types",
    "iam/users.py must update either": "the console updates passwords",
}
"""Constructions, by their file and the start of their message, that need no detail of their own."""

WORDS: Final = frozenset({"API", "SCIM", "ID", "Milvus", "milvus", "database", "db8", "root", "false"})
"""Latin words that a Chinese sentence may have: terms of Milvus, names of things, and examples."""


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def placeholders_of(language: Language, code: ErrorCode) -> set[str]:
    return placeholders(language.texts[f"reason.{code}"])


@functools.cache
def calls_in_sources() -> Sequence[tuple[str, int, ast.Call, str]]:
    """Return the calls of names in the sources: file, line, call, name."""
    return [
        (path.relative_to(SOURCE).as_posix(), node.lineno, node, _name(node.func))
        for path in sorted(SOURCE.rglob("*.py"))
        for node in ast.walk(syntax_tree(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
    ]


def _name(called: ast.expr) -> str:
    assert isinstance(called, ast.Name | ast.Attribute)
    return called.id if isinstance(called, ast.Name) else called.attr


@pytest.fixture(scope="module", autouse=True)
def sources_are_read_once() -> Iterator[None]:
    """Forget afterwards what was read of them, which is a lot."""
    yield
    calls_in_sources.cache_clear()


def parameters_of(call: ast.Call) -> dict[str, ast.expr]:
    """Return the parameters that a call of `ErrorDetail` gives, with the expressions of their values."""
    given = call.args[1:]
    if not (given and isinstance(given[0], ast.Dict)):
        return {}
    pairs = zip(given[0].keys, given[0].values, strict=True)
    return {key.value: value for key, value in pairs if isinstance(key, ast.Constant) and isinstance(key.value, str)}


def details_in_sources() -> list[tuple[str, ErrorCode, set[str]]]:
    """Return where a detail of an error is made, with its code and the names of its parameters."""
    return [
        (f"{file}:{line}", ErrorCode[ast.unparse(call.args[0]).removeprefix("ErrorCode.")], set(parameters_of(call)))
        for file, line, call, name in calls_in_sources()
        if name == "ErrorDetail" and ast.unparse(call.args[0]).startswith("ErrorCode.")
    ]


def is_prose(value: ast.expr) -> bool:
    """Return whether an expression makes a text for people: from pieces, from an error, or with several words."""
    if isinstance(value, ast.JoinedStr):
        pieces = [part.value for part in value.values if isinstance(part, ast.Constant)]
        return any(isinstance(piece, str) and re.search(r"[\sA-Za-z]", piece) for piece in pieces)
    if isinstance(value, ast.BinOp):
        return True
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return " " in value.value
    if isinstance(value, ast.Call):
        return ast.unparse(value.func) in {"str", "repr"} or ast.unparse(value.func).endswith(".format")
    return isinstance(value, ast.Attribute) and value.attr in {"reason", "message", "closed"}


def english_in(text: str) -> set[str]:
    """Return the Latin words of a Chinese text, without placeholders and what is between backticks."""
    plain = re.sub(r"`[^`]*`", "", re.sub(r"\{\w+\}", "", text))
    return set(re.findall(r"[A-Za-z][A-Za-z0-9]+", plain)) - WORDS


@pytest.mark.parametrize("name", sorted(LANGUAGES))
def test_every_code_has_a_sentence_and_every_sentence_a_code(name: str) -> None:
    keys = {key for key in LANGUAGES[name].texts if key.startswith("reason.")}
    assert keys == {f"reason.{code}" for code in ErrorCode}


def test_chinese_sentences_are_chinese() -> None:
    sentences = {code: LANGUAGES["zh"].texts[f"reason.{code}"] for code in ErrorCode}
    assert not [code for code, text in sentences.items() if not any("\u4e00" <= letter <= "\u9fff" for letter in text)]
    assert not {code: english_in(text) for code, text in sentences.items() if english_in(text)}


def test_no_chinese_text_calls_a_collection_anything_but_one_name() -> None:
    texts = LANGUAGES["zh"].texts
    assert [key for key, text in texts.items() if "collection" in map(str.lower, english_in(text))] == []


def test_the_languages_name_the_same_values() -> None:
    english, chinese = LANGUAGES["en"], LANGUAGES["zh"]
    assert not [code for code in ErrorCode if placeholders_of(english, code) != placeholders_of(chinese, code)]


def test_sources_give_every_value_that_the_sentence_of_a_code_names() -> None:
    made = details_in_sources()
    assert len(made) > 90
    assert not [each for each in made if not placeholders_of(LANGUAGES["en"], each[1]) <= each[2]]


def test_backtick_of_a_name_does_not_end_the_code_that_shows_it() -> None:
    said = Language("en", {"named": "Drop `{name}` of `{place}.x` for {who}"})
    assert said("named", name="a`b", place="`", who="`c`") == "Drop `a\u02cbb` of `\u02cb.x` for `c`"


@pytest.mark.parametrize("name", sorted(LANGUAGES))
def test_texts_that_attributes_and_plain_text_hold_have_no_backticks(name: str) -> None:
    texts = LANGUAGES[name].texts
    plain = [
        key for key in texts if key.startswith(("nav.", "column.", "field.", "done.", "list.", "state.", "audit."))
    ]
    plain += [key for key in texts if key.endswith((".button", ".link"))]
    assert [key for key in plain if "`" in texts[key]] == []


@pytest.mark.parametrize("name", sorted(LANGUAGES))
def test_names_in_titles_and_effects_are_between_backticks_and_labels_in_quotes(name: str) -> None:
    chosen = {key: text for key, text in LANGUAGES[name].texts.items() if key.endswith((".title", ".effect"))}
    found = {key: re.sub("`[^`]*`|“[^”]*”", "", text) for key, text in chosen.items()}
    assert [key for key, text in found.items() if placeholders(text) - {"browser", "began"}] == []


def test_every_code_is_used() -> None:
    used = {code for _, code, _ in details_in_sources()} | {kind.default_code for kind in CLASSES.values()}
    text = "\n".join(path.read_text("utf-8") for path in SOURCE.rglob("*.py") if path.name != "error_codes.py")
    assert not [code for code in ErrorCode if code not in used and f"ErrorCode.{code.name}" not in text]


def test_parameters_are_data_and_never_prose() -> None:
    wrong = [
        f"{file}:{line} {key}={ast.unparse(value)}"
        for file, line, call, name in calls_in_sources()
        if name == "ErrorDetail"
        for key, value in parameters_of(call).items()
        if is_prose(value)
    ]
    assert wrong == []


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)
def test_sentence_of_a_class_needs_no_values(kind: type[KitewardError]) -> None:
    for language in LANGUAGES.values():
        assert placeholders_of(language, kind.default_code) == set()


def message_of(call: ast.Call) -> str:
    """Return the start of the message that a construction gives, as it is in the source."""
    return re.sub(r"^f?['\"]", "", ast.unparse(call.args[0])) if call.args else ""


def test_every_error_that_the_console_can_show_has_a_precise_code() -> None:
    vague = []
    for file, line, call, name in calls_in_sources():
        kind = CLASSES.get(name)
        if kind is None or file == "domain/errors.py" or kind.default_code not in VAGUE:
            continue
        if file.startswith(tuple(ELSEWHERE)) or issubclass(kind, errors.ConfigurationError):
            continue
        if any(f"{file} {message_of(call)}".startswith(known) for known in EXCEPTIONS):
            continue
        if not any(isinstance(given, ast.Call | ast.Name | ast.Starred) for given in call.args[1:]):
            vague.append(f"{file}:{line} {ast.unparse(call)}")
    assert vague == []


def test_every_decision_has_a_code() -> None:
    made = [call for file, _, call, name in calls_in_sources() if name == "Decision"]
    assert len(made) > 5
    assert [ast.unparse(call) for call in made if "ErrorDetail(" not in ast.unparse(call)] == []


def test_no_exception_is_left_over() -> None:
    made = [f"{file} {message_of(call)}" for file, _, call, name in calls_in_sources() if name in CLASSES]
    assert [known for known in (*ELSEWHERE, *EXCEPTIONS) if not any(each.startswith(known) for each in made)] == []


@pytest.mark.parametrize(
    ("character", "english", "chinese"),
    [
        (" ", "not a space.", "不能包含空格。"),
        (r"\t", "not a tab.", "不能包含制表符。"),
        (r"\xa0", "not a no-break space.", "不能包含不间断空格。"),
        (r"\u3000", "not an ideographic space.", "不能包含全角空格。"),
        ("`", "not `\N{MODIFIER LETTER GRAVE ACCENT}`.", "不能包含 `\N{MODIFIER LETTER GRAVE ACCENT}`。"),
        ("-", "not `-`.", "不能包含 `-`。"),
    ],
)
def test_a_character_that_nobody_sees_is_named(character: str, english: str, chinese: str) -> None:
    for name, end in (("en", english), ("zh", chinese)):
        said = LANGUAGES[name](f"reason.{ErrorCode.NAME_CHARACTER}", allowed="_", character=character)
        assert said.endswith(end)
