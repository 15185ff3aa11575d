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
    assert 0 < mine.own < 1_000_000
    assert f"{Path(__file__).name}:" in mine.name


def test_what_the_profile_added_is_subtracted(tmp_path: Path) -> None:
    profile = cProfile.Profile()
    profile.runcall(work)
    profile.dump_stats(tmp_path / "profile")
    (plain,) = (each for each in profiled.read(tmp_path / "profile") if each.name.endswith(" work"))
    (less,) = (each for each in profiled.read(tmp_path / "profile", added=0.5) if each.name.endswith(" work"))
    assert less.own == max(0.0, plain.own - 0.5)


def test_time_is_shared_out_to_folders_of_the_product_and_to_libraries() -> None:
    names = {
        "kiteward/net/http2/events.py:3 a": 30.0,
        "kiteward/net/http2/session.py:9 b": 20.0,
        "kiteward/runtime.py:1 c": 5.0,
        "sqlalchemy/pool/base.py:7 d": 15.0,
        "/usr/lib/python3.11/json/decoder.py:2 e": 10.0,
        "<built-in method len>": 20.0,
    }
    functions = [profiled.Function(name, 1, own) for name, own in names.items()]
    assert profiled.shares(functions) == {
        "kiteward/net/http2": 0.5,
        "built in": 0.2,
        "sqlalchemy": 0.15,
        "standard library": 0.1,
        "kiteward": 0.05,
    }


def test_cost_of_the_profile_itself_is_below_that_of_a_call_to_an_engine() -> None:
    assert 0 < profiled.own_cost() < 20
