import cProfile
from pathlib import Path

from benchmarks import profiled


def work() -> int:
    return sum(number * number for number in range(1000))


def test_functions_of_a_profile_come_by_their_own_time(tmp_path: Path) -> None:
    profile = cProfile.Profile()
    for _ in range(3):
        profile.runcall(work)
    profile.dump_stats(tmp_path / "profile")
    functions = profiled.read(tmp_path / "profile")
    assert [function.own for function in functions] == sorted((function.own for function in functions), reverse=True)
    (mine,) = (function for function in functions if function.name.endswith(" work"))
    assert mine.calls == 3
    assert f"{Path(__file__).name}:" in mine.name


def test_cost_of_the_profile_itself_is_below_that_of_a_call_to_an_engine() -> None:
    assert 0 < profiled.own_cost() < 20
