"""What the model says of rows, by hand: it is held against the engine elsewhere."""

import pytest
from tests.access.equivalence.random_values import Draw
from tests.row_policies.filters import Filter, junction, negation
from tests.row_policies.hostile import PUBLISHED
from tests.row_policies.rules import Action, Person, Policy, Rule, allows

_ANN = Person("ann", frozenset({"reader"}), {"dept": "red"})
_OWN = Rule("owner == $current_principal", lambda row, person: row["owner"] == person.name)
_RED = Rule("owner == 'red'", lambda row, _: row["owner"] == "red")
_EVERY = frozenset(Action)
_YES, _NO, _UNKNOWN = Filter("true", lambda _: True), Filter("false", lambda _: False), Filter("n", lambda _: None)


def policy(using: Rule | None, *, permissive: bool = True, roles: frozenset[str] = frozenset()) -> Policy:
    return Policy("p", permissive, _EVERY, roles, using, using)


@pytest.mark.parametrize(
    ("word", "parts", "expected"),
    [
        ("and", (_YES, _UNKNOWN), None),
        ("and", (_UNKNOWN, _NO), False),
        ("and", (_YES, _YES), True),
        ("or", (_NO, _UNKNOWN), None),
        ("or", (_UNKNOWN, _YES), True),
        ("or", (_NO, _NO), False),
    ],
)
def test_what_is_not_known_stays_so_unless_the_rest_decides(
    word: str, parts: tuple[Filter, ...], expected: bool | None
) -> None:
    made = junction(Draw(1), word, parts)
    assert made.holds({}) is expected
    assert negation(Draw(1), made).holds({}) is (None if expected is None else not expected)
    assert made.matches({}) is (expected is True)


def test_permissive_policies_add_rows_and_restrictive_ones_take_them_away() -> None:
    own, red = {"owner": "ann"}, {"owner": "red"}
    both = [policy(_OWN), policy(_RED)]
    assert [allows(both, _ANN, Action.QUERY, row) for row in (own, red)] == [True, True]
    narrowed = [*both, policy(_RED, permissive=False)]
    assert [allows(narrowed, _ANN, Action.QUERY, row) for row in (own, red)] == [False, True]


def test_nothing_is_allowed_without_a_permissive_policy() -> None:
    assert not allows([], _ANN, Action.QUERY, {"owner": "ann"})
    assert not allows([policy(_OWN, permissive=False)], _ANN, Action.QUERY, {"owner": "ann"})
    assert not allows([policy(None)], _ANN, Action.QUERY, {"owner": "ann"})


def test_key_that_leaves_out_a_role_does_not_escape_its_restrictive_policies() -> None:
    key = Person("ann", frozenset(), {}, withheld=frozenset({"reader"}))
    everybody, readers = policy(_OWN), policy(_RED, permissive=False, roles=frozenset({"reader"}))
    assert allows([everybody], key, Action.QUERY, {"owner": "ann"})
    assert not allows([everybody, readers], key, Action.QUERY, {"owner": "ann"})
    assert not allows([policy(_OWN, roles=frozenset({"reader"}))], key, Action.QUERY, {"owner": "ann"})


def test_published_injections_are_there_in_each_form() -> None:
    assert len(PUBLISHED) == len(set(PUBLISHED)) >= 20
    values = [value for _, value, _ in PUBLISHED]
    for form in (" or ", "||", "true", "--", "/*", "\\", " in ", " like ", "]"):
        assert any(form in value for value in values), form
