"""A short form of `make fuzz`, and proof that each fuzzer notices a defect of the kind it looks for."""

import os
from dataclasses import replace
from typing import Any, Final

import pytest
from starlette.responses import Response
from tests.access.equivalence.random_values import Draw
from tests.fuzz import canaries, framing, jobs, json_mutations, protobuf_mutations, valid_requests
from tests.fuzz.bodies import Bodies
from tests.fuzz.isolation import Isolation
from tests.fuzz.requests import Sent, as_form, carried_out, smaller
from tests.fuzz.runner import run
from tests.fuzz.targets import live

from kiteward.api.rest import bodies, oauth
from kiteward.api.rest.endpoints import OWN_PREFIX
from kiteward.milvus import messages
from kiteward.net.asgi import Receive, Scope, Send

_SEED: Final = int(os.environ.get("TESTS_FUZZ_SEED", "20261128"))
_REQUESTS: Final = 2_000
_FEW: Final = 300


@pytest.mark.timeout(600)
@pytest.mark.parametrize("job", jobs.parts_of(_REQUESTS, _SEED, sorted(jobs.SHARES)), ids=lambda job: str(job.fuzzer))
async def test_mutated_requests_disclose_and_change_nothing(job: jobs.Job) -> None:
    tally = await jobs.task(job)
    assert tally.requests[job.fuzzer] >= job.requests
    found = "\n".join(str(finding) for finding in tally.findings.values())
    assert not found, f"{found}\nagain: python -m tests.fuzz --requests {_REQUESTS} --seed {_SEED} --only {job.fuzzer}"


@pytest.mark.heavy
async def test_disclosed_name_is_noticed() -> None:
    tally = await run(Isolation(callers=("root",), operations=["ShowCollections"], by_rest=0.0), _FEW, 1, live)
    found = [finding.what for finding in tally.findings.values()]
    assert any("disclosed a hidden name: canary" in what for what in found), tally


def test_what_a_caller_has_written_is_known_also_where_the_tag_of_the_next_field_follows_it() -> None:
    assert canaries.leaked(b"2\x0ccanary_wages8\x01", said=b"", own={"canary_wages"}) == ""
    assert canaries.leaked(b"2\x0ccanary_wages8\x01", said=b"", own={"canary_plans", "canary_one"}) == "canary_wages8"


async def test_name_stays_hidden_although_a_request_that_was_refused_has_said_it() -> None:
    refused = Sent("nobody", "/v2/vectordb/roles/create", b'{"roleName": "canary_role_1"}')
    described = Sent("nobody", "/v2/kiteward/api_keys/create", b'{"description": "canary_wages"}')
    message = messages.method_of("CreateRole").request(entity={"name": "canary_role_2"}).SerializeToString()
    async with live() as target:
        await target.ask([refused, Sent("nobody", valid_requests.rpc_path("CreateRole"), message), described])
        assert {name for name in target.own_names if canaries.MARK in name} == {"canary_wages"}


async def test_engine_in_memory_finds_the_rows_whose_keys_policies_ask_for() -> None:
    place = {"collection_name": canaries.OWN, "policy_name": "own"}
    some = dict.fromkeys(("using_expr", "check_expr"), "id in [1, 2]")
    vector = {"type": 101, "field_name": "vector", "vectors": {"dim": 2, "float_vector": {"data": [0.1] * 4}}}
    enforced = {"collection_name": canaries.OWN, "properties": [{"key": "rls.enabled", "value": "true"}]}

    def keyed(*keys: int) -> dict[str, Any]:
        column = {"type": 5, "field_name": "id", "scalars": {"long_data": {"data": keys}}}
        return {"collection_name": canaries.OWN, "num_rows": 2, "fields_data": [column, vector]}

    async with live() as target:

        async def answered(caller: str, operation: str, **fields: Any) -> tuple[bool, bytes]:
            payload = messages.method_of(operation).request(**fields).SerializeToString()
            sent = Sent(caller, valid_requests.rpc_path(operation), payload)
            answer = (await target.ask([sent]))[0]
            return carried_out(sent, answer), answer.data

        assert (await answered("root", "CreateRowPolicy", **place, **some, actions=range(5)))[0]
        assert (await answered("root", "AlterCollection", **enforced))[0]
        for operation in ("Insert", "Upsert"):
            assert (await answered("holder", operation, **keyed(1, 2)))[0]
            done, told = await answered("holder", operation, **keyed(1, 3))
            assert not done
            assert b"row 1 violates `check_expr`" in told
        assert (await answered("holder", "Delete", collection_name=canaries.OWN, expr="id in [1, 2]"))[0]


