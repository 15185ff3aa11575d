"""A whole run over every protocol, and then a search for each secret in whatever the run has left behind."""

import base64
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import grpc
import httpx
import pytest
from pymilvus import MilvusClient, MilvusException
from tests.support import command_line, raw_grpc
from tests.support import server as servers
from tests.support.server import RunningServer

ROOT_PASSWORD: Final = "Canary-root-1"
CHOSEN: Final = "Canary-chosen-1"
CHANGED: Final = "Canary-changed-2"
WRONG: Final = "Canary-wrong-3"

_RPC: Final = "/milvus.proto.milvus.MilvusService/GetVersion"


def forms(secret: str) -> set[bytes]:
    """Return the forms in which a file may hold a secret: as it is, and as headers, requests and addresses carry it."""
    texts = {secret, quote(secret, safe=""), base64.b64encode(secret.encode()).decode().rstrip("=")}
    return {text.encode() for text in texts}


@dataclass
class Run:
    """What a run used, and what it left behind.

    Attributes:
        data_dir: where the servers and commands keep their files.
        secrets: passwords, keys and tokens, by what they are.
        left: what was written or answered, by where; what a command prints because it was asked for it is not.
    """

    data_dir: Path
    secrets: dict[str, str] = field(default_factory=dict)
    left: dict[str, bytes] = field(default_factory=dict)

    def secret(self, what: str, value: str, *, user: str = "") -> str:
        """Note a secret, and the token it makes together with its user."""
        self.secrets[what] = value
        if user:
            self.secrets[f"{what}, as a token"] = f"{user}:{value}"
        return value

    def keep(self, where: str, written: str | bytes) -> None:
        """Keep what was written or answered somewhere."""
        self.left[f"{where} ({len(self.left)})"] = written.encode() if isinstance(written, str) else written

    def command(self, *words: str, stdin: str = "", shows: str = "") -> str:
        """Run a command on the data directory.

        Args:
            words: of the command line.
            stdin: what it reads.
            shows: the member of its answer that is a secret, shown this once.

        Returns:
            What it shows, or everything it printed.
        """
        done = command_line.call(*words, "--data-dir", str(self.data_dir), stdin=stdin)
        assert done.status == 0, done
        self.keep(f"stderr of {words}", done.stderr)
        if not shows:
            self.keep(f"stdout of {words}", done.stdout)
            return done.stdout
        shown = re.search(rf"^{shows}: (\S+)$", done.stdout, re.MULTILINE)
        assert shown is not None
        self.keep(f"the rest of stdout of {words}", done.stdout.replace(shown[1], ""))
        return shown[1]

    def ask(self, live: RunningServer, path: str, token: str, *, shows: str = "", **body: Any) -> Any:
        """Call a REST endpoint, keep the answer but for the member it shows, and return its data."""
        response = httpx.post(
            f"{live.uri}/v2/{path}", json=body, headers={"Authorization": f"Bearer {token}"}, timeout=30
        )
        answer = response.json()
        data = answer.get("data")
        kept = {name: value for name, value in data.items() if name != shows} if isinstance(data, dict) else data
        self.keep(f"answer of {path}", json.dumps({**answer, "data": kept}) + str(response.headers))
        return data

    def found(self) -> list[str]:
        """Return where a secret was found, without the secret."""
        for path in self.data_dir.parent.rglob("*"):
            if path.is_file():
                self.left[str(path)] = path.read_bytes()
        return [
            f"{what} in {where}"
            for where, written in self.left.items()
            for what, value in self.secrets.items()
            if any(form in written for form in forms(value))
        ]


def over_rest(run: Run, live: RunningServer, admin: str) -> None:
    made = run.ask(live, "kiteward/users/create", admin, shows="password", userName="made", roles=["admin"])
    password = run.secret("generated password", made["password"], user="made")
    reset = run.ask(live, "kiteward/users/reset_password", admin, shows="password", userName="made", keepOldFor=600)
    run.ask(live, "kiteward/whoami/describe", f"made:{password}")
    password = run.secret("password after a reset", reset["password"], user="made")
    key = run.ask(live, "kiteward/api_keys/create", f"made:{password}", shows="key", description="of the run")
    run.secret("key", key["key"])
    rotated = run.ask(live, "kiteward/api_keys/rotate", f"made:{password}", shows="key", keyId=key["keyId"])
    new_key = run.secret("rotated key", rotated["key"])
    for path in ("kiteward/users/list", "kiteward/api_keys/list", "vectordb/users/list"):
        run.ask(live, path, new_key)
    run.ask(live, "vectordb/users/create", admin, userName="chosen", password=run.secret("chosen", CHOSEN))
    run.ask(
        live,
        "vectordb/users/update_password",
        admin,
        userName="chosen",
        password=CHOSEN,
        newPassword=run.secret("changed", CHANGED),
    )
    # Refusals: what was sent does not come back in the answer or go to the log.
    run.ask(live, "vectordb/users/create", admin, userName=["no name"], password=CHOSEN)
    run.ask(live, "vectordb/users/create", admin, userName="chosen", passwort=CHOSEN)
    run.ask(live, "kiteward/users/reset_password", admin, userName="chosen", newPassword=run.secret("short", "Nope-7!"))
    run.ask(live, "kiteward/users/reset_password", admin, userName="chosen", newPassword=[CHOSEN])
    run.ask(live, "kiteward/whoami/describe", run.secret("mistyped key", new_key[:-1] + "~"))
    run.ask(live, "kiteward/whoami/describe", run.secret("wrong password", f"made:{WRONG}"))


