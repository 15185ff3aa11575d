"""Passkeys: for whose page, challenge and user a response is accepted, and what else comes is refused."""

import json
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.passkey_device import PasskeyDevice

from kiteward.authn.second_factor import passkeys
from kiteward.authn.second_factor.rules import NewPasskey, PasskeyRefused, PasskeyRules
from kiteward.domain.identity import Secret

RULES = PasskeyRules("kiteward.example", ("https://console.kiteward.example:8443", "https://kiteward.example"))
CHALLENGE = secrets.token_bytes(32)


def enrolled(device: PasskeyDevice) -> NewPasskey:
    options = passkeys.registration_options(RULES, "alice", challenge=CHALLENGE, known=())
    return passkeys.made(RULES, Secret(device.make(options)), challenge=CHALLENGE)


def use(device: PasskeyDevice, passkey: NewPasskey, *, challenge: bytes = CHALLENGE) -> int:
    options = passkeys.authentication_options(RULES, challenge=challenge, known=[passkey.credential_id])
    return passkeys.used(
        RULES,
        Secret(device.use(options)),
        challenge=CHALLENGE,
        public_key=passkey.public_key,
        sign_count=passkey.sign_count,
    )


def test_a_passkey_that_was_made_is_accepted_when_it_is_used() -> None:
    device = PasskeyDevice()
    assert use(device, enrolled(device)) == 1
    quiet = PasskeyDevice(count=None)
    assert use(quiet, enrolled(quiet)) == 0


def test_options_demand_that_the_device_verifies_its_user_and_name_what_is_known() -> None:
    known = "AAAA"
    made = json.loads(passkeys.registration_options(RULES, "alice", challenge=CHALLENGE, known=[known]))
    assert made["authenticatorSelection"]["userVerification"] == "required"
    assert (made["rp"]["id"], made["attestation"]) == ("kiteward.example", "none")
    assert [each["id"] for each in made["excludeCredentials"]] == [known]
    assert "alice" not in made["user"]["id"]
    used = json.loads(passkeys.authentication_options(RULES, challenge=CHALLENGE, known=[known]))
    assert (used["userVerification"], used["rpId"]) == ("required", "kiteward.example")
    assert [each["id"] for each in used["allowCredentials"]] == [known]


WRONG = [
    PasskeyDevice(origin="https://kiteward.example.evil"),
    PasskeyDevice(origin="http://kiteward.example"),
    PasskeyDevice(origin="https://kiteward.example:8443"),
    PasskeyDevice(rp_id="evil.example"),
    PasskeyDevice(verifies=False),
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda device: f"{device.origin} {device.rp_id} {device.verifies}")
def test_what_is_for_another_page_or_without_its_user_is_refused(wrong: PasskeyDevice) -> None:
    with pytest.raises(PasskeyRefused):
        enrolled(wrong)
    right = PasskeyDevice(key=wrong.key, credential_id=wrong.credential_id)
    passkey = enrolled(right)
    with pytest.raises(PasskeyRefused):
        use(wrong, passkey)


def test_another_challenge_key_and_a_copy_that_was_used_less_are_refused() -> None:
    device = PasskeyDevice()
    passkey = enrolled(device)
    with pytest.raises(PasskeyRefused, match="challenge"):
        use(device, passkey, challenge=secrets.token_bytes(32))
    with pytest.raises(PasskeyRefused, match="signature"):
        use(PasskeyDevice(credential_id=device.credential_id), passkey)
    later = NewPasskey(passkey.credential_id, passkey.public_key, sign_count=10)
    with pytest.raises(PasskeyRefused, match="sign count"):
        use(device, later)


def test_an_assertion_is_no_registration_and_the_other_way_round() -> None:
    device = PasskeyDevice()
    passkey = enrolled(device)
    options = passkeys.authentication_options(RULES, challenge=CHALLENGE, known=[])
    with pytest.raises(PasskeyRefused):
        passkeys.made(RULES, Secret(device.use(options)), challenge=CHALLENGE)
    options = passkeys.registration_options(RULES, "alice", challenge=CHALLENGE, known=())
    with pytest.raises(PasskeyRefused):
        passkeys.used(
            RULES, Secret(device.make(options)), challenge=CHALLENGE, public_key=passkey.public_key, sign_count=0
        )


def test_a_page_inside_a_page_of_another_site_is_refused() -> None:
    options = passkeys.authentication_options(RULES, challenge=CHALLENGE, known=[])
    assert passkeys.challenge_of(Secret(PasskeyDevice().use(options))) == CHALLENGE
    with pytest.raises(PasskeyRefused, match="another site"):
        passkeys.challenge_of(Secret(PasskeyDevice(cross_origin=True).use(options)))


@given(
    st.one_of(
        st.text(), st.recursive(st.none() | st.text(), lambda each: st.dictionaries(st.text(), each)).map(json.dumps)
    )
)
def test_whatever_else_comes_is_refused_in_words(text: str) -> None:
    response = Secret(text)
    for read in (passkeys.challenge_of, passkeys.credential_of):
        with pytest.raises(PasskeyRefused):
            read(response)
    with pytest.raises(PasskeyRefused):
        passkeys.made(RULES, response, challenge=CHALLENGE)
    with pytest.raises(PasskeyRefused):
        passkeys.used(RULES, response, challenge=CHALLENGE, public_key="AAAA", sign_count=0)


@pytest.mark.parametrize("text", ["[" * 10_000, '{"a":' * 3_000, "x" * 20_000])
def test_deep_and_long_responses_are_refused(text: str) -> None:
    with pytest.raises(PasskeyRefused):
        passkeys.challenge_of(Secret(text))