@pytest.mark.heavy
async def test_change_is_traced_to_the_smallest_request_that_makes_it() -> None:
    tally = await run(Isolation(callers=("root",), operations=["DropAlias"], by_rest=0.0), _FEW, 1, live)
    changes = [finding for kind, finding in tally.findings.items() if kind.startswith("changed")]
    assert any('{alias: "canary_alias"}' in finding.smallest for finding in changes), tally


@pytest.mark.heavy
async def test_body_that_makes_the_server_fail_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(kind: Any, raw: bytes) -> Any:
        if b"limit" in raw:
            raise RuntimeError("a defect")
        return decode(kind, raw)

    decode = bodies.decode
    monkeypatch.setattr(bodies, "decode", broken)
    tally = await run(Bodies(), _FEW // 4, 1, live)
    assert any(finding.what.startswith("failed") for finding in tally.findings.values()), tally


@pytest.mark.heavy
async def test_answer_of_the_token_endpoint_without_a_code_of_oauth_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oauth, "failed", lambda _: Response(b'{"code": 1100, "message": "no"}', 400))
    tally = await run(Bodies([f"{OWN_PREFIX}token"]), 20, 1, live)
    assert any("has no code" in finding.what for finding in tally.findings.values()), tally


@pytest.mark.heavy
async def test_name_that_the_token_endpoint_discloses_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    told = b'{"error": "invalid_scope", "error_description": "no, but canary_disclosed"}'
    monkeypatch.setattr(oauth, "failed", lambda _: Response(told, 400))
    tally = await run(Isolation(paths=[f"{OWN_PREFIX}token"], by_rest=1.0), 20, 1, live)
    assert any("disclosed a hidden name: canary" in finding.what for finding in tally.findings.values()), tally


def test_body_is_sent_as_a_form_where_the_endpoint_takes_one() -> None:
    sent = Sent("nobody", f"{OWN_PREFIX}token", b'{"scope": "a b", "row_tags": {"a": null}}', (("DB-Name", "x"),))
    form = as_form(sent)
    assert form.payload == b"scope=a+b&row_tags=%7B%22a%22%3A+null%7D"
    assert form.fields == (("Content-Type", oauth.FORM), *sent.fields)
    for other in (
        replace(sent, payload=b"[]"),
        replace(sent, path="/v2/vectordb/users/list"),
        replace(sent, fields=(("Content-Type", "text/plain"),)),
    ):
        assert as_form(other) is other


async def test_answer_of_another_request_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mixed(framing.Mirror):
        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await super().__call__({**scope, "path": f"{scope['path']}0"}, receive, send)

    monkeypatch.setattr(framing, "Mirror", Mixed)
    tally = await framing.run(_FEW, 1)
    assert "gave another answer" in tally.findings, tally


def test_fields_of_a_message_are_taken_apart_and_put_together_again() -> None:
    draw = Draw(1)
    for operation in messages.METHODS:
        payload = valid_requests.message(draw, operation)
        assert b"".join(protobuf_mutations.split(payload)) == payload
        assert all(len(less) < len(payload) for less in protobuf_mutations.smaller(payload))


def test_same_seed_makes_the_same_requests() -> None:
    payload = valid_requests.message(Draw(1), "Search")
    assert protobuf_mutations.mutated(Draw(2), payload) == protobuf_mutations.mutated(Draw(2), payload)
    document = {"collectionName": "own_docs", "filter": "id > 0"}
    assert json_mutations.mutated(Draw(2), document) == json_mutations.mutated(Draw(2), document)
    assert jobs.parts_of(_REQUESTS, 1, ["bodies"]) == jobs.parts_of(_REQUESTS, 1, ["bodies"])


def test_body_is_cut_down_member_by_member() -> None:
    sent = Sent("nobody", "/v2/vectordb/users/list", b'{"a": 1, "b": 2}', (("DB-Name", "x"),))
    assert {(less.payload, less.fields) for less in smaller(sent)} == {
        (b'{"a": 1, "b": 2}', ()),
        (b'{"b": 2}', sent.fields),
        (b'{"a": 1}', sent.fields),
    }
