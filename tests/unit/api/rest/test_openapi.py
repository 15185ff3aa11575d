import json
from typing import Any

import httpx
import jsonschema_rs
import pytest
from tests.support.engine import FakeEngine
from tests.support.gateway import PASSWORD, GatewayHarness
from tests.support.rest import Rest, served

from kiteward.api.rest.endpoint_table import TABLE
from kiteward.api.rest.openapi import document
from kiteward.api.rest.settings import RestSettings
from kiteward.domain.errors import EngineDeadlineExceeded


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(document(TABLE)))
    return made


def operation(described: dict[str, Any], path: str) -> dict[str, Any]:
    found: dict[str, Any] = described["paths"][f"/v2/vectordb/{path}"]["post"]
    return found


def fits(described: dict[str, Any], path: str, response: httpx.Response) -> bool:
    """Return whether the document announces an answer."""
    announced = operation(described, path)["responses"][str(response.status_code)]
    if "$ref" in announced:
        announced = described["components"]["responses"][announced["$ref"].rpartition("/")[2]]
    schema = {**announced["content"]["application/json"]["schema"], "components": described["components"]}
    return bool(jsonschema_rs.is_valid(schema, response.json()))


async def test_the_document_is_shown_to_everybody(rest: Rest, described: dict[str, Any]) -> None:
    response = await rest.send("/openapi.json", by=None, method="GET")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == described


def test_it_holds_every_endpoint_and_each_demands_a_credential(described: dict[str, Any]) -> None:
    assert described["openapi"].startswith("3.1.")
    assert set(described["paths"]) == set(TABLE)
    known = set(described["components"]["securitySchemes"])
    for path in described["paths"].values():
        assert set(path) == {"post"}
        assert path["post"]["security"]
        assert all(set(each) and set(each) <= known for each in path["post"]["security"])
    ids = [path["post"]["operationId"] for path in described["paths"].values()]
    assert len(set(ids)) == len(ids)


def test_every_reference_leads_somewhere(described: dict[str, Any]) -> None:
    def references(value: Any) -> Any:
        if isinstance(value, dict):
            yield from [value["$ref"]] if isinstance(value.get("$ref"), str) else []
            for each in value.values():
                yield from references(each)
        elif isinstance(value, list):
            for each in value:
                yield from references(each)

    found = set(references(described))
    assert found
    for reference in found:
        here: Any = described
        for part in reference.removeprefix("#/").split("/"):
            here = here[part]


def test_a_body_tells_what_is_required_and_what_is_secret(described: dict[str, Any]) -> None:
    body = operation(described, "users/create")["requestBody"]["content"]["application/json"]["schema"]
    schema = described["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    assert schema["required"] == ["userName", "password"]
    assert schema["properties"]["userName"] == {"type": "string", "minLength": 1}
    assert schema["properties"]["password"]["format"] == "password"
    assert schema["properties"]["dbName"]["type"] == "string"


async def test_it_announces_what_is_answered(
    rest: Rest, harness: GatewayHarness, engine: FakeEngine, described: dict[str, Any]
) -> None:
    await harness.user("ann")
    await harness.role("reader", ("Search", "default", "*"))
    answers = [
        ("users/list", await rest.send("users/list")),
        ("users/list", await rest.send("users/list", by=None)),
        ("users/list", await rest.send("users/list", by="ann")),
        ("users/list", await rest.send("users/list", content=b"[")),
        ("users/describe", await rest.send("users/describe", {"userName": "ann"})),
        ("users/create", await rest.send("users/create", {"userName": "ann", "password": PASSWORD})),
        ("users/create", await rest.send("users/create", {"userName": "bob", "password": PASSWORD})),
        ("roles/describe", await rest.send("roles/describe", {"roleName": "reader"})),
        ("roles/describe", await rest.send("roles/describe", {"roleName": "nobody"})),
        ("privilege_groups/list", await rest.send("privilege_groups/list")),
    ]
    engine.failures["ListDatabases"] = EngineDeadlineExceeded("too late")
    async with served(harness.gateway, RestSettings(max_body=1024)) as small:
        answers.append(("users/list", await small.send("users/list", content=b" " * 2000)))
    assert {response.status_code for _, response in answers} == {200, 401, 403, 413}
    for path, response in answers:
        assert fits(described, path, response), (path, response.status_code, response.text)


def test_it_does_not_announce_other_answers(described: dict[str, Any]) -> None:
    wrong = [
        (200, {"code": 0}),
        (200, {"code": 0, "data": "text"}),
        (200, {"code": 0, "data": [], "message": ""}),
        (200, {"code": 0, "message": ""}),
        (200, {"code": 1100}),
        (401, {"code": 1100, "message": "no"}),
        (403, {"code": 1800, "message": "no"}),
    ]
    for status, content in wrong:
        assert not fits(described, "users/list", httpx.Response(status, json=content)), (status, content)