def over_grpc(run: Run, live: RunningServer, admin: str) -> None:
    client = MilvusClient(uri=live.uri, token=admin, dedicated=True)
    client.create_user("by_sdk", CHOSEN)
    client.update_password("by_sdk", CHOSEN, CHANGED)
    with pytest.raises(MilvusException) as refused:
        client.update_password("by_sdk", WRONG, CHOSEN)
    run.keep("an SDK's exception", str(refused.value))
    client.close()
    assert raw_grpc.accepts(live.uri, run.secrets["rotated key"])
    headers = [
        raw_grpc.authorization(f"by_sdk:{WRONG}"),
        raw_grpc.authorization(WRONG),
        raw_grpc.authorization(f"no name:{CHOSEN}"),
    ]
    for header in [*headers, WRONG, f"Bearer {WRONG}"]:
        code, details = raw_grpc.refusal(live.uri, "GetVersion", header=header)
        assert code is grpc.StatusCode.UNAUTHENTICATED
        run.keep("details of a refusal", details)
    metadata = [("authorization", raw_grpc.authorization(admin)), ("token", WRONG)]
    with grpc.insecure_channel(live.uri.removeprefix("http://")) as channel:
        version = channel.unary_unary(_RPC)
        with pytest.raises(grpc.RpcError) as error:
            version(f"\xff{CHOSEN}".encode("latin-1"), metadata=metadata, timeout=20)
    run.keep("details of a malformed request", str(error.value))


def by_command(run: Run) -> None:
    run.secret("made by command", run.command("users", "create", "by_command", shows="password"), user="by_command")
    run.secret("reset by command", run.command("users", "reset-password", "by_command", shows="password"))
    run.command("users", "reset-password", "chosen", "--password-file", "-", stdin=CHOSEN)
    run.secret("key by command", run.command("keys", "create", "by_command", shows="key"))
    run.command("users", "list", "--json")
    run.command("keys", "list", "--json")


def read_by_watchers(run: Run, live: RunningServer) -> None:
    watched = re.search(r"health and metrics are on (http[^\s\"]+)", live.log())
    assert watched is not None
    paths = ("metrics", "healthz", "healthz/live", "healthz/ready")
    for address in (*(f"{watched[1]}/{path}" for path in paths), f"{live.uri}/openapi.json", f"{live.uri}/docs"):
        answer = httpx.get(address, timeout=30)
        assert answer.status_code == 200
        run.keep(address, answer.content)


def test_no_secret_of_a_whole_run_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(tmp_path / "run" / "data")
    run.data_dir.parent.mkdir()
    monkeypatch.setenv("KITEWARD_ROOT_PASSWORD", run.secret("root's", ROOT_PASSWORD, user="root"))
    administrator = run.secret("administrator's", run.command("init", "--admin", "db_admin", shows="password"))
    admin = run.secret("administrator's token", f"db_admin:{administrator}")
    run.secret("wrong", WRONG, user="by_sdk")
    for _ in range(2):  # once more after a restart: what one server writes, the next one reads
        with servers.running(run.data_dir) as live:
            if "key" not in run.secrets:
                over_rest(run, live, admin)
                over_grpc(run, live, admin)
                by_command(run)
            assert raw_grpc.accepts(live.uri, f"root:{ROOT_PASSWORD}")
            assert raw_grpc.accepts(live.uri, run.secrets["rotated key"])
            assert raw_grpc.accepts(live.uri, admin)
            read_by_watchers(run, live)
    run.keep("the log of commands", caplog.text)
    assert run.found() == []
    # The search finds what is there: the ids of keys are public, and kept.
    run.secrets = {"a key's id": run.secrets["rotated key"].split("_")[1]}
    assert {"store.db", "audit-"} <= {word for word in ("store.db", "audit-") for place in run.found() if word in place}
