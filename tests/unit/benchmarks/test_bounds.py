from benchmarks import bounds


def test_budget_is_held_against_the_processor_time_of_the_same_round() -> None:
    row = bounds.Row("Search")
    for ours, theirs in ((102.0, 100.0), (208.0, 200.0), (105.0, 100.0)):
        row.add(bounds.OURS, (10.0, ours))
        row.add("base", (10.0, theirs))
    kept, rates = row.ratios("base")
    assert (kept.median, kept.verdict) == (1.04, "missed")
    assert (rates.median, rates.verdict) == (1.0, "")


def test_control_shows_how_far_the_base_is_from_itself() -> None:
    row = bounds.Row("Search")
    for build, taken in ((bounds.OURS, 100.0), ("base", 100.0), (bounds.AGAIN, 105.0)):
        row.add(build, (0.0, taken))
    _, control = row.ratios("base")
    assert (control.what, control.median, control.verdict) == ("Search, time, control", 1.05, "")


def test_row_without_rates_has_times_alone() -> None:
    row = bounds.Row("first login")
    row.add(bounds.OURS, (0.0, 1.0))
    row.add("base", (0.0, 1.0))
    assert [ratio.verdict for ratio in row.ratios("base")] == ["kept"]
