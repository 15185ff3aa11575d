"""What holds in every state of every page of tests.console.states: what Tab reaches, and how the page is laid out."""

import os
from collections.abc import Iterator, Sequence

import pytest
from tests.console.conftest import Console
from tests.console.keyboard import walk
from tests.console.looks import laid_out_wrong
from tests.console.scenes import Scenes
from tests.console.screenshots import LANGUAGES
from tests.console.states import ALL, State, shown

EVERY = bool(os.environ.get("TESTS_EVERY_PAGE"))
"""Whether the tests take every state of every page, as `make keyboard` does, and not some of them."""

WALKED = ("users", "matrix?role=docs_reader", "overview", "new-user", "state-palette", "state-search-results")
"""The states of the short form: a list, the grid, charts, a form, a dialog, and a table that scrolls."""

MEASURED = (
    "overview",
    "audit",
    "keys",
    "collections/default/docs/enforce",
    "groups",
    "new-group",
    "state-matrix-changed",
    "state-users-selected",
    "state-search-errors",
    "state-audit-errors",
    "state-rows-delete",
    "state-user-old-password",
    "state-providers-users",
)
"""The states of the short form: tables of all kinds, long labels, folds, a selection, and fields with errors."""


def some_or_all(names: Sequence[str]) -> pytest.MarkDecorator:
    states = ALL if EVERY else [each for each in ALL if each.name in names]
    return pytest.mark.parametrize("states", [pytest.param(states, id="all" if EVERY else "some")])


@pytest.fixture(scope="module")
def scenes(console: Console) -> Iterator[Scenes]:
    with Scenes(console.browser) as started:
        yield started


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.timeout(3600 if EVERY else 300)
@some_or_all(WALKED)
def test_tab_reaches_everything_in_order_and_one_sees_where_the_focus_is(
    scenes: Scenes, states: Sequence[State], width: int
) -> None:
    found = []
    options = {"viewport": {"width": width, "height": 800}, "reduced_motion": "reduce"}
    for state, page, fault in shown(scenes, states, **options):
        found += [fault] if fault else [f"{state.name}: {each}" for each in walk(page)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.timeout(3600 if EVERY else 300)
@some_or_all(MEASURED)
def test_texts_fields_and_tables_are_where_they_belong_at_every_width(
    scenes: Scenes, states: Sequence[State], language: str
) -> None:
    found = []
    options = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"}
    for state, page, fault in shown(scenes, states, **options, locale=LANGUAGES[language]):
        found += [fault] if fault else [f"{state.name}: {each}" for each in laid_out_wrong(page)]
    assert not found, "\n".join(found)
