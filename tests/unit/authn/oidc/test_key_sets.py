"""Keys of issuers: fetched rarely, in time, and never because of what a token says about where they are."""

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.support.issuer import Issuer, SigningKey, private_key
from tests.unit.authn.oidc.verifying import configured, refusal, verifier_of

from kiteward.authn.oidc import key_sets
from kiteward.authn.oidc.fetching import FetchFailed
from kiteward.authn.oidc.issuers import Issuer as Configured
from kiteward.authn.oidc.issuers import KeySource, NameRule
from kiteward.authn.oidc.key_sets import LONGEST_UNSEEN, REFRESH, RETRY, WINDOW, KeySet, public_keys
from kiteward.domain.error_codes import ErrorCode
from kiteward.domain.errors import KeyRejected

ISSUER = Configured("https://idp.example", frozenset({"kiteward"}), NameRule("idp_{sub}"))


class Clock:
    """A clock that a test moves, and that wakes those who sleep by it."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._sleeping: dict[asyncio.Event, float] = {}

    def __call__(self) -> float:
        return self._now

    @property
    def now(self) -> float:
        return self._now

    @now.setter
    def now(self, now: float) -> None:
        self._now = now
        for over, until in self._sleeping.items():
            if until <= now:
                over.set()

    async def sleep(self, seconds: float) -> None:
        """Sleep by this clock."""
        over = asyncio.Event()
        self._sleeping[over] = self._now + seconds
        try:
            await over.wait()
        finally:
            del self._sleeping[over]


class Publisher:
    """Publishes keys without HTTP; `None` fails.

    Attributes:
        keys: the keys.
        fetches: how often they were requested.
        answered: called after the next requests, one each.
    """

    def __init__(self, *keys: SigningKey) -> None:
        self.keys: list[SigningKey] | None = list(keys)
        self.fetches = 0
        self.answered: list[Callable[[], None]] = []

    async def key_set(self) -> Mapping[str, Any]:
        self.fetches += 1
        await asyncio.sleep(0)
        if self.keys is None:
            raise FetchFailed("it is down")
        found = {"keys": [each.jwk() for each in self.keys]}
        if self.answered:
            self.answered.pop(0)()
        return found


def key(key_id: str | None, algorithm: str = "ES256") -> SigningKey:
    return SigningKey(key_id, algorithm, private_key(algorithm))


async def code_of(keys: KeySet, key_id: str, *, subject: str | None = None, source: str = "") -> ErrorCode:
    """Return the code of the refusal of a key that is not found."""
    with pytest.raises(KeyRejected) as refused:
        await keys.find(key_id, "ES256", subject=subject, source=source)
    return refused.value.code


async def settled(*tasks: asyncio.Future[Any]) -> bool:
    """Let everything run that can, and return whether these are done."""
    for _ in range(20):
        await asyncio.sleep(0)
    return all(task.done() for task in tasks)


async def test_ten_thousand_unknown_key_ids_cause_two_fetches_a_minute() -> None:
    clock, publisher = Clock(), Publisher(key("a"))
    keys = KeySet(ISSUER, publisher, clock=clock, sleep=clock.sleep)
    refused = []
    for number in range(10_000):
        clock.now += 0.004
        refused.append(asyncio.ensure_future(code_of(keys, f"bogus-{number}")))
        await asyncio.sleep(0)
    await settled()
    assert publisher.fetches == 2
    for number in range(100):
        clock.now += 3.0
        refused.append(asyncio.ensure_future(code_of(keys, f"later-{number}")))
        await keys.refresh()
        await settled()
    assert publisher.fetches <= 2 * (1 + (clock.now - 1000) // WINDOW)
    clock.now += WINDOW
    assert await settled(*refused)
    assert {each.result() for each in refused} == {ErrorCode.TOKEN_KEY_UNKNOWN}


@pytest.mark.parametrize("known", [True, False], ids=["known", "newcomer"])
async def test_a_new_key_is_found_within_a_minute_while_others_send_unknown_key_ids(*, known: bool) -> None:
    clock, publisher = Clock(), Publisher(key("a"))
    keys = KeySet(ISSUER, publisher, clock=clock, sleep=clock.sleep)
    await keys.find("a", "ES256")
    bogus, waits = [], []
    for rotation in range(6):  # at any moment within a minute
        subject = f"subject-{rotation}" if known else None
        if known:
            keys.verified(f"subject-{rotation}")
        publisher.keys = [key(f"new-{rotation}")]
        new = asyncio.ensure_future(keys.find(f"new-{rotation}", "ES256", subject=subject, source="192.0.2.1"))
        asked = clock.now
        while not await settled(new):
            clock.now += 1.0
            bogus += [asyncio.ensure_future(code_of(keys, f"{clock.now}-{n}", source="192.0.2.2")) for n in range(30)]
        waits.append(clock.now - asked)
        assert new.result()[0].key_id == f"new-{rotation}"
        clock.now += 9.0
    assert max(waits) <= WINDOW
    assert publisher.fetches <= 2 * (1 + (clock.now - 1000) // WINDOW)
    clock.now += WINDOW
    assert await settled(*bogus)


async def test_a_key_that_a_fetch_did_not_bring_is_not_waited_for_again() -> None:
    clock, publisher = Clock(), Publisher(key("a"))
    keys = KeySet(ISSUER, publisher, clock=clock, sleep=clock.sleep)
    await keys.find("a", "ES256")
    assert await code_of(keys, "late") is ErrorCode.TOKEN_KEY_UNKNOWN
    publisher.keys = [key("a"), key("late")]
    for _ in range(3):
        again = asyncio.ensure_future(code_of(keys, "late"))
        assert await settled(again)
        assert again.result() is ErrorCode.TOKEN_KEY_UNKNOWN
    assert publisher.fetches == 2
    clock.now += WINDOW
    assert (await keys.find("late", "ES256"))[0].key_id == "late"


async def test_a_published_key_is_not_waited_for_because_of_an_algorithm_that_it_does_not_have() -> None:
    clock, publisher = Clock(), Publisher(key("a"))
    keys = KeySet(ISSUER, publisher, clock=clock, sleep=clock.sleep)
    await keys.find("a", "ES256")
    for _ in range(3):
        with pytest.raises(KeyRejected):
            await keys.find("a", "RS256")
    assert publisher.fetches == 1
    clock.now += WINDOW
    publisher.keys = [key("a", "RS256")]
    assert (await keys.find("a", "RS256"))[0].key_id == "a"


async def test_the_ids_that_were_not_found_are_forgotten_at_some_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_sets, "_MOST_IDS", 2)
    clock = Clock()
    keys = KeySet(ISSUER, Publisher(key("a")), clock=clock, sleep=clock.sleep)
    for key_id in ("b", "c", "d"):
        assert await code_of(keys, key_id) is ErrorCode.TOKEN_KEY_UNKNOWN
        clock.now += WINDOW
    assert list(keys._missed) == ["c", "d"]


async def test_a_token_that_waits_goes_on_with_the_fetch_that_another_one_causes() -> None:
    clock, publisher = Clock(), Publisher(key("a"))
    keys = KeySet(ISSUER, publisher, clock=clock, sleep=clock.sleep)
    await keys.find("a", "ES256")
    keys.verified("alice")
    clock.now += WINDOW
    assert await code_of(keys, "bogus") is ErrorCode.TOKEN_KEY_UNKNOWN
    publisher.keys = [key("b")]
    newcomer = asyncio.ensure_future(keys.find("b", "ES256"))
    assert not await settled(newcomer)
    assert (await keys.find("b", "ES256", subject="alice"))[0].key_id == "b"
    assert await settled(newcomer)
    assert newcomer.result()[0].key_id == "b"
    assert publisher.fetches == 3


@pytest.mark.parametrize(
    ("forged", "unknown"), [(True, False), (False, True), (True, True)], ids=["signatures", "key ids", "both"]
)
async def test_what_anybody_sends_leaves_a_fetch_for_the_new_key_of_a_known_subject(
    *, forged: bool, unknown: bool
) -> None:
    clock, publisher = Clock(), Publisher(key("a"))
    keys = KeySet(ISSUER, publisher, clock=clock, sleep=clock.sleep)
    await keys.find("a", "ES256")
    clock.now += WINDOW
    began: list[float] = []
    bogus: list[asyncio.Future[ErrorCode]] = []
    for name in "bcdef":
        for number in range(100):
            keys.verified("alice")
            clock.now += 0.7
            before = publisher.fetches
            if forged:
                assert await keys.find_again("a", "ES256") is None
            if unknown:
                bogus.append(asyncio.ensure_future(code_of(keys, f"bogus-{number}")))
                await settled()
            began += (publisher.fetches - before) * [clock.now]
        publisher.keys = [key("a"), key(name)]
        before, now = publisher.fetches, clock.now
        found = asyncio.ensure_future(keys.find(name, "ES256", subject="alice"))
        assert await settled(found)  # without a wait
        assert found.result()[0].key_id == name
        began += (publisher.fetches - before) * [now]
    assert len(began) >= 2 * 5
    assert all(later - first >= WINDOW for first, later in zip(began, began[2:], strict=False))
    clock.now += WINDOW
    assert await settled(*bogus)


async def test_a_known_subject_has_one_fetch_for_nothing_until_a_token_of_it_is_verified() -> None:
    clock, publisher = Clock(), Publisher(key("a"))
    keys = KeySet(ISSUER, publisher, clock=clock, sleep=clock.sleep)
    await keys.find("a", "ES256")
    clock.now += WINDOW
    keys.verified("alice")
    assert await code_of(keys, "bogus") is ErrorCode.TOKEN_KEY_UNKNOWN  # the only one for anybody
    clock.now += 5
    waiting = [asyncio.ensure_future(code_of(keys, f"bogus-{number}", subject="alice")) for number in range(10)]
    await settled()
    assert publisher.fetches == 3  # and that of the subject
    assert [task.done() for task in waiting] == [True] + [False] * 9  # the others wait as anybody does
    clock.now += WINDOW - 6
    assert not await settled(*waiting)
    keys.verified("alice")
    publisher.keys = [key("b")]
    found = asyncio.ensure_future(keys.find("b", "ES256", subject="alice"))
    clock.now += 1
    assert await settled(found, *waiting)
    assert found.result()[0].key_id == "b"
    assert publisher.fetches == 4


async def test_forged_signatures_cause_one_fetch_a_minute_beside_no_other_and_leave_one_for_a_new_key() -> None:
    clock, publisher = Clock(), Publisher(key("a"))
    keys = KeySet(ISSUER, publisher, clock=clock, sleep=clock.sleep)
    await keys.find("a", "ES256")
    keys.verified("alice")
    for _ in range(10):
        assert await keys.find_again("a", "ES256") is None
    assert publisher.fetches == 1
    clock.now += WINDOW
    for _ in range(10):
        assert await keys.find_again("a", "ES256") is None
    assert publisher.fetches == 2
    publisher.keys = [key("b")]
    assert (await keys.find("b", "ES256", subject="alice"))[0].key_id == "b"
    assert await keys.find_again("b", "ES256") is None
    assert publisher.fetches == 3


async def test_tokens_by_a_withdrawn_key_cause_a_fetch_beside_no_other_so_that_it_may_come_back() -> None:
    clock, publisher = Clock(), Publisher(key("a"))
    keys = KeySet(ISSUER, publisher, clock=clock, sleep=clock.sleep)
    await keys.find("a", "ES256")
    publisher.keys = [key("b")]
    await keys.find("b", "ES256")
    for fetches in (2, 3):
        for _ in range(1_000):
            keys.verified("alice")
            assert await code_of(keys, "a", subject="alice") is ErrorCode.TOKEN_KEY_UNKNOWN
        assert publisher.fetches == fetches
        clock.now += WINDOW
    publisher.keys = [key("a"), key("c")]
    assert (await keys.find("a", "ES256"))[0].key_id == "a"
    assert await code_of(keys, "b", subject="alice") is ErrorCode.TOKEN_KEY_UNKNOWN
    assert publisher.fetches == 4


async def test_a_fetch_counts_although_the_caller_for_whom_it_began_has_given_up() -> None:
    clock, publisher = Clock(), Publisher(key("a"))
    keys = KeySet(ISSUER, publisher, clock=clock, sleep=clock.sleep)
    await keys.find("a", "ES256")
    clock.now += WINDOW
    keys.verified("alice")
    for number in range(10):
        given_up = asyncio.ensure_future(keys.find(f"bogus-{number}", "ES256"))
        await asyncio.sleep(0)
        given_up.cancel()
        assert await settled(given_up)
    assert publisher.fetches == 2
    publisher.keys = [key("b")]
    found = asyncio.ensure_future(keys.find("b", "ES256", subject="alice"))
    assert await settled(found)
    assert found.result()[0].key_id == "b"


async def test_a_key_that_is_newer_than_the_fetch_that_runs_is_found_by_the_next_one() -> None:
    clock, publisher = Clock(), Publisher(key("a"))
    keys = KeySet(ISSUER, publisher, clock=clock, sleep=clock.sleep)
    await keys.find("a", "ES256")
    clock.now += WINDOW
    keys.verified("alice")
    bogus = asyncio.ensure_future(code_of(keys, "bogus"))
    new = asyncio.ensure_future(keys.find("b", "ES256", subject="alice"))
    publisher.answered.append(lambda: setattr(publisher, "keys", [key("b")]))
    assert (await new)[0].key_id == "b"
    assert await bogus is ErrorCode.TOKEN_KEY_UNKNOWN
    assert publisher.fetches == 3


async def test_tokens_of_anybody_that_wait_take_no_place_of_known_subjects() -> None:
    clock, publisher = Clock(), Publisher(key("a"))
    keys = KeySet(ISSUER, publisher, clock=clock, sleep=clock.sleep)
    await keys.find("a", "ES256")
    assert await code_of(keys, "bogus") is ErrorCode.TOKEN_KEY_UNKNOWN
    others = [
        asyncio.ensure_future(code_of(keys, f"bogus-{number}", source=f"192.0.2.{number % 100}"))
        for number in range(1_100)
    ]
    await settled()
    assert [task.done() for task in others] == [False] * 1_024 + [True] * 76
    keys.verified("alice")
    publisher.keys = [key("b")]
    known = asyncio.ensure_future(keys.find("b", "ES256", subject="alice", source="192.0.2.1"))
    assert not await settled(known)
    clock.now += WINDOW
    assert await settled(known, *others)
    assert known.result()[0].key_id == "b"
    assert publisher.fetches == 3


async def test_the_subjects_whose_last_token_is_the_oldest_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(key_sets, "_MOST_SUBJECTS", 2)
    keys = KeySet(ISSUER, Publisher(key("a")))
    for subject in ("alice", "bob", "alice", "alice"):
        keys.verified(subject)
    assert list(keys._subjects) == ["bob", "alice"]
    keys.verified("carol")
    assert list(keys._subjects) == ["alice", "carol"]


@pytest.mark.parametrize(
    ("claims", "known"),
    [({}, True), ({"aud": "another"}, False), ({"lifetime": -600.0}, False), ({"subject": "nobody"}, False)],
)
async def test_a_token_whose_claims_are_wrong_is_no_token_of_a_known_subject(
    idp: Issuer, claims: dict[str, Any], *, known: bool
) -> None:
    clock = Clock()
    async with verifier_of(configured(idp)) as verifier:
        keys = verifier.key_set(idp.url)
        keys._clock = clock
        for waiting in keys._waiting.values():
            waiting._sleep = clock.sleep
        await verifier.verify(idp.token("alice"))
        clock.now += WINDOW
        await refusal(verifier, idp.token("mallory", headers={"kid": "bogus"}))
        token = idp.token(**{"subject": "alice", "headers": {"kid": "another"}, **claims})
        refused = asyncio.ensure_future(refusal(verifier, token))
        if known:
            await refused
        clock.now += WINDOW - 1
        assert await settled(refused) is known
        assert idp.fetches == 2 + known
        refused.cancel()


async def test_many_tokens_with_a_new_key_share_one_fetch() -> None:
    clock, publisher = Clock(), Publisher(key("a"))
    keys = KeySet(ISSUER, publisher, clock=clock, sleep=clock.sleep)
    await keys.find("a", "ES256")
    publisher.keys = [key("b")]
    found = await asyncio.gather(*(keys.find("b", "ES256") for _ in range(500)))
    assert all(each[0].key_id == "b" for each in found)
    assert publisher.fetches == 2


async def test_a_caller_that_gives_up_does_not_end_the_fetch_of_others() -> None:
    publisher = Publisher(key("a"))
    keys = KeySet(ISSUER, publisher)
    first, second = (asyncio.ensure_future(keys.find("a", "ES256")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert (await second)[0].key_id == "a"
    assert publisher.fetches == 1


async def test_a_third_key_within_a_minute_is_waited_for() -> None:
    clock, publisher = Clock(), Publisher(key("a"))
    keys = KeySet(ISSUER, publisher, clock=clock, sleep=clock.sleep)
    await keys.find("a", "ES256")
    publisher.keys = [key("b")]
    await keys.find("b", "ES256")
    publisher.keys = [key("c")]
    third = asyncio.ensure_future(keys.find("c", "ES256"))
    clock.now += WINDOW - 1
    assert not await settled(third)
    clock.now += 1
    assert (await third)[0].key_id == "c"


async def test_keys_are_refreshed_in_time_and_a_withdrawn_one_ends_what_it_verified() -> None:
    clock, publisher = Clock(), Publisher(key("a"), key("b"))
    keys = KeySet(ISSUER, publisher, clock=clock, sleep=clock.sleep)
    await keys.refresh()
    before = keys.generation
    publisher.keys = publisher.keys[1:] if publisher.keys else None
    clock.now += REFRESH - 1
    await keys.refresh()
    assert publisher.fetches == 1
    clock.now += 1
    await keys.refresh()
    assert publisher.fetches == 2
    assert keys.generation != before
    assert await code_of(keys, "a") is ErrorCode.TOKEN_KEY_UNKNOWN


async def test_an_added_key_ends_nothing() -> None:
    clock, publisher = Clock(), Publisher(key("a"))
    keys = KeySet(ISSUER, publisher, clock=clock, sleep=clock.sleep)
    await keys.refresh()
    before = keys.generation
    assert publisher.keys is not None
    publisher.keys.append(key("b"))
    clock.now += REFRESH
    await keys.refresh()
    assert (keys.generation, len(await keys.find("b", "ES256"))) == (before, 1)


async def test_the_last_keys_are_used_while_the_issuer_is_down_up_to_a_limit() -> None:
    clock, publisher = Clock(), Publisher(key("a"))
    keys = KeySet(ISSUER, publisher, clock=clock, sleep=clock.sleep)
    await keys.refresh()
    publisher.keys = None
    clock.now += REFRESH
    await keys.refresh()
    assert (await keys.find("a", "ES256"))[0].key_id == "a"
    assert keys.state().fault == "it is down"
    before = keys.generation
    clock.now += LONGEST_UNSEEN - REFRESH
    await keys.refresh()
    assert keys.generation == before
    clock.now += 1
    assert await code_of(keys, "a") is ErrorCode.TOKEN_KEYS_UNAVAILABLE
    await keys.refresh()
    assert keys.generation != before, "what they have verified is still remembered"


async def test_a_failed_fetch_is_repeated_sooner_than_a_successful_one() -> None:
    clock, publisher = Clock(), Publisher()
    publisher.keys = None
    keys = KeySet(ISSUER, publisher, clock=clock, sleep=clock.sleep)
    await keys.refresh()
    assert await code_of(keys, "a") is ErrorCode.TOKEN_KEYS_UNAVAILABLE
    publisher.keys = [key("a")]
    clock.now += max(RETRY, WINDOW)
    await keys.refresh()
    assert (await keys.find("a", "ES256"))[0].key_id == "a"
    assert keys.state() == key_sets.KeySetState(1, 0.0, "")


async def test_keys_of_two_kinds_with_one_id_are_chosen_by_the_algorithm() -> None:
    publisher = Publisher(key("same", "RS256"), key("same", "ES256"), key("same", "ES384"))
    keys = KeySet(ISSUER, publisher)
    for algorithm in ("RS256", "ES256", "ES384"):
        assert [sorted(each.algorithms) for each in await keys.find("same", algorithm)] == [[algorithm]]


async def test_a_token_without_a_key_id_is_verified_by_any_key_of_its_kind(
    idp: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    idp.keys = [key("a"), key("b"), key("c", "RS256"), key(None)]
    async with verifier_of(configured(idp)) as verifier:
        for each in idp.keys:
            assert (await verifier.verify(idp.token(key=each, headers={"kid": None}))).subject == "subject-1"
        monkeypatch.setattr(key_sets, "WINDOW", 0.0)  # as if a minute had passed
        idp.keys = [key("d")]
        assert (await verifier.verify(idp.token(headers={"kid": None}))).subject == "subject-1"
    assert idp.fetches == 2


async def test_a_key_that_takes_the_place_of_another_with_its_id_is_found(
    idp: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with verifier_of(configured(idp)) as verifier:
        await verifier.verify(idp.token())
        monkeypatch.setattr(key_sets, "WINDOW", 0.0)  # as if a minute had passed
        idp.keys = [key(idp.keys[0].key_id)]
        assert (await verifier.verify(idp.token())).subject == "subject-1"


@pytest.mark.parametrize(
    "members",
    [
        {"use": "enc"},
        {"key_ops": ["encrypt"]},
        {"key_ops": 5},
        {"alg": "ES384"},
        {"alg": "HS256"},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"crv": "P-384"},
        {"x": 5},
        {"x": "AA"},
        {"kid": 7},
    ],
)
def test_an_unusable_key_is_left_out(members: dict[str, Any]) -> None:
    good = key("good").jwk()
    assert [each.key_id for each in public_keys({"keys": [{**key("bad").jwk(), **members}, "x", good]})] == ["good"]


def test_a_short_rsa_key_is_left_out() -> None:
    breakable = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505  that is the point
    short = SigningKey("short", "RS256", breakable)
    assert [each.key_id for each in public_keys({"keys": [short.jwk(), key("good").jwk()]})] == ["good"]


@pytest.mark.parametrize("found", [{}, {"keys": {}}, {"keys": []}, {"keys": [{"kty": "oct", "k": "AA"}]}])
def test_a_set_without_a_usable_key_is_a_failed_fetch(found: dict[str, Any]) -> None:
    with pytest.raises(FetchFailed):
        public_keys(found)


async def test_keys_are_read_from_a_file_and_again_when_it_changes(idp: Issuer, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [each.jwk() for each in idp.keys]}))
    async with verifier_of(configured(idp, keys=KeySource(file=file))) as verifier:
        verifier.key_set(idp.url)._clock = clock = Clock()
        assert (await verifier.verify(idp.token())).subject == "subject-1"
        idp.rotate()
        file.write_text(json.dumps({"keys": [each.jwk() for each in idp.keys]}))
        assert (await verifier.verify(idp.token())).subject == "subject-1"
        file.unlink()
        clock.now += WINDOW
        error = await refusal(verifier, idp.token(headers={"kid": "gone"}))
    assert error.code is ErrorCode.TOKEN_KEY_UNKNOWN
    assert idp.requests == []


async def test_keys_are_read_from_a_given_address_without_discovery(idp: Issuer) -> None:
    async with verifier_of(configured(idp, keys=KeySource(uri=f"{idp.url}/keys"))) as verifier:
        assert (await verifier.verify(idp.token())).subject == "subject-1"
    assert idp.requests == ["/keys"]
