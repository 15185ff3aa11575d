"""schemathesis against the OpenAPI document: what the server answers is what the document announces.

Every operation is tried with its examples and with random requests, valid and not, the same ones at each run; three in
this short form, which proves that each operation answers as announced. `make test-heavy` also tries the border cases of
each schema. `TESTS_OPENAPI_EXAMPLES=200 make test ARGS=tests/compat/test_openapi.py` tries more random requests of each
operation, and the border cases without a credential too.
"""

import json
import os
import secrets
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import jsonschema_rs
import pytest
import schemathesis
from schemathesis.config import PositiveDataAcceptanceConfig, SchemathesisConfig
from schemathesis.engine import Status, events, from_schema
from schemathesis.engine.recorder import Interaction, ScenarioRecorder
from schemathesis.specs.openapi.schemas import OpenApiSchema
from tests.support import raw_grpc
from tests.support import server as servers
from tests.support.server import ROOT_TOKEN, RunningServer

_ASKED: Final = os.environ.get("TESTS_OPENAPI_EXAMPLES", "")
EXAMPLES: Final = int(_ASKED or 3)
SEED: Final = 20_261_121

EXCLUDED: Final[Mapping[str, str]] = {
    "negative_data_rejection": "Milvus answers HTTP 200 and a code where this asks for 4xx; `forbidden_and_done` "
    "replaces it",
    "unsupported_method": "Milvus answers another method with 404, not 405",
}
"""Checks of schemathesis that are not made, each with the reason."""

SLOW: Final = ["2xx", "3xx", "401", "403", "404", "408", "409", "429", "5xx"]
"""How a valid request may be answered; schemathesis' own list, and 408: it sends `Request-Timeout: 1`."""

MILVUS: Final = "/v2/vectordb/"
OWN: Final = "/v2/kiteward/"

KNOWN: Final[Mapping[str, Any]] = {
    "aliasName": "movies",
    "annsField": "vector",
    "collectionName": "films",
    "dbName": "default",
    "dimension": 4,
    "filter": "id > 0",
    "indexName": "vector",
    "limit": 3,
    "newCollectionName": "films_2",
    "partitionName": "early",
    "password": "Password-1",
    "privilege": "Search",
    "privilegeGroupName": "readers",
    "roleName": "viewer",
    "userName": "alice",
}
"""Values that requests shall have among others, so that some of them meet what earlier ones have made."""

DONE_AT_LEAST_ONCE: Final = frozenset(
    {
        "users/create",
        "users/list",
        "roles/create",
        "roles/list",
        "privilege_groups/create",
        "privilege_groups/list",
        "databases/describe",
        "databases/list",
        "collections/create",
        "collections/describe",
        "collections/list",
        "partitions/list",
        "indexes/list",
        "aliases/list",
        "entities/query",
        "entities/delete",
    }
)
"""Operations that must have succeeded, so that a server which refuses everything does not pass."""

OWN_DONE_AT_LEAST_ONCE: Final = frozenset({"whoami/describe", "users/list", "users/create", "api_keys/list"})
"""Likewise of our own."""

pytestmark = pytest.mark.timeout(600 if not _ASKED else 7200)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[RunningServer]:
    """A server of its own for each test: what is sent here changes and drops what it meets."""
    with servers.running(tmp_path / "data") as running:
        yield running


class Run:
    """What schemathesis found out.

    Attributes:
        failures: failed checks and errors, in words.
        interactions: every request with its answer, by operation.
    """

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.interactions: dict[str, list[Interaction]] = {}

    def take(self, event: events.EngineEvent) -> None:
        """Take what the engine tells."""
        match event:
            case events.ScenarioFinished():
                self.interactions.setdefault(event.recorder.label, []).extend(event.recorder.interactions.values())
                self.failures += _failures(event.recorder)
            case events.NonFatalError():
                self.failures.append(f"{event.label}: {event.value}")
            case events.FatalError():
                raise event.exception
            case events.PhaseFinished() if event.status is Status.ERROR:
                self.failures.append(f"the phase {event.phase.name} did not run")

    def answers(self) -> Iterator[tuple[str, Interaction, int]]:
        """Yield operation, interaction and HTTP status of everything that was sent; each was answered."""
        for label, interactions in self.interactions.items():
            for interaction in interactions:
                assert interaction.response is not None, label
                yield label, interaction, interaction.response.status_code


