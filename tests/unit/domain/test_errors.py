"""The error tree: one root, one documented place for each class."""

import inspect

from kiteward.domain import errors
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
