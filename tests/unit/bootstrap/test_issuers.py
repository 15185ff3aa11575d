"""A server with an identity provider: over gRPC and REST, with keys that are fetched in the background."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import httpx
from tests.support import raw_grpc
from tests.support.in_process_server import serving
from tests.support.issuer import Issuer, running_issuer
from tests.unit.authn.oidc.verifying import configured

from kiteward.authn.oidc.group_mapping import GroupMapping
from kiteward.authn.oidc.issuers import Client, KeySource, SignUp
from kiteward.bootstrap.issuer_review import review_issuers
from kiteward.domain.identity import Secret


def accepted(issuer: Issuer, **more: Any) -> Any:
    """Return the configuration of an issuer whose group `admins` holds the role `admin`."""
    mapping = GroupMapping({"admins": frozenset({"admin"})})
    return configured(issuer, sign_up=SignUp.CREATE, groups_claim="groups", group_roles=mapping, **more)


async def rest(port: int, token: str, path: str = "/v2/kiteward/whoami/describe") -> tuple[int, Any]:
    """Return the HTTP status and the JSON of a response over REST."""
    async with httpx.AsyncClient() as client:
        address = f"http://127.0.0.1:{port}{path}"
        response = await client.post(address, json={}, headers={"authorization": f"Bearer {token}"})
    return response.status_code, response.json()


async def test_tokens_are_accepted_over_grpc_and_rest_and_refused_with_a_sentence(tmp_path: Path) -> None:
    with running_issuer() as idp:
        async with serving(tmp_path, issuers=(accepted(idp),)) as (server, _):
            uri = f"127.0.0.1:{server.port}"
            token = idp.token(preferred_username="alice", groups=["admins"])
            assert await asyncio.to_thread(raw_grpc.accepts, uri, token)
            status, told = await rest(server.port, token)
            assert status == 200, told
            assert (told["data"]["userName"], told["data"]["credential"]) == ("idp_alice", f"oidc:{idp.url}#subject-1")
            assert told["data"]["administrator"] is True
            wrong = idp.token(preferred_username="alice", aud="other")
            header = raw_grpc.authorization(wrong)
            code, text = await asyncio.to_thread(raw_grpc.refusal, uri, "ListDatabases", header=header)
            assert code is grpc.StatusCode.UNAUTHENTICATED
            assert "`aud` must be kiteward" in text
            status, told = await rest(server.port, wrong)
            assert "`aud` must be kiteward" in json.dumps(told)
            assert (status, told["code"]) == (401, 1800)


async def test_keys_are_fetched_before_the_first_token(tmp_path: Path) -> None:
    with running_issuer() as idp:
        async with serving(tmp_path, issuers=(accepted(idp),)):
            async with asyncio.timeout(60):
                while not idp.fetches:
                    await asyncio.sleep(0.05)


async def test_a_server_starts_while_the_issuer_is_down_and_accepts_tokens_when_it_is_back(tmp_path: Path) -> None:
    with running_issuer() as idp:
        idp.failing = True
        async with serving(tmp_path, issuers=(accepted(idp),)) as (server, _):
            token = idp.token(preferred_username="alice")
            status, told = await rest(server.port, token)
            assert "could not be fetched" in json.dumps(told)
            assert (status, told["code"]) == (401, 1800)


async def test_a_review_says_how_many_keys_there_are_or_why_there_are_none(tmp_path: Path) -> None:
    with running_issuer() as idp:
        idp.rotate("RS256")
        good = accepted(idp)
        limited = accepted(idp, algorithms=frozenset({"EdDSA"}))
        idp_down = accepted(idp, keys=KeySource(uri="http://127.0.0.1:1/"))
        no_ca = accepted(idp, keys=KeySource(ca=tmp_path / "none.pem"))
        review = await review_issuers([good, limited, idp_down, no_ca])
    assert "by 2 keys for ES256, RS256" in review.notes[0]
    assert [each.partition(": ")[2] or each for each in review.faults] == [
        f"no key of {idp.url} is for an algorithm that kiteward.oidc accepts of it",
        "it cannot be reached (ConnectError)",
        f"caFile of kiteward.oidc cannot be used: {tmp_path / 'none.pem'} holds no certificates",
    ]


async def test_a_review_finds_what_is_unsafe() -> None:
    pattern = GroupMapping({}, {"*": frozenset({"admin"})})
    with running_issuer() as idp:
        of_all = configured(idp, group_roles=pattern)
        public = configured(
            idp, name="https://gitlab.com", sign_up=SignUp.CREATE, keys=KeySource(uri=f"{idp.url}/keys")
        )
        limited = replace(public, name="https://accounts.google.com", required_claims={"hd": frozenset({"x"})})
        with_console = replace(limited, client=Client("console", Secret("")))
        limited_too = replace(limited, client=Client("console", Secret(""), required_claims={"hd": frozenset({"x"})}))
        same = configured(idp, client=Client("kiteward", Secret("")))
        kinds = configured(idp, client=Client("kiteward", Secret("")), required_claims={"typ": frozenset({"Bearer"})})
        apart = configured(idp, client=Client("console", Secret("")))
        review = await review_issuers([of_all, public, limited, with_console, limited_too, same, kinds, apart])
    assert len(review.unsafe) == 4
    assert "makes administrators of all groups of a pattern" in review.unsafe[0]
    assert "https://gitlab.com is create, and anybody can have an account there: set requiredClaims" in review.unsafe[1]
    assert "https://accounts.google.com is create" in review.unsafe[2]
    assert "set signInClaims" in review.unsafe[2]
    assert "ID tokens" in review.unsafe[3]
