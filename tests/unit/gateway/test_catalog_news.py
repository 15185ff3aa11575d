"""What the policy says of the catalog: which names may stand for something else, and which changes are not finished."""

import pytest
from tests.support.gateway import GatewayHarness

from kiteward.authn.authenticator import Authenticator
from kiteward.gateway.catalog_news import CatalogNews
from kiteward.gateway.policy_cache import PolicyCache
from kiteward.iam.row_policies import Place, PropertyChange, apply_properties
from kiteward.store.intent_records import Intent, IntentKind

INTENT = Intent(IntentKind.RENAME_COLLECTION, "default", "docs", "default", "archive")
NAMES = frozenset([("default", "docs"), ("default", "archive")])


class Observer:
    """Notes the news."""

    def __init__(self) -> None:
        self.news: list[CatalogNews] = []
        self.first_awaited: int | None = None

    def note(self, news: CatalogNews) -> None:
        self.news.append(news)

    def awaited(self) -> int | None:
        return self.first_awaited


@pytest.fixture
def observer(harness: GatewayHarness) -> Observer:
    observer = Observer()
    harness.policy_cache.observe_catalog(observer)
    observer.news.clear()
    return observer


async def begin(harness: GatewayHarness) -> None:
    async with harness.policy_cache.change() as transaction:
        await transaction.intents.add(INTENT)


async def test_intents_are_known_from_their_commit_to_their_removal(
    harness: GatewayHarness, observer: Observer
) -> None:
    await begin(harness)
    (intent,) = harness.policy_cache.intents
    async with harness.policy_cache.change() as transaction:
        assert await transaction.intents.remove(intent)
    assert harness.policy_cache.intents == ()
    begun, over = observer.news
    assert (begun.names, list(begun.intents)) == (NAMES, [intent])
    assert (over.names, list(over.intents)) == (NAMES, [])
    assert over.revision == begun.revision + 1 == harness.policy_cache.revision()


async def test_policy_that_is_loaded_knows_open_intents_and_no_names(harness: GatewayHarness) -> None:
    await begin(harness)
    policy_cache = PolicyCache(harness.store, Authenticator(harness.store, harness.hasher), harness.recorder)
    await policy_cache.load()
    observer = Observer()
    policy_cache.observe_catalog(observer)
    (news,) = observer.news
    assert (news.names, len(news.intents), news.protected) == (None, 1, frozenset())


async def test_changes_of_users_are_no_news(harness: GatewayHarness, observer: Observer) -> None:
    await harness.user("alice")
    assert observer.news == []


async def test_collection_is_news_when_its_row_policies_begin_to_be_enforced(
    harness: GatewayHarness, observer: Observer
) -> None:
    for enabled, protected in ((True, [("default", "docs")]), (None, []), (False, []), (True, [("default", "docs")])):
        async with harness.policy_cache.change() as transaction:
            change = PropertyChange(enabled=enabled, force=enabled is None)
            await apply_properties(transaction, Place("default", "docs"), change)
        assert [key for news in observer.news for key in news.protected] == protected
        observer.news.clear()


async def test_revision_is_drained_when_no_write_is_awaited(harness: GatewayHarness, observer: Observer) -> None:
    await begin(harness)
    revision = harness.policy_cache.revision()
    assert revision is not None
    assert harness.policy_cache.drained() == revision
    observer.first_awaited = revision
    assert harness.policy_cache.drained() == revision - 1
    observer.first_awaited = revision + 5
    assert harness.policy_cache.drained() == revision
