"""Frameworks and SDKs, each as a user whose one role grants just what a job needs, and then a privilege less."""

import functools
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest
from pymilvus import MilvusClient
from tests.compat import privilege_tables, privilege_trials
from tests.compat.privilege_tables import locked, maven, module, npm
from tests.compat.privilege_trials import Job, Readings, Trial, create, drop, read, rebuild, write
from tests.support import environments, generated_sections, toolchains
from tests.support.server import RunningServer

ENGINES = ("embedded",)  # which privileges a program needs does not depend on the engine
_HERE: Final = Path(__file__).parent
DATABASE: Final = "atelier"
TABLE: Final = _HERE.parents[1] / "docs" / "compatibility.md"

pytestmark = pytest.mark.timeout(toolchains.MAKING_WITHIN + privilege_trials.WITHIN + 60)


def python(environment: str, script: str) -> Callable[[], list[str]]:
    """Return what makes the command of a script that an environment of its own runs."""
    return lambda: [str(environments.python(environment)), "-W", "ignore", str(_HERE / "frameworks" / script)]


def go(directory: str) -> list[str]:
    """Return the command of the program in Go that this directory has."""
    sources = [(_HERE / directory / "jobs.go").read_text(), (_HERE / "frameworks" / "trials.go").read_text()]
    return toolchains.go(f"jobs-{directory}", *sources, directory=directory)


@dataclass(frozen=True, slots=True)
class Program:
    """A program, what it does, and the database it does it in."""

    command: Callable[[], list[str]]
    jobs: tuple[Job, ...]
    database: str = DATABASE


MAKING: Final = ("CreateCollection", "CreateIndex", "Load", "Insert")

SDK: Final = (
    create(*MAKING),
    read("search", "Search", hidden="PrivilegeSearch: permission deny"),
    read("query", "Query"),
    read("exists", hidden="False"),
    read("list", hidden="['bystander']"),
    write("insert", "Insert"),
    write("upsert", "Upsert"),
    write("delete", "Delete"),
    write("load", "Load"),
    write("statistics", "GetStatistics"),
    drop("DropCollection"),
)
"""What every SDK does, in a language of its own."""

