from dataclasses import replace

from benchmarks import pass_through
from benchmarks.pass_through import Figures
from benchmarks.peer_program import UPSTREAM
from benchmarks.proxies import OURS, V0_1

DIRECT = Figures(p50=[40.0, 50.0, 60.0], p99=[100.0, 100.0, 100.0])
THIS = Figures(
    [80.0, 90.0, 100.0], [9e3, 8e3, 7e3], p50=[90.0, 110.0, 130.0], p99=[200.0, 300.0, 400.0], memory=200 * 2**20
)
EARLIER = Figures([320.0, 300.0, 250.0], [3e3, 3e3, 4e3], p50=[240.0, 200.0, 200.0], p99=[500.0] * 3, memory=2**28)
ENVOY = Figures([70.0, 80.0, 100.0], [9e3] * 3, p50=[80.0, 90.0, 100.0], p99=[150.0] * 3, memory=2**26)
MEASURED = {UPSTREAM: DIRECT, OURS: THIS, V0_1: EARLIER, "Envoy 1.40.0": ENVOY, "nginx 1.22.1": ENVOY}


def test_added_latency_is_what_the_same_round_took_beyond_the_upstream_alone() -> None:
    assert pass_through.added(MEASURED, OURS, percentile="p50") == [50.0, 60.0, 70.0]
    assert pass_through.added(MEASURED, OURS, percentile="p99") == [100.0, 200.0, 300.0]


def test_each_target_says_whether_it_is_reached() -> None:
    found = {(ratio.what, ratio.against): ratio for ratio in pass_through.ratios(MEASURED)}
    assert {key: (round(ratio.median, 3), ratio.progress) for key, ratio in found.items()} == {
        ("processor time a call", V0_1): (0.3, "reached"),
        ("processor time a call", "Envoy 1.40.0"): (1.125, "reached"),
        ("processor time a call", "nginx 1.22.1"): (1.125, ""),
        ("added p50, one call at a time", V0_1): (0.4, "reached"),
        ("memory after the first calls", V0_1): (0.781, "reached"),
    }


def test_target_that_is_passed_is_not_reached() -> None:
    slower = replace(THIS, times=[97.0, 97.0, 97.0], memory=2**28 + 4096)
    found = [ratio.progress for ratio in pass_through.ratios({**MEASURED, OURS: slower})]
    assert found == ["not reached", "not reached", "", "reached", "not reached"]


def test_growth_is_compared_only_where_it_was_measured() -> None:
    grown = replace(THIS, later=210 * 2**20)
    *_, growth = pass_through.ratios({**MEASURED, OURS: grown})
    assert (growth.what, growth.progress) == ("memory after ten times as many", "not reached")
    *_, growth = pass_through.ratios({**MEASURED, OURS: replace(THIS, later=200 * 2**20)})
    assert growth.progress == "reached"


def test_proxy_that_is_missing_is_not_compared() -> None:
    assert list(pass_through.ratios({UPSTREAM: DIRECT, OURS: THIS})) == []


def test_table_has_a_row_for_each_proxy_and_none_for_the_upstream() -> None:
    lines = pass_through.figures_table(MEASURED).splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {name}" for name in MEASURED if name != UPSTREAM]
    assert lines[2] == (
        "| this build | 90 (80 to 100) | 11,111 | 8,000 (7,000 to 9,000) | 60 (50 to 70) | 200 (100 to 300) | 200.0 |"
    )


def test_what_idle_proxies_take_is_shown_as_a_share_of_a_core() -> None:
    line = pass_through.idle_line({UPSTREAM: DIRECT, OURS: replace(THIS, idle=5_000.0), V0_1: EARLIER})
    assert line.startswith(f"Without calls, in % of a core: {OURS} 0.50, {V0_1} 0.00.")
