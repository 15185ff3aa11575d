"""What the model allows servers to answer, so that a fault of a server is not taken for an allowed answer."""

from tests.replicas.model import Register


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def changed(made: bool | None) -> Register[str]:
    """Return a register that was changed from `old` to `new` between the times 1 and 2."""
    clock = Hands()
    register = Register("old", clock)
    clock.now = 1.0
    attempt = register.attempt("new")
    clock.now = 2.0
    if made is not None:
        register.settle(attempt, made=made)
    return register


def test_before_a_change_the_old_value_is_the_only_one() -> None:
    assert changed(True).possible(0.0, 0.5) == ["old"]


def test_while_a_change_is_made_both_values_are_possible() -> None:
    assert changed(True).possible(0.5, 1.5) == ["old", "new"]
    assert changed(True).possible(1.5, 3.0) == ["old", "new"]


def test_after_an_acknowledgement_the_old_value_is_stale() -> None:
    assert changed(True).possible(2.5, 3.0) == ["new"]


def test_change_that_was_not_made_leaves_the_old_value() -> None:
    assert changed(False).possible(2.5, 3.0) == ["old"]


def test_change_whose_outcome_is_not_known_leaves_both_values() -> None:
    assert changed(None).possible(2.5, 3.0) == ["old", "new"]


def test_looking_decides_about_every_open_change() -> None:
    for found, possible in (("new", ["new"]), ("old", ["old"])):
        register = changed(None)
        register.attempt("new")
        register.resolve(found)
        assert register.possible(2.5, 3.0) == possible


def test_acknowledged_change_comes_after_all_that_were_not_known() -> None:
    register = changed(None)
    register.settle(register.attempt("newest"), made=True)
    assert register.possible(2.5, 3.0) == ["newest"]
    assert register.latest() == "newest"
