"""The official SDKs of other languages walk over users, roles, grants, groups, keys and data."""

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

import httpx
import pytest
from pymilvus import MilvusClient
from tests.compat import accounts, walkthrough
from tests.compat.walkthrough import EXPECTED, Refused, Walk
from tests.support import server as servers
from tests.support import toolchains
from tests.support.server import ROOT_TOKEN, RunningServer
from tests.support.upstream import ENGINES, Upstream

_HERE: Final = Path(__file__).parent

PROGRAMS: Final[Mapping[str, Callable[[], list[str]]]] = {
    "python": lambda: [sys.executable, str(_HERE / "python" / "walk.py")],
    "curl": lambda: [*toolchains.curl(), str(_HERE / "curl" / "walk.py")],
    "node": lambda: [*toolchains.node(), str(_HERE / "node" / "walk.mjs"), "@zilliz/milvus2-sdk-node"],
    "node 2.5": lambda: [*toolchains.node(), str(_HERE / "node" / "walk.mjs"), "milvus2-sdk-node-2.5"],
    "go": lambda: toolchains.go("walk", (_HERE / "go" / "walk.go").read_text()),
    "java": lambda: toolchains.java(_HERE / "java" / "Walk.java"),
}
"""The program of each language, made if need be."""

# The first test of a language may have to fetch and build its program.
pytestmark = pytest.mark.timeout(toolchains.MAKING_WITHIN + walkthrough.WITHIN + 60)


def furnish(server: RunningServer) -> str:
    """Put in place what every walk finds, and nothing else, and return an API key of `keyholder`."""
    with closing(MilvusClient(uri=server.uri, token=ROOT_TOKEN, dedicated=True)) as root:
        for left in root.list_collections():
            for alias in root.list_aliases(left)["aliases"]:
                root.drop_alias(alias)
            root.drop_collection(left)
        for user in {*root.list_users()} - {"root"}:
            root.drop_user(user)
        for role in {*root.list_roles()} - {"admin", "public"}:
            root.drop_role(role, force_drop=True)
        root.create_collection("secrets", dimension=4, metric_type="L2")
        root.insert("secrets", [{"id": number, "vector": [1.0, number, 0.0, 0.0]} for number in range(3)])
        accounts.add(root, "keyholder", ("Query", "secrets"))
    made = httpx.post(
        f"{server.uri}/v2/kiteward/api_keys/create",
        json={"userName": "keyholder"},
        headers={"Authorization": f"Bearer {ROOT_TOKEN}"},
        timeout=30,
    ).json()
    return str(made["data"]["key"])


class Stage:
    """A server for walks, one after another, which is watched and restarted where a walk pauses.

    Attributes:
        server: the one that runs.
        turned_away: requests of this walk with a wrong password, by operation.
        denied: requests of this walk for which a privilege was missing, by operation.
    """

    def __init__(self, stack: ExitStack, data_dir: Path, engine: str) -> None:
        """Start a server.

        Args:
            stack: stops it.
            data_dir: its data directory.
            engine: the settings of its engine, in YAML; empty for the embedded engine.
        """
        self._stack = stack
        self._config = f"kiteward: {{{engine}}}"
        self._starter = stack.enter_context(ThreadPoolExecutor(1))
        self._coming: Future[RunningServer]
        self._data_dir = data_dir
        self.server = stack.enter_context(servers.running(data_dir, config=self._config))
        self.turned_away: Counter[str] = Counter()
        self.denied: Counter[str] = Counter()

    def walk(self, language: str) -> Walk:
        """Let the program of a language walk, from its beginning."""
        command = [*PROGRAMS[language](), self.server.uri.removeprefix("http://")]
        key = furnish(self.server)
        self.turned_away, self.denied = Counter(), Counter()
        self.denied.subtract(walkthrough.counted(self.server, "denied"))
        return walkthrough.run(language, command, key, self.at_pause)

    def at_pause(self, name: str) -> None:
        """Run the action of a pause."""
        match name:
            case "before_wrong_password":
                self.denied.update(walkthrough.counted(self.server, "denied"))
                self.turned_away.subtract(walkthrough.counted(self.server, "unauthenticated"))
            case "after_wrong_password":
                self.turned_away.update(walkthrough.counted(self.server, "unauthenticated"))
            case "restart":
                assert self.server.stop() == 0
                again = servers.running(self._data_dir, "--port", str(self.server.port), config=self._config)
                # The walk goes on meanwhile, against a server that is not there yet.
                self._coming = self._starter.submit(self._stack.enter_context, again)
            case "back":
                self.server = self._coming.result()
            case _:
                raise AssertionError(name)


@pytest.fixture(scope="module")
def on_embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The server of the walks with the embedded engine."""
    with ExitStack() as stack:
        yield Stage(stack, tmp_path_factory.mktemp("embedded") / "data", "")


@pytest.fixture(scope="module")
def on_remote(milvus: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The server of the walks in front of a real Milvus 2.3.5."""
    with ExitStack() as stack:
        yield Stage(stack, tmp_path_factory.mktemp("remote") / "data", milvus.engine_settings())


WALKS: Final = [
    # `make test` takes the current SDKs with the embedded engine: what an SDK does hardly depends on the engine.
    pytest.param(
        f"{engine} {language}", marks=[pytest.mark.heavy] if engine == "remote" or language[-1].isdigit() else []
    )
    for engine in ENGINES
    for language in PROGRAMS
]


@pytest.fixture(scope="module", params=WALKS)
def walked(request: pytest.FixtureRequest) -> tuple[Walk, Stage]:
    """One walk in each language with each engine."""
    engine, _, language = request.param.partition(" ")
    stage: Stage = request.getfixturevalue(f"on_{engine}")
    return stage.walk(language), stage


@pytest.mark.parametrize("step", EXPECTED)
def test_step_of_the_walk_sees_what_it_must(walked: tuple[Walk, Stage], step: str) -> None:
    walk, _ = walked
    assert step in walk.seen, f"the walk did not come here: {walk.ended}"
    seen, expected = walk.seen[step], walkthrough.DIFFERENT.get((walk.language, step), EXPECTED[step])
    if isinstance(expected, Refused):
        assert isinstance(seen, Refused), seen
        assert expected.sentence in seen.sentence
    else:
        assert seen == expected


def test_walk_has_no_other_steps_and_ends_well(walked: tuple[Walk, Stage]) -> None:
    walk, _ = walked
    assert walk.ended[0] == 0, walk.ended[1]
    assert list(walk.seen) == list(EXPECTED)


def test_no_refusal_keeps_its_user_waiting(walked: tuple[Walk, Stage]) -> None:
    walk, _ = walked
    waits = {step: seconds for step, seconds in walk.seconds.items() if isinstance(walk.seen[step], Refused)}
    assert {step: seconds for step, seconds in waits.items() if seconds > 15} == {}


def test_wrong_password_is_sent_once_and_not_tried_again(walked: tuple[Walk, Stage]) -> None:
    _, stage = walked
    sent = +stage.turned_away
    assert sent
    assert set(sent.values()) == {1}, sent


def test_call_without_privilege_is_sent_once_and_not_tried_again(walked: tuple[Walk, Stage]) -> None:
    walk, stage = walked
    refusals = [seen.sentence for seen in walk.seen.values() if isinstance(seen, Refused)]
    assert stage.denied.total() == len([sentence for sentence in refusals if "permission deny" in sentence])
