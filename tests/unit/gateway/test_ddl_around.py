"""Changes of ours while others change the same objects: grants never follow to an object that is not ours."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.support.shared_engine import SharedEngine
from tests.unit.gateway.shared import SharedGateway, shared_gateway

from kiteward.domain.errors import AccessDenied, EngineDeadlineExceeded
from kiteward.store.intent_records import IntentKind

DOCS = ("Collection", "default", "docs", "Query")
Around = Callable[[SharedEngine], None]


@pytest.fixture
async def gateway(store_path: Path) -> AsyncIterator[SharedGateway]:
    """`reader` may query `docs`."""
    engine = SharedEngine()
    engine.create("docs", "payroll")
    async with shared_gateway(store_path, engine) as gateway:
        await gateway.harness.role("reading", ("Query", "default", "docs"))
        await gateway.harness.user("reader", "reading")
        yield gateway


async def in_the_middle(gateway: SharedGateway, method: str, change: Around, **fields: str) -> int:
    """Send a change of ours, change objects while it is on its way, and return the code of the response."""
    gate = gateway.engine.hold(method)
    sent = asyncio.create_task(gateway.harness.status(method, **fields))
    await gateway.engine.reached(method)
    change(gateway.engine)
    gate.set()
    return int((await sent).code)


async def objects_of_grants(gateway: SharedGateway) -> list[str]:
    return sorted({name for _, _, name, _ in await gateway.harness.grants("reading")})


async def test_change_is_judged_by_what_its_names_are_now(gateway: SharedGateway) -> None:
    harness = gateway.harness
    await harness.role("owning", ("DropCollection", "default", "docs"))
    await harness.user("owner", "owning")
    await harness.call("HasCollection", collection_name="docs")
    gateway.engine.around.drop("docs")
    gateway.engine.around.alias("docs", "payroll")
    with pytest.raises(AccessDenied):
        await harness.call("DropCollection", by="owner", collection_name="docs")
    assert gateway.engine.called("DropCollection") == []
    status = await harness.status("DropCollection", collection_name="docs")
    assert "alias" in status.reason


async def test_grants_follow_a_rename_of_ours(gateway: SharedGateway) -> None:
    assert await in_the_middle(gateway, "RenameCollection", lambda _: None, oldName="docs", newName="archive") == 0
    assert await objects_of_grants(gateway) == ["archive"]
    assert gateway.engine.databases["default"].collections == ["payroll", "archive"]
    await gateway.harness.call("Query", by="reader", collection_name="archive")
    await gateway.read_again()
    assert await gateway.harness.store.policy() is not None
    assert gateway.events("VanishCollection") == []


async def test_grants_do_not_move_to_what_others_gave_the_new_name(gateway: SharedGateway) -> None:
    def replaced(engine: SharedEngine) -> None:
        engine.around.drop("docs")
        engine.around.rename("payroll", "archive")

    assert await in_the_middle(gateway, "RenameCollection", replaced, oldName="docs", newName="archive") != 0
    assert await objects_of_grants(gateway) == ["docs"]
    with pytest.raises(AccessDenied):
        await gateway.harness.call("Query", by="reader", collection_name="archive")


async def test_grants_do_not_move_either_where_the_response_is_lost(gateway: SharedGateway) -> None:
    gateway.engine.failures["RenameCollection"] = EngineDeadlineExceeded("lost")

    def replaced(engine: SharedEngine) -> None:
        engine.around.drop("docs")
        engine.around.create("archive")

    with pytest.raises(EngineDeadlineExceeded):
        await in_the_middle(gateway, "RenameCollection", replaced, oldName="docs", newName="archive")
    async with asyncio.timeout(30):
        while await open_intents(gateway):
            await asyncio.sleep(0.02)
    assert await objects_of_grants(gateway) == ["docs"]


async def open_intents(gateway: SharedGateway) -> list[IntentKind]:
    async with gateway.harness.store.transaction() as transaction:
        return [intent.kind for intent in await transaction.intents.all()]


@pytest.mark.parametrize("lost", [False, True])
async def test_collection_that_others_create_anew_after_a_drop_of_ours_inherits_nothing(
    gateway: SharedGateway, lost: bool
) -> None:
    if lost:
        gateway.engine.failures_after["DropCollection"] = EngineDeadlineExceeded("lost")
    original = gateway.engine._follow

    def created_anew(called: object) -> None:
        original(called)  # type: ignore[arg-type]
        gateway.engine._follow = original  # type: ignore[method-assign]
        gateway.engine.around.create("docs")

    gateway.engine._follow = created_anew  # type: ignore[method-assign]
    if lost:
        with pytest.raises(EngineDeadlineExceeded):
            await gateway.harness.call("DropCollection", collection_name="docs")
        async with asyncio.timeout(30):
            while await open_intents(gateway):
                await asyncio.sleep(0.02)
    else:
        await gateway.harness.succeed("DropCollection", collection_name="docs")
    assert gateway.engine.databases["default"].collections == ["payroll", "docs"]
    assert await objects_of_grants(gateway) == []


async def test_creation_that_is_refused_because_others_were_faster_makes_no_kept_grant_plain(
    gateway: SharedGateway,
) -> None:
    harness = gateway.harness
    await harness.role(
        "owning",
        ("CreateCollection", "default", "*"),
        ("DropCollection", "default", "docs"),
        ("Query", "default", "docs"),
    )
    await harness.user("owner", "owning")
    await harness.succeed("DropCollection", by="owner", collection_name="docs")
    gate = gateway.engine.hold("CreateCollection")
    sent = asyncio.create_task(harness.status("CreateCollection", by="owner", collection_name="docs"))
    await gateway.engine.reached("CreateCollection")
    gateway.engine.around.create("docs")
    gate.set()
    assert (await sent).code != 0
    stored = (await harness.store.policy()).grants
    assert {grant.kept_for for grant in stored if grant.key.object_name == "docs"} == {"owner"}


async def test_drop_of_what_others_have_dropped_ends_its_grants(gateway: SharedGateway) -> None:
    await in_the_middle(gateway, "DropCollection", lambda engine: engine.around.drop("docs"), collection_name="docs")
    assert await objects_of_grants(gateway) == []


async def test_database_that_others_drop_before_us_loses_its_grants(gateway: SharedGateway) -> None:
    gateway.engine.around.create("docs", "other")
    await gateway.harness.grant("reading", "Query", "other", "docs")
    await in_the_middle(gateway, "DropDatabase", lambda engine: engine.around.drop_database("other"), db_name="other")
    assert await gateway.harness.grants("reading") == [DOCS]


async def test_intent_keeps_the_id_of_its_collection_in_the_store(gateway: SharedGateway) -> None:
    gate = gateway.engine.hold("DropCollection")
    sent = asyncio.create_task(gateway.harness.succeed("DropCollection", collection_name="docs"))
    await gateway.engine.reached("DropCollection")
    async with gateway.harness.store.transaction() as transaction:
        (intent,) = await transaction.intents.all()
    assert intent.object_id == gateway.engine.id_of("docs") > 0
    gate.set()
    await sent
