"""Health and metrics of all workers, whichever of them is asked."""

import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.support.metrics import sources

from kiteward.api.health import OwnReports
from kiteward.bootstrap.workers import siblings
from kiteward.bootstrap.workers.siblings import Siblings
from kiteward.telemetry.metrics import Metrics


@pytest.fixture
def sockets() -> Iterator[Path]:
    """A directory whose name is short enough for addresses of sockets."""
    with tempfile.TemporaryDirectory(prefix="kw-", dir="/tmp") as directory:
        yield Path(directory)


def own(number: int, *missing: str) -> OwnReports:
    async def missing_parts() -> tuple[str, ...]:
        return missing

    return OwnReports(missing_parts, Metrics(sources(), worker=number).text)


@contextlib.asynccontextmanager
async def serving(sockets: Path, missing: Sequence[str]) -> AsyncIterator[list[Siblings]]:
    """Let as many workers serve as there are texts: what each says is missing, or empty."""
    async with AsyncExitStack() as stack:
        workers = [
            Siblings(number, len(missing), sockets, own(number, *filter(None, [what])))
            for number, what in enumerate(missing, start=1)
        ]
        for worker in workers:
            await worker.serve(stack)
        yield workers


@contextlib.contextmanager
def stuck(sockets: Path, number: int) -> Iterator[None]:
    """Let connections to a worker be made, and nobody answer."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(sockets / f"{number}"))
        listening.listen()
        yield


async def test_server_is_ready_when_every_worker_is(sockets: Path) -> None:
    async with serving(sockets, ["", "", ""]) as workers:
        for worker in workers:
            assert await worker.missing() == ()
            assert await worker.silent() == ()


async def test_any_worker_names_what_another_one_lacks(sockets: Path) -> None:
    async with serving(sockets, ["", "lease", "engine"]) as workers:
        for worker in workers:
            assert await worker.missing() == ("worker 2: lease", "worker 3: engine")


async def test_worker_that_does_not_serve_leaves_the_server_ready(sockets: Path) -> None:
    async with serving(sockets, ["", ""]) as workers, AsyncExitStack() as ended:
        third = Siblings(3, 3, sockets, own(3))
        await third.serve(ended)
        await ended.aclose()
        (sockets / "3").touch()  # as a worker that was killed leaves it: nobody accepts there
        assert await workers[0].missing() == ()
        assert await workers[0].silent() == ()


async def test_worker_that_does_not_respond_makes_the_server_unready(
    sockets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(siblings, "_PATIENCE", 0.3)
    with stuck(sockets, 2):
        first = Siblings(1, 2, sockets, own(1))
        assert await first.missing() == ("worker 2: no response",)
        assert await first.silent() == ("worker 2",)
        assert b'kiteward_worker_up{worker="2"} 0.0' in await first.metrics()


async def test_metrics_of_all_workers_are_one_valid_text_with_a_label(sockets: Path) -> None:
    async with serving(sockets, ["", "", ""]) as workers:
        workers[1].restarts = (0, 0, 4)
        text = (await workers[1].metrics()).decode()
    families = list(text_string_to_metric_families(text))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    found = {(sample.name, sample.labels["worker"]): sample.value for family in families for sample in family.samples}
    for number in ("1", "2", "3"):
        assert found["kiteward_engine_up", number] == 0
        assert found["kiteward_worker_up", number] == 1
        assert found["process_cpu_seconds_total", number] > 0
    assert found["kiteward_worker_restarts_total", "3"] == 4
    assert text.count("# TYPE kiteward_engine_up ") == 1


async def test_metrics_go_on_without_a_worker_that_has_ended(sockets: Path) -> None:
    async with serving(sockets, ["", ""]) as workers:
        (sockets / "2").unlink()
        text = (await workers[0].metrics()).decode()
    assert 'kiteward_worker_up{worker="2"} 0.0' in text
    assert 'kiteward_engine_up{worker="1"}' in text
    assert 'kiteward_engine_up{worker="2"}' not in text