PROGRAMS: Final[Mapping[str, Program]] = {
    "langchain": Program(
        python("frameworks", "langchain_store.py"),
        (
            create(*MAKING),
            read("search", "Search", "Load", hidden="[]"),
            read("mmr search", "Search", "Query", "Load"),
            write("insert", "Insert", "Load"),
            write("delete", "Delete", "Load"),
            rebuild("DropCollection", *MAKING),
        ),
    ),
    "haystack": Program(
        python("frameworks", "haystack_store.py"),
        (
            create("CreateCollection", "CreateIndex", "GetLoadState", "Insert"),
            read("search", "Search", "GetLoadState", hidden="[]"),
            read("count", "Query", "GetLoadState", hidden="0"),
            write("insert", "Insert", "GetLoadState"),
            rebuild("DropCollection", "CreateCollection", "CreateIndex", "GetLoadState", "Insert"),
        ),
    ),
    "agno": Program(
        python("frameworks", "agno_store.py"),
        (
            create(*MAKING),
            read("search", "Search", hidden="PrivilegeSearch: permission deny"),
            read("name_exists", "Query", hidden="PrivilegeQuery: permission deny"),
            write("insert", "Insert"),
            write("upsert", "Query", "Upsert"),
            write("delete_by_name", "Query", "Delete", shows={"Query": "False", "Delete": "False"}),
        ),
    ),
    "llamaindex": Program(
        python("pymilvus26", "llama_index_store.py"),
        (
            create(*MAKING),
            read("search", "Search", hidden="PrivilegeCreateCollection: permission deny"),
            read("get_nodes", "Query"),
            write("insert", "Insert"),
            write("delete", "Query", "Delete"),
            rebuild("DropCollection", *MAKING),
        ),
    ),
    "mem0": Program(
        python("pymilvus26", "mem0_store.py"),
        (
            create(*MAKING),
            read("search", "Search", hidden="PrivilegeCreateCollection: permission deny"),
            read("get", "Query"),
            write("insert", "Insert"),
            write("update", "Upsert"),
            write("delete", "Delete"),
            rebuild("DropCollection", "CreateCollection", "CreateIndex", "Load"),
        ),
    ),
    "vectordbbench": Program(
        python("pymilvus26", "vectordbbench.py"),
        (
            create("CreateCollection", "CreateIndex", "Load"),
            write("insert", "Insert"),
            write("optimize", "Flush", "GetStatistics", "Compaction", "Load"),
            read("search", "Search", hidden="PrivilegeCreateCollection: permission deny"),
            rebuild("DropCollection", "CreateCollection", "CreateIndex", "Load"),
        ),
        "default",
    ),
    "langchainjs": Program(
        lambda: [*toolchains.node("langchainjs"), str(_HERE / "langchainjs" / "jobs.mjs")],
        (
            create("CreateCollection", "CreateIndex", "Insert", "Flush"),
            read("search", "Search", "Load", hidden="Collection not found: langchainjs"),
            write("insert", "Insert", "Flush"),
            write("delete", "Delete"),
        ),
    ),
    "pymilvus": Program(lambda: [sys.executable, str(_HERE / "frameworks" / "pymilvus_calls.py")], SDK),
    "pymilvus26": Program(python("pymilvus26", "pymilvus_calls.py"), SDK),
    "pymilvus25": Program(python("pymilvus25", "pymilvus_calls.py"), SDK),
    "pymilvus24": Program(python("pymilvus24", "pymilvus_calls.py"), SDK),
    "node": Program(lambda: [*toolchains.node(), str(_HERE / "node" / "jobs.mjs"), "@zilliz/milvus2-sdk-node"], SDK),
    "node25": Program(lambda: [*toolchains.node(), str(_HERE / "node" / "jobs.mjs"), "milvus2-sdk-node-2.5"], SDK),
    "go": Program(lambda: go("go"), SDK),
    "gov1": Program(lambda: go("gov1"), SDK),
    "java": Program(lambda: [*toolchains.java(_HERE / "java" / "Jobs.java"), "v2"], SDK),
    "javav1": Program(lambda: [*toolchains.java(_HERE / "java" / "Jobs.java"), "v1"], SDK),
}


IN_SHORT: Final = ("langchain", "node")
"""A framework, and a program of another language: those of `make test`. `make test-heavy` goes through all."""


def marked(names: Iterable[str]) -> list[Any]:
    """Return these programs, those that take long together with their mark."""
    return [name if name in IN_SHORT else pytest.param(name, marks=pytest.mark.heavy) for name in names]


TITLES: Final[Mapping[str, Callable[[], str]]] = {
    "langchain": lambda: locked("frameworks", "langchain-milvus"),
    "haystack": lambda: locked("frameworks", "milvus-haystack"),
    "agno": lambda: locked("frameworks", "agno"),
    "llamaindex": lambda: locked("pymilvus26", "llama-index-vector-stores-milvus"),
    "mem0": lambda: locked("pymilvus26", "mem0ai"),
    "vectordbbench": lambda: locked("pymilvus26", "vectordb-bench"),
    "langchainjs": lambda: npm("langchainjs", "@langchain/community"),
    "pymilvus": lambda: locked("run", "pymilvus"),
    "pymilvus26": lambda: locked("pymilvus26", "pymilvus"),
    "pymilvus25": lambda: locked("pymilvus25", "pymilvus"),
    "pymilvus24": lambda: locked("pymilvus24", "pymilvus"),
    "node": lambda: npm("node", "@zilliz/milvus2-sdk-node"),
    "node25": lambda: npm("node", "milvus2-sdk-node-2.5"),
    "go": lambda: module("go", "github.com/milvus-io/milvus/client/v2"),
    "gov1": lambda: module("gov1", "github.com/milvus-io/milvus-sdk-go/v2"),
    "java": lambda: maven("milvus-sdk-java"),
    "javav1": lambda: f"{maven('milvus-sdk-java')} (`MilvusServiceClient`)",
}