def _failures(recorder: ScenarioRecorder) -> Iterator[str]:
    for checks in recorder.checks.values():
        for check in checks:
            if check.failure_info is not None:
                yield f"{recorder.label}: {check.name}: {check.failure_info.failure}\n{check.failure_info.code_sample}"


def described(server: RunningServer, below: str = MILVUS, *, takes: str = "application/json") -> OpenApiSchema:
    """Return what the document of a running server says of paths, with values that we know in it.

    Args:
        server: the server.
        below: the prefix of the paths.
        takes: the content type of their bodies.
    """
    document = httpx.get(f"{server.uri}/openapi.json").json()
    document["paths"] = {
        path: item
        for path, item in document["paths"].items()
        if path.startswith(below) and takes in item["post"]["requestBody"]["content"]
    }
    for component in document["components"]["schemas"].values():
        for name, member in component.get("properties", {}).items():
            if name in KNOWN:
                member["examples"] = [KNOWN[name]]
    schema = schemathesis.openapi.from_dict(document, config=SchemathesisConfig(seed=SEED))
    schema.config.update(base_url=server.uri)
    return schema


def tried(schema: OpenApiSchema, *, token: str | None, border_cases: bool) -> Run:
    """Try every operation of a document."""
    config = schema.config
    config.update(headers=None if token is None else {"Authorization": f"Bearer {token}"}, continue_on_failure=True)
    config.generation.max_examples = EXAMPLES
    config.generation.no_shrink = True
    config.generation.database = "none"
    config.phases.coverage.enabled = border_cases
    # The document links no operation to another.
    config.phases.stateful.enabled = False
    config.checks.update(excluded_check_names=list(EXCLUDED))
    config.checks.positive_data_acceptance = PositiveDataAcceptanceConfig(expected_statuses=SLOW)
    run = Run()
    for event in from_schema(schema).execute():
        run.take(event)
    return run


def paths(schema: OpenApiSchema) -> dict[str, dict[str, Any]]:
    """Return the declared operations by schemathesis' label."""
    return {f"POST {path}": item["post"] for path, item in schema.raw_schema["paths"].items()}


def forbidden_and_done(schema: OpenApiSchema, run: Run) -> list[str]:
    """Return requests whose body the document forbids, and which were carried out all the same.

    A `null` at the top level counts as not given (contract 5.1), as does an unknown member that asks for nothing, and
    `null` as the whole body counts as `{}`; the document tells none of it. A plan whose answer names faults carried
    nothing out: it is how the operation refuses what it is asked about.
    """
    components = {"components": schema.raw_schema["components"]}
    bodies = {
        label: item["requestBody"]["content"]["application/json"]["schema"] for label, item in paths(schema).items()
    }
    validators = {label: jsonschema_rs.validator_for({**body, **components}) for label, body in bodies.items()}
    known = {label: _members(body, schema) for label, body in bodies.items()}
    return [
        f"{label} {interaction.request.body!r}"
        for label, interaction, status in run.answers()
        if status == 200
        and code(interaction) == 0
        and not _faults(interaction)
        and not _allows(validators[label], known[label], interaction.request.body)
    ]


def _members(body: dict[str, Any], schema: OpenApiSchema) -> set[str]:
    """Return the names of the members of a body."""
    *_, name = body["$ref"].split("/")
    return set(schema.raw_schema["components"]["schemas"][name].get("properties", {}))


def _allows(validator: Any, known: set[str], sent: bytes | None) -> bool:
    try:
        body = json.loads(sent or b"")
    except ValueError:
        return False
    body = {} if body is None else body
    if isinstance(body, dict):
        body = {name: value for name, value in body.items() if value is not None and (name in known or value)}
    return bool(validator.is_valid(body))


def code(interaction: Interaction) -> int:
    """Return the code in an answer."""
    assert interaction.response is not None
    return int(json.loads(interaction.response.content)["code"])


