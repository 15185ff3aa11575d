"""The life of a credential on a live server: keys in SDK and REST, resets, rotation, and the command line beside it."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import httpx
import pytest
from pymilvus import MilvusClient, MilvusException
from pymilvus.grpc_gen import milvus_pb2
from tests.support import command_line, raw_grpc
from tests.support.server import ROOT_TOKEN, RunningServer

ENGINES = ("embedded",)  # no engine takes part
PASSWORD = "Password-of-credentials-1"

Own = Callable[..., Any]


@pytest.fixture(scope="module")
def own(server: RunningServer) -> Iterator[Own]:
    """Call one of our own endpoints and return its data."""
    with httpx.Client(base_url=server.uri) as client:

        def call(path: str, *, token: str = ROOT_TOKEN, **body: Any) -> Any:
            response = client.post(
                f"/v2/kiteward/{path}", json=body, headers={"Authorization": f"Bearer {token}"}, timeout=30
            )
            answer = response.json()
            assert answer["code"] == 0, (response.status_code, answer)
            return answer["data"]

        yield call


def accepted_over_rest(server: RunningServer, token: str) -> bool:
    response = httpx.post(
        f"{server.uri}/v2/kiteward/whoami/describe", json={}, headers={"Authorization": f"Bearer {token}"}, timeout=30
    )
    assert response.status_code in (200, 401)
    return response.status_code == 200


def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    """Wait for a condition, with a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_key_is_a_token_for_the_sdk_and_a_bearer_for_rest(server: RunningServer, own: Own) -> None:
    root = MilvusClient(uri=server.uri, token=ROOT_TOKEN, dedicated=True)
    for name in ("kept_by_key", "of_others"):
        root.create_collection(name, dimension=4)
    root.create_user("keeper", PASSWORD)
    root.create_role("keeper_role")
    root.grant_privilege_v2("keeper_role", "CollectionReadWrite", collection_name="kept_by_key", db_name="default")
    root.grant_role("keeper", "keeper_role")
    made = own("api_keys/create", token=f"keeper:{PASSWORD}", description="for the test")
    client = MilvusClient(uri=server.uri, token=made["key"], dedicated=True)
    assert client.list_collections() == ["kept_by_key"]
    client.insert("kept_by_key", [{"id": 1, "vector": [0.1, 0.2, 0.3, 0.4]}])
    assert client.search("kept_by_key", data=[[0.1, 0.2, 0.3, 0.4]], limit=1)[0][0]["id"] == 1
    with pytest.raises(MilvusException):
        client.insert("of_others", [{"id": 1, "vector": [0.1, 0.2, 0.3, 0.4]}])
    assert own("whoami/describe", token=made["key"])["userName"] == "keeper"
    own("api_keys/revoke", token=f"keeper:{PASSWORD}", keyId=made["keyId"])
    assert not accepted_over_rest(server, made["key"])
    assert not raw_grpc.accepts(server.uri, made["key"])
    client.close()
    root.close()


def test_a_reset_with_a_grace_period_accepts_both_passwords_until_it_is_cut_off(
    server: RunningServer, own: Own
) -> None:
    own("users/create", userName="rotating", password=PASSWORD)
    assert raw_grpc.accepts(server.uri, f"rotating:{PASSWORD}")
    made = own("users/reset_password", userName="rotating", keepOldFor=600)
    assert raw_grpc.accepts(server.uri, f"rotating:{PASSWORD}")
    assert raw_grpc.accepts(server.uri, f"rotating:{made['password']}")
    listed = own("users/list", prefix="rotating")["users"]
    assert listed[0]["oldPasswordValidUntil"] == made["oldPasswordValidUntil"]
    own("users/end_old_password", userName="rotating")
    assert not raw_grpc.accepts(server.uri, f"rotating:{PASSWORD}")
    assert raw_grpc.accepts(server.uri, f"rotating:{made['password']}")


def test_reset_connection_of_the_sdk_works(server: RunningServer, own: Own) -> None:
    own("users/create", userName="resetting", password=PASSWORD)
    client = MilvusClient(uri=server.uri, token=f"resetting:{PASSWORD}", dedicated=True)
    client.update_password("resetting", PASSWORD, "Second-2-pass", reset_connection=True)
    assert client.list_collections() == []
    assert not raw_grpc.accepts(server.uri, f"resetting:{PASSWORD}")
    client.close()