REBUILDING: Final = tuple(
    name for name, program in PROGRAMS.items() if any(job.name == "rebuild" for job in program.jobs)
)
"""The programs that drop their collection and make it again."""


def rebuilding(name: str) -> tuple[Trial, ...]:
    """Return the trials of a program that rebuilds its collection again and again, with grants that are made once."""
    jobs = {job.name: job for job in PROGRAMS[name].jobs}
    collection = f"{name}_rebuilt"
    grants = (("CollectionAdmin", collection), ("CreateCollection", "*"), ("DropCollection", "*"))
    return (
        Trial("first build", replace(jobs["rebuild"], afresh="missing"), collection, grants),
        Trial("second build", jobs["rebuild"], collection, None),
        Trial("search after it", jobs["search"], collection, None),
    )


Shown = Callable[[str], Readings]
"""Returns what a program has shown, by its name; it runs once."""


@pytest.fixture(scope="module")
def shown(server: RunningServer, root: MilvusClient, tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """What programs show in a database of their own, where they can name one."""
    root.create_database(DATABASE)

    @functools.cache
    def shown(name: str) -> Readings:
        program, home = PROGRAMS[name], tmp_path_factory.mktemp("home")
        tried = [*privilege_trials.trials(name, program.jobs), *(rebuilding(name) if name in REBUILDING else ())]
        return privilege_trials.run(server, name, program.command(), tried, database=program.database, home=home)

    return shown


@pytest.fixture(params=marked(PROGRAMS))
def readings(request: pytest.FixtureRequest, shown: Shown) -> Readings:
    """What each program has shown."""
    return shown(request.param)


def test_program_goes_through_all_its_trials(readings: Readings) -> None:
    assert readings.ended[0] == 0, readings.ended[1]
    assert list(readings.seen) == list(readings.trials)


def test_smallest_set_and_the_recommended_role_let_each_job_work(readings: Readings) -> None:
    for key, trial in readings.trials.items():
        if key.endswith((" needs", " role")):
            assert "value" in readings.seen[key], (key, readings.shown(key))
            assert readings.seen[key]["value"] or not trial.job.reads, key


def test_no_member_of_a_smallest_set_can_be_spared(readings: Readings) -> None:
    for key, trial in readings.trials.items():
        if trial.missing:
            refusal = f"Privilege{trial.missing}: permission deny"
            assert trial.job.shows.get(trial.missing, refusal) in readings.shown(key), (key, readings.shown(key))


def test_hidden_collection_looks_to_the_program_as_documented(readings: Readings) -> None:
    for key, trial in readings.trials.items():
        if key.endswith("hidden"):
            assert trial.job.hidden is not None
            assert trial.job.hidden in readings.shown(key), (key, readings.shown(key))


def test_the_programs_that_rebuild_are_known() -> None:
    assert set(REBUILDING) == {"langchain", "haystack", "llamaindex", "mem0", "vectordbbench"}


@pytest.mark.parametrize("name", marked(REBUILDING))
def test_program_that_rebuilds_its_collection_keeps_what_its_user_had_on_it(shown: Shown, name: str) -> None:
    seen = shown(name).seen
    assert [seen[trial.key].get("refused", "") for trial in rebuilding(name)] == ["", "", ""]


@pytest.mark.heavy
def test_the_tables_say_what_was_found(shown: Shown) -> None:
    titles = {name: title() for name, title in TITLES.items()}
    found = {name: shown(name) for name in PROGRAMS}
    generated_sections.demand(
        TABLE, "tests/compat/test_least_privileges.py", privilege_tables.table(titles, SDK, found)
    )
