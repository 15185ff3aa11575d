"""The error tree: one root, one documented place for each class."""

import inspect

import pytest

from kiteward.domain import errors
from kiteward.domain.error_codes import ErrorCode, ErrorDetail
from kiteward.domain.errors import KitewardError

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]


def test_every_error_derives_from_the_root() -> None:
    assert all(issubclass(kind, KitewardError) for kind in CLASSES)


def test_every_error_has_one_parent_and_a_sentence() -> None:
    for kind in CLASSES:
        assert len(kind.__bases__) == 1
        assert (kind.__doc__ or "").partition("\n")[0].endswith(".")


def test_picture_of_the_tree_shows_every_class_below_its_parent() -> None:
    parents: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        words = line.replace("│", " ").replace("├──", "   ").replace("└──", "   ")
        name = words.split()[0] if words.split() else ""
        if not any(kind.__name__ == name for kind in CLASSES):
            continue
        depth = words.index(name)
        above = [(at, parent) for at, parent in above if at < depth]
        parents[name] = above[-1][1] if above else ""
        above.append((depth, name))
    assert parents == {kind.__name__: "" if kind is KitewardError else kind.__bases__[0].__name__ for kind in CLASSES}


def test_authentication_and_requests_are_told_apart() -> None:
    assert not issubclass(errors.AccessDenied, errors.AuthenticationError | errors.RequestRefused)
    assert not issubclass(errors.OldPasswordWrong, errors.AuthenticationError)


@pytest.mark.parametrize("kind", CLASSES)
def test_error_without_details_has_the_code_of_its_class(kind: type[KitewardError]) -> None:
    error = kind("so it is")
    assert error.details == (ErrorDetail(kind.default_code),)
    assert (error.code, str(error)) == (kind.default_code, "so it is")


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_takes_details_and_a_field(kind: type[KitewardError]) -> None:
    details = (ErrorDetail(ErrorCode.NAME_TOO_LONG, {"limit": 32}), ErrorDetail(ErrorCode.NAME_EMPTY))
    error = kind("so it is", *details, field="userName")
    assert (error.details, error.field, error.code) == (details, "userName", ErrorCode.NAME_TOO_LONG)


def test_code_tells_no_more_than_the_class_of_failed_authentication() -> None:
    kinds = [kind for kind in CLASSES if issubclass(kind, errors.AuthenticationError)]
    assert {kind("why", reason="more").code for kind in kinds} == {ErrorCode.UNAUTHENTICATED}


def test_codes_are_stable_words() -> None:
    assert all(code.value == code.name.lower() for code in ErrorCode)
