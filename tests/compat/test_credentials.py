"""The life of a credential on a live server: keys in SDK and REST, resets, rotation, and the command line beside it."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from pymilvus import MilvusClient, MilvusException
from pymilvus.grpc_gen import milvus_pb2
from tests.support import raw_grpc
from tests.support import server as servers
from tests.support.server import ROOT_TOKEN, RunningServer

PASSWORD = "Password-1"

Own = Callable[..., Any]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with servers.running(tmp_path_factory.mktemp("credentials") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def own(live: RunningServer) -> Iterator[Own]:
    """Call one of our own endpoints and return its data."""
    with httpx.Client(base_url=live.uri) as client:

        def call(path: str, *, token: str = ROOT_TOKEN, **body: Any) -> Any:
            response = client.post(
                f"/v2/kiteward/{path}", json=body, headers={"Authorization": f"Bearer {token}"}, timeout=30
            )
            answer = response.json()
            assert answer["code"] == 0, (response.status_code, answer)
            return answer["data"]

        yield call


def accepted_over_rest(live: RunningServer, token: str) -> bool:
    response = httpx.post(
        f"{live.uri}/v2/kiteward/whoami/describe", json={}, headers={"Authorization": f"Bearer {token}"}, timeout=30
    )
    assert response.status_code in (200, 401)
    return response.status_code == 200


def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    """Wait for a condition, with a deadline."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_key_is_a_token_for_the_sdk_and_a_bearer_for_rest(live: RunningServer, own: Own) -> None:
    root = MilvusClient(uri=live.uri, token=ROOT_TOKEN, dedicated=True)
    for name in ("mine", "others"):
        root.create_collection(name, dimension=4)
    root.create_user("keeper", PASSWORD)
    root.create_role("keeper_role")
    root.grant_privilege_v2("keeper_role", "CollectionReadWrite", collection_name="mine", db_name="default")
    root.grant_role("keeper", "keeper_role")
    made = own("api_keys/create", token=f"keeper:{PASSWORD}", description="for the test")
    client = MilvusClient(uri=live.uri, token=made["key"], dedicated=True)
    assert client.list_collections() == ["mine"]
    client.insert("mine", [{"id": 1, "vector": [0.1, 0.2, 0.3, 0.4]}])
    assert client.search("mine", data=[[0.1, 0.2, 0.3, 0.4]], limit=1)[0][0]["id"] == 1
    with pytest.raises(MilvusException):
        client.insert("others", [{"id": 1, "vector": [0.1, 0.2, 0.3, 0.4]}])
    assert own("whoami/describe", token=made["key"])["userName"] == "keeper"
    own("api_keys/revoke", token=f"keeper:{PASSWORD}", keyId=made["keyId"])
    assert not accepted_over_rest(live, made["key"])
    assert not raw_grpc.accepts(live.uri, made["key"])
    client.close()
    root.close()


def test_a_reset_with_a_grace_period_accepts_both_passwords_until_it_is_cut_off(live: RunningServer, own: Own) -> None:
    own("users/create", userName="rotating", password=PASSWORD)
    assert raw_grpc.accepts(live.uri, f"rotating:{PASSWORD}")
    made = own("users/reset_password", userName="rotating", keepOldFor=600)
    assert raw_grpc.accepts(live.uri, f"rotating:{PASSWORD}")
    assert raw_grpc.accepts(live.uri, f"rotating:{made['password']}")
    listed = own("users/list", prefix="rotating")["users"]
    assert listed[0]["oldPasswordValidUntil"] == made["oldPasswordValidUntil"]
    own("users/end_old_password", userName="rotating")
    assert not raw_grpc.accepts(live.uri, f"rotating:{PASSWORD}")
    assert raw_grpc.accepts(live.uri, f"rotating:{made['password']}")


def test_reset_connection_of_the_sdk_works(live: RunningServer, own: Own) -> None:
    own("users/create", userName="resetting", password=PASSWORD)
    client = MilvusClient(uri=live.uri, token=f"resetting:{PASSWORD}", dedicated=True)
    client.update_password("resetting", PASSWORD, "Second-2-pass", reset_connection=True)
    assert client.list_collections() == []
    assert not raw_grpc.accepts(live.uri, f"resetting:{PASSWORD}")
    client.close()


def test_requests_queued_behind_a_password_change_are_checked_against_the_new_password(
    live: RunningServer, own: Own
) -> None:
    """All on one channel: what is acknowledged holds for what comes after, however it got there."""
    own("users/create", userName="queueing", password=PASSWORD)
    metadata = [("authorization", raw_grpc.authorization(f"queueing:{PASSWORD}"))]
    service = "/milvus.proto.milvus.MilvusService/"
    with grpc.insecure_channel(live.uri.removeprefix("http://")) as channel, ThreadPoolExecutor(8) as pool:
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


def test_guessing_makes_the_guesser_wait_with_the_words_of_a_wrong_password(live: RunningServer, own: Own) -> None:
    own("users/create", userName="guessed", password=PASSWORD)
    refusals = [
        raw_grpc.refusal(live.uri, "GetVersion", header=raw_grpc.authorization(f"guessed:wrong-{number}"))
        for number in range(8)
    ]
    right = raw_grpc.refusal(live.uri, "GetVersion", header=raw_grpc.authorization(f"guessed:{PASSWORD}"))
    assert {*refusals, right} == {
        (grpc.StatusCode.UNAUTHENTICATED, "auth check failure, please check username and password are correct")
    }
    until(lambda: raw_grpc.accepts(live.uri, f"guessed:{PASSWORD}"))


def test_the_command_line_beside_a_running_server_is_followed(live: RunningServer, own: Own, tmp_path: Path) -> None:
    own("users/create", userName="watched", password=PASSWORD)
    assert raw_grpc.accepts(live.uri, f"watched:{PASSWORD}")
    command = [sys.executable, "-m", "kiteward"]
    subprocess.run([*command, "users", "disable", "watched", "--data-dir", str(live.data_dir)], check=True)
    until(lambda: not raw_grpc.accepts(live.uri, f"watched:{PASSWORD}"))
    subprocess.run([*command, "users", "enable", "watched", "--data-dir", str(live.data_dir)], check=True)
    until(lambda: raw_grpc.accepts(live.uri, f"watched:{PASSWORD}"))
    made = subprocess.run(
        [*command, "users", "reset-password", "watched", "--data-dir", str(live.data_dir)],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    ).stdout
    password = made.split("password: ")[1].strip()
    until(lambda: raw_grpc.accepts(live.uri, f"watched:{password}"))
    assert not raw_grpc.accepts(live.uri, f"watched:{PASSWORD}")


def test_an_account_tells_when_its_user_was_last_seen(live: RunningServer, own: Own) -> None:
    own("users/create", userName="seen", password=PASSWORD)
    assert own("users/describe", userName="seen")["signedInAt"] is None
    assert raw_grpc.accepts(live.uri, f"seen:{PASSWORD}")
    until(lambda: own("users/describe", userName="seen")["signedInAt"] is not None)


def test_no_secret_of_all_this_is_in_the_log(live: RunningServer, own: Own) -> None:
    made = own("users/create", userName="canary")
    key = own("api_keys/create", userName="canary")["key"]
    assert raw_grpc.accepts(live.uri, f"canary:{made['password']}")
    assert raw_grpc.accepts(live.uri, key)
    for secret in (made["password"], key, PASSWORD, "Second-2-pass"):
        assert secret not in live.log()
        for path in live.data_dir.rglob("*"):
            if path.is_file():
                assert secret.encode() not in path.read_bytes(), path
