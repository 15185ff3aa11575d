"""Changes where replicas share the store: each has its event in its own transaction, whoever makes it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.gateway import ROOT_PASSWORD, GatewayHarness, encoded, presented
from tests.support.python_sources import syntax_tree

import kiteward
from kiteward.audit.events import AuditEvent, Event, Outcome
from kiteward.audit.reader import AuditQuery, Entry
from kiteward.audit.shared import SharedEvents, SharedTrail
from kiteward.store.transaction import Transaction

SOURCE = Path(kiteward.__file__).parent


@pytest.fixture
def sharing(harness: GatewayHarness) -> GatewayHarness:
    """A gateway whose store others share."""
    harness.recorder._shared = SharedEvents("a")
    return harness


async def stored(harness: GatewayHarness) -> list[Entry]:
    return [entry async for entry in SharedTrail(harness.store).every(AuditQuery())]


async def test_change_has_its_event_and_its_end_names_it(sharing: GatewayHarness) -> None:
    await sharing.succeed("CreateCredential", username="alice", password=encoded("Password-1"))
    (entry,) = await stored(sharing)
    assert (entry["operation"], entry["outcome"], entry["principal"]) == ("CreateCredential", "committed", "root")
    assert (entry["replica"], entry["details"]["user"]) == ("a", "alice")
    received, ended = sharing.trail.events[-2:]
    assert (received.outcome, received.stored) == (Outcome.RECEIVED, 0)
    assert (ended.outcome, ended.stored, ended.request_id) == (
        Outcome.SUCCEEDED,
        entry["seq"],
        entry.get("request_id", ""),
    )


async def test_change_that_fails_has_none(sharing: GatewayHarness) -> None:
    await sharing.succeed("CreateCredential", username="alice", password=encoded("Password-1"))
    status = await sharing.status("CreateCredential", username="alice", password=encoded("Password-1"))
    assert status.code != 0
    assert len(await stored(sharing)) == 1
    assert sharing.trail.events[-1].stored == 0


async def test_event_holds_all_details_though_the_end_is_shortened(sharing: GatewayHarness) -> None:
    names = [f"role{number:03}" for number in range(100)]
    await sharing.succeed(
        "RestoreRBAC", RBAC_meta={"roles": [{"name": name} for name in names], "users": [], "grants": []}
    )
    entries = await stored(sharing)
    told = str([entry["details"] for entry in entries])
    assert all(name in told for name in names)
    assert "role099" not in str(sharing.trail.events[-1].details)


async def test_reads_and_a_change_of_a_single_server_store_nothing(harness: GatewayHarness) -> None:
    await harness.succeed("CreateCredential", username="alice", password=encoded("Password-1"))
    assert await stored(harness) == []
    harness.recorder._shared = SharedEvents("a")
    await harness.call("ListCredUsers")
    assert await stored(harness) == []


async def test_what_the_server_changes_itself_has_an_event_too(sharing: GatewayHarness) -> None:
    await sharing.user("alice")
    before = len(await stored(sharing))
    await sharing.policy_cache._lock("alice")
    (entry,) = (await stored(sharing))[before:]
    assert (entry["operation"], entry["outcome"], entry["details"]) == (
        "LockUser",
        "committed",
        {"userName": "alice"},
    )
    assert [event.event for event in sharing.trail.events][-1] is Event.USER_CHANGE


async def test_grants_that_follow_a_collection_have_an_event(sharing: GatewayHarness) -> None:
    sharing.engine.create("docs")
    sharing.catalog.forget(["default"])
    await sharing.role("reader", ("Query", "default", "docs"))
    before = len(await stored(sharing))
    await sharing.succeed("DropCollection", collection_name="docs")
    assert "FollowObject" in [entry["operation"] for entry in (await stored(sharing))[before:]]


async def test_event_that_cannot_be_written_undoes_the_change(
    sharing: GatewayHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_self: SharedEvents, _transaction: Transaction, _event: AuditEvent) -> int:
        raise OSError("no")

    monkeypatch.setattr(SharedEvents, "append", fail)
    with pytest.raises(OSError, match="no"):
        await sharing.call("CreateCredential", username="alice", password=encoded("Password-1"))
    assert await sharing.store.user("alice") is None
    assert sharing.trail.events[-1].outcome is Outcome.FAILED


async def test_password_is_in_no_event(sharing: GatewayHarness) -> None:
    await sharing.succeed("CreateCredential", username="alice", password=encoded("Password-1"))
    await sharing.succeed(
        "UpdateCredential",
        by=presented("root", ROOT_PASSWORD),
        username="root",
        oldPassword=encoded(ROOT_PASSWORD),
        newPassword=encoded("Password-2"),
    )
    told = str(await stored(sharing))
    assert not [
        text for text in ("Password-1", "Password-2", encoded("Password-1"), encoded("Password-2")) if text in told
    ]


def changing_blocks() -> Iterator[tuple[str, str]]:
    """Yield each function that opens a transaction of the policy by itself, and its source."""
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text("utf-8")
        for node in ast.walk(syntax_tree(text)):
            if isinstance(node, ast.AsyncWith) and any(
                isinstance(item.context_expr, ast.Call) and ast.unparse(item.context_expr).endswith("cache.change()")
                for item in node.items
            ):
                yield f"{path.relative_to(SOURCE)}:{node.lineno}", ast.unparse(node)


WITHOUT_AN_EVENT = (
    "transaction:\n    first = await transaction.users.get(ROOT) is None",  # reads
    "transaction.grants.kept_on(",  # reads
    "transaction.note_catalog(",  # the request's own line names what was changed
    "apply_properties(transaction, target",  # the request's own line names the properties
)


def test_every_change_outside_a_request_stores_an_event() -> None:
    blocks = dict(changing_blocks())
    assert len(blocks) >= 8
    missing = [
        place
        for place, text in blocks.items()
        if "store_system_event" not in text and not any(known in text for known in WITHOUT_AN_EVENT)
    ]
    assert missing == []
