from benchmarks import report

RATES = {"theirs": [100.0, 50.0, 200.0], "ours": [90.0, 60.0, 200.0]}


def test_ratio_pairs_what_was_measured_in_the_same_round() -> None:
    ratio = report.paired("Search", RATES, ours="ours", against="theirs", budget=1.0)
    assert (ratio.lowest, ratio.median, ratio.highest) == (0.9, 1.0, 1.2)
    assert ratio.verdict == "kept"


def test_lower_bound_is_missed_from_below() -> None:
    assert report.paired("Search", RATES, ours="ours", against="theirs", budget=1.01).verdict == "missed"


def test_upper_bound_is_missed_from_above() -> None:
    assert report.single("first login", 1.31, against="Argon2 alone", budget=1.3).verdict == "missed"
    assert report.single("first login", 1.3, against="Argon2 alone", budget=1.3).verdict == "kept"


def test_ratio_without_a_budget_has_no_verdict() -> None:
    assert report.paired("HasCollection", RATES, ours="ours", against="theirs").verdict == ""


def test_tables_are_markdown_with_a_dash_for_what_was_not_measured() -> None:
    text = report.rates_table({"Search": {"ours": [1000.0, 2000.0, 3000.0]}}, ["theirs", "ours"])
    assert text.splitlines() == [
        "| calls a second | theirs | ours |",
        "| --- | --- | --- |",
        "| Search | - | 2,000 (1,000 to 3,000) |",
    ]


def test_ratio_row_names_its_budget_and_its_target_with_what_became_of_them() -> None:
    ratio = report.paired("Search", RATES, ours="ours", against="theirs", budget=0.9, target=1.1)
    assert report.ratios_table([ratio]).splitlines()[-1] == (
        "| Search | theirs | 1.00 | 0.90 to 1.20 | at least 0.9 | kept | at least 1.1 | not reached |"
    )


def test_target_that_is_an_upper_bound_is_reached_from_below() -> None:
    assert report.single("memory", 1.0, against="v0.1", target=1.0).progress == "reached"
    assert report.single("memory", 1.01, against="v0.1", target=1.0).progress == "not reached"


def test_ratio_without_a_target_has_nothing_to_reach() -> None:
    assert report.single("first login", 1.0, against="Argon2 alone", budget=1.3).progress == ""