def _faults(interaction: Interaction) -> list[object]:
    """Return what an answer to a plan finds wrong with what was sent."""
    assert interaction.response is not None
    data = json.loads(interaction.response.content)["data"]
    return list(data.get("faults", ())) if isinstance(data, dict) else []


def test_excluded_checks_exist() -> None:
    config = SchemathesisConfig().projects.default.checks
    assert [name for name in EXCLUDED if not hasattr(config, name)] == []


def key_of_root(server: RunningServer) -> str:
    """Return an API key, which still opens after what is sent has set a new password."""
    bearer = {"Authorization": f"Bearer {ROOT_TOKEN}"}
    answer = httpx.post(f"{server.uri}{OWN}api_keys/create", json={}, headers=bearer).json()
    return str(answer["data"]["key"])


MET_BY_BORDER_CASES: Final = frozenset({"collections/describe", "entities/delete"})
"""Those of the former that succeed only with what border cases have created before."""

LEAST: Final[Mapping[str, frozenset[str]]] = {MILVUS: DONE_AT_LEAST_ONCE, OWN: OWN_DONE_AT_LEAST_ONCE}


@pytest.mark.parametrize("border_cases", [False, pytest.param(True, marks=pytest.mark.heavy)])
@pytest.mark.parametrize("below", LEAST)
def test_root_is_answered_as_the_document_says(fresh: RunningServer, below: str, border_cases: bool) -> None:
    schema = described(fresh, below)
    token = ROOT_TOKEN if below == MILVUS else key_of_root(fresh)
    run = tried(schema, token=token, border_cases=border_cases)
    assert run.failures == []
    assert set(run.interactions) == set(paths(schema))
    assert min(len(each) for each in run.interactions.values()) >= EXAMPLES
    statuses = Counter(status for _, _, status in run.answers())
    # 401 is what schemathesis gets when it leaves the credential out, 404 for other methods, which are border cases.
    assert set(statuses) <= {200, 401, 404, 408}
    assert min(statuses[200], statuses[401]) > 0
    assert statuses[404] > 0 or not border_cases
    done = {label.partition(below)[2] for label, each, status in run.answers() if status == 200 and not code(each)}
    assert done >= LEAST[below] - (frozenset() if border_cases else MET_BY_BORDER_CASES)
    assert forbidden_and_done(schema, run) == []
    # What it lists, it also revokes in the end: of our own endpoints the server's life is all that is asked.
    assert raw_grpc.accepts(fresh.uri, token) or below == OWN
    assert "unexpectedly" not in fresh.log()


@dataclass(frozen=True, slots=True)
class Closed:
    """A server that changes nothing for what is sent here, and the token of its administrator."""

    server: RunningServer
    token: str


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    """A server whose credentials no source file holds, because Hypothesis draws strings from the sources."""
    password = f"A-{secrets.token_hex(16)}"
    config = f"common: {{security: {{defaultRootPassword: {password}}}}}"
    with servers.running(tmp_path_factory.mktemp("closed") / "data", config=config) as running:
        yield Closed(running, f"root:{password}")


@pytest.mark.parametrize("by_root", [True, False])
def test_forms_are_answered_as_the_document_says(closed: Closed, by_root: bool) -> None:
    """Nobody has a role to hand out here, so that every form is refused."""
    schema = described(closed.server, OWN, takes="application/x-www-form-urlencoded")
    assert list(paths(schema)) == [f"POST {OWN}token"]
    run = tried(schema, token=closed.token if by_root else None, border_cases=True)
    # A form that the document allows is refused all the same.
    assert [each for each in run.failures if "positive_data_acceptance" not in each] == []
    statuses = {status for _, _, status in run.answers()}
    assert statuses <= {400, 401, 404}
    assert statuses & ({400} if by_root else {401})
    assert "unexpectedly" not in closed.server.log()


def test_nobody_gets_in_without_a_credential(closed: Closed) -> None:
    schema = described(closed.server, "/v2/")
    run = tried(schema, token=None, border_cases=bool(_ASKED))
    assert run.failures == []
    assert set(run.interactions) == set(paths(schema))
    assert Counter(status for _, _, status in run.answers()).keys() == {401}
    assert {code(each) for _, each, _ in run.answers()} == {1800}
    assert "unexpectedly" not in closed.server.log()
