import pytest
from benchmarks.load import Run, Unchecked

REPORT = """
finished in 4.01s, 3206.00 req/s, 474.23KB/s
requests: 12824 total, 12824 started, 12824 done, {succeeded} succeeded, 0 failed, 0 errored, 0 timeout
status codes: {status} 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 1.85MB (1942460) total, 44.93KB (46008) headers (space savings 96.27%), 1.15MB ({data}) data
                     min         max         mean         sd        +/- sd
"""
MESSAGE = 89
WHOLE = 12824 * (5 + MESSAGE)


def report(*, succeeded: int = 12824, status: int = 12824, data: int = WHOLE) -> Run:
    return Run.parse(REPORT.format(succeeded=succeeded, status=status, data=data))


def test_report_is_read() -> None:
    assert report() == Run(rate=3206.0, calls=12824, answered=12824, data=WHOLE)


def test_run_with_every_answer_passes() -> None:
    report().check(MESSAGE)


@pytest.mark.parametrize(
    "run",
    [report(succeeded=12823), report(status=12823), report(data=WHOLE - 94), report(data=WHOLE + 1), report(data=0)],
)
def test_run_with_an_answer_missing_or_of_another_size_is_refused(run: Run) -> None:
    with pytest.raises(Unchecked):
        run.check(MESSAGE)


@pytest.mark.parametrize("line", ["finished in", "requests:", "status codes:", " data\n"])
def test_report_that_lacks_a_line_is_refused(line: str) -> None:
    text = REPORT.format(succeeded=12824, status=12824, data=WHOLE).replace(line, "\n")
    with pytest.raises(Unchecked):
        Run.parse(text)