def test_requests_queued_behind_a_password_change_are_checked_against_the_new_password(
    server: RunningServer, own: Own
) -> None:
    """All on one channel: what is acknowledged holds for what comes after, however it got there."""
    own("users/create", userName="queueing", password=PASSWORD)
    metadata = [("authorization", raw_grpc.authorization(f"queueing:{PASSWORD}"))]
    service = "/milvus.proto.milvus.MilvusService/"
    with grpc.insecure_channel(server.uri.removeprefix("http://")) as channel, ThreadPoolExecutor(8) as pool:
        version = channel.unary_unary(f"{service}GetVersion")
        update = channel.unary_unary(
            f"{service}UpdateCredential", request_serializer=lambda message: message.SerializeToString()
        )
        request = milvus_pb2.UpdateCredentialRequest(
            username="queueing",
            oldPassword=raw_grpc.authorization(PASSWORD),
            newPassword=raw_grpc.authorization("Second-2-pass"),
        )
        acknowledged = 0.0
        outcomes: list[tuple[float, grpc.StatusCode]] = []

        def ask() -> None:
            sent = time.monotonic()
            try:
                version(b"", metadata=metadata, timeout=20)
                outcomes.append((sent, grpc.StatusCode.OK))
            except grpc.RpcError as error:
                outcomes.append((sent, error.code()))

        for _ in range(50):
            pool.submit(ask)
        update(request, metadata=metadata, timeout=20)
        acknowledged = time.monotonic()
        for _ in range(50):
            pool.submit(ask)
        pool.shutdown(wait=True)
        later = [code for sent, code in outcomes if sent > acknowledged]
        assert len(later) >= 50
        assert set(later) == {grpc.StatusCode.UNAUTHENTICATED}
        with pytest.raises(grpc.RpcError) as refused:
            version(b"", metadata=metadata, timeout=20)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_guessing_makes_the_guesser_wait_with_the_words_of_a_wrong_password(server: RunningServer, own: Own) -> None:
    own("users/create", userName="guessed_at", password=PASSWORD)
    refusals = [
        raw_grpc.refusal(server.uri, "GetVersion", header=raw_grpc.authorization(f"guessed_at:wrong-{number}"))
        for number in range(8)
    ]
    right = raw_grpc.refusal(server.uri, "GetVersion", header=raw_grpc.authorization(f"guessed_at:{PASSWORD}"))
    assert {*refusals, right} == {
        (grpc.StatusCode.UNAUTHENTICATED, "auth check failure, please check username and password are correct")
    }
    until(lambda: raw_grpc.accepts(server.uri, f"guessed_at:{PASSWORD}"))


def test_the_command_line_beside_a_running_server_is_followed(server: RunningServer, own: Own) -> None:
    own("users/create", userName="watched", password=PASSWORD)
    assert raw_grpc.accepts(server.uri, f"watched:{PASSWORD}")
    data = ("--data-dir", str(server.data_dir))
    command_line.printed("users", "disable", "watched", *data)
    until(lambda: not raw_grpc.accepts(server.uri, f"watched:{PASSWORD}"))
    command_line.printed("users", "enable", "watched", *data)
    until(lambda: raw_grpc.accepts(server.uri, f"watched:{PASSWORD}"))
    made = command_line.printed("users", "reset-password", "watched", *data)
    password = made.split("password: ")[1].strip()
    until(lambda: raw_grpc.accepts(server.uri, f"watched:{password}"))
    assert not raw_grpc.accepts(server.uri, f"watched:{PASSWORD}")


def test_an_account_tells_when_its_user_was_last_seen(server: RunningServer, own: Own) -> None:
    own("users/create", userName="seen", password=PASSWORD)
    assert own("users/describe", userName="seen")["signedInAt"] is None
    assert raw_grpc.accepts(server.uri, f"seen:{PASSWORD}")
    until(lambda: own("users/describe", userName="seen")["signedInAt"] is not None)


def test_no_secret_of_all_this_is_in_the_log(server: RunningServer, own: Own) -> None:
    made = own("users/create", userName="canary")
    key = own("api_keys/create", userName="canary")["key"]
    assert raw_grpc.accepts(server.uri, f"canary:{made['password']}")
    assert raw_grpc.accepts(server.uri, key)
    for secret in (made["password"], key, PASSWORD, "Second-2-pass"):
        assert secret not in server.log()
        for path in server.data_dir.rglob("*"):
            if path.is_file():
                assert secret.encode() not in path.read_bytes(), path
