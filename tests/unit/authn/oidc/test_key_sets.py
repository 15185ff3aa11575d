"""Keys of issuers: fetched rarely, in time, and never because of what a token says about where they are."""

import asyncio
import json
from collections.abc import Mapping
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
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Publisher:
    """Publishes keys without HTTP; `None` fails."""

    def __init__(self, *keys: SigningKey) -> None:
        self.keys: list[SigningKey] | None = list(keys)
        self.fetches = 0

    async def key_set(self) -> Mapping[str, Any]:
        self.fetches += 1
        await asyncio.sleep(0)
        if self.keys is None:
            raise FetchFailed("it is down")
        return {"keys": [each.jwk() for each in self.keys]}


def key(key_id: str | None, algorithm: str = "ES256") -> SigningKey:
    return SigningKey(key_id, algorithm, private_key(algorithm))


async def code_of(keys: KeySet, key_id: str) -> ErrorCode:
    """Return the code of the refusal of a key that is not found."""
    with pytest.raises(KeyRejected) as refused:
        await keys.find(key_id, "ES256")
    return refused.value.code


async def test_ten_thousand_unknown_key_ids_cause_two_fetches_a_minute() -> None:
    clock, publisher = Clock(), Publisher(key("a"))
    keys = KeySet(ISSUER, publisher, clock=clock)
    for number in range(10_000):
        clock.now += 0.004
        assert await code_of(keys, f"bogus-{number}") is ErrorCode.TOKEN_KEY_UNKNOWN
    assert publisher.fetches == 2
    for number in range(30):
        clock.now += 4.0
        if keys._wait() > 1:
            assert await code_of(keys, f"later-{number}") is ErrorCode.TOKEN_KEY_UNKNOWN
        await keys.refresh()
    assert publisher.fetches <= 2 * (1 + 160 // int(WINDOW))


async def test_forged_signatures_leave_a_fetch_for_a_new_key() -> None:
    clock, publisher = Clock(), Publisher(key("a"))
    keys = KeySet(ISSUER, publisher, clock=clock)
    await keys.find("a", "ES256")
    for name in "bcdef":
        for _ in range(350):
            clock.now += 0.2
            assert await keys.find_again("a", "ES256") is None
        publisher.keys = [key("a"), key(name)]
        assert (await keys.find(name, "ES256"))[0].key_id == name  # at once, and without a wait


async def test_many_tokens_with_a_new_key_share_one_fetch() -> None:
    clock, publisher = Clock(), Publisher(key("a"))
    keys = KeySet(ISSUER, publisher, clock=clock)
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


async def test_a_third_key_within_a_minute_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, publisher = Clock(), Publisher(key("a"))
    keys = KeySet(ISSUER, publisher, clock=clock)
    await keys.find("a", "ES256")
    publisher.keys = [key("b")]
    await keys.find("b", "ES256")
    publisher.keys = [key("c")]
    assert await code_of(keys, "c") is ErrorCode.TOKEN_KEY_UNKNOWN
    clock.now += WINDOW - 5

    async def sleep(seconds: float) -> None:
        clock.now += seconds

    monkeypatch.setattr("kiteward.authn.oidc.key_sets.asyncio.sleep", sleep)
    assert (await keys.find("c", "ES256"))[0].key_id == "c"


async def test_keys_are_refreshed_in_time_and_a_withdrawn_one_ends_what_it_verified() -> None:
    clock, publisher = Clock(), Publisher(key("a"), key("b"))
    keys = KeySet(ISSUER, publisher, clock=clock)
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
    keys = KeySet(ISSUER, publisher, clock=clock)
    await keys.refresh()
    before = keys.generation
    assert publisher.keys is not None
    publisher.keys.append(key("b"))
    clock.now += REFRESH
    await keys.refresh()
    assert (keys.generation, len(await keys.find("b", "ES256"))) == (before, 1)


async def test_the_last_keys_are_used_while_the_issuer_is_down_up_to_a_limit() -> None:
    clock, publisher = Clock(), Publisher(key("a"))
    keys = KeySet(ISSUER, publisher, clock=clock)
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
    keys = KeySet(ISSUER, publisher, clock=clock)
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
        assert (await verifier.verify(idp.token())).subject == "subject-1"
        idp.rotate()
        file.write_text(json.dumps({"keys": [each.jwk() for each in idp.keys]}))
        assert (await verifier.verify(idp.token())).subject == "subject-1"
        file.unlink()
        error = await refusal(verifier, idp.token(headers={"kid": "gone"}))
    assert error.code is ErrorCode.TOKEN_KEY_UNKNOWN
    assert idp.requests == []


async def test_keys_are_read_from_a_given_address_without_discovery(idp: Issuer) -> None:
    async with verifier_of(configured(idp, keys=KeySource(uri=f"{idp.url}/keys"))) as verifier:
        assert (await verifier.verify(idp.token())).subject == "subject-1"
    assert idp.requests == ["/keys"]
