"""A secret shows itself to nobody who does not ask for it by name."""

import copy
import dataclasses
import json
import logging
import pickle
import pprint
import traceback
from dataclasses import dataclass

import pytest

from kiteward.domain.identity import KeyCredential, PasswordCredential, Principal, Secret

VALUE = "correct-horse-battery"


@dataclass(frozen=True)
class Holder:
    """Somebody else's class with a secret in it."""

    secret: Secret


def test_secret_hides_in_every_way_of_showing_it() -> None:
    secret = Secret(VALUE)
    shown = [
        repr(secret),
        str(secret),
        f"{secret}",
        f"{secret!r}",
        f"{secret!s}",
        f"{secret:>40}",
        "%s %r" % (secret, secret),  # noqa: UP031  the old way is one of the ways
        "{} {!r}".format(secret, secret),  # noqa: UP032  likewise
        pprint.pformat([secret]),
        repr(Holder(secret)),
        repr({"password": secret}),
        repr(PasswordCredential("alice", secret)),
        repr(KeyCredential(secret)),
    ]
    assert not [text for text in shown if VALUE in text]


def test_secret_hides_in_logs_and_tracebacks(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise ValueError(Secret(VALUE))  # noqa: TRY301
    except ValueError as error:
        logging.getLogger("test").exception("failed for %s", PasswordCredential("alice", Secret(VALUE)))
        assert VALUE not in traceback.format_exc()
        assert VALUE not in str(error)
    assert VALUE not in caplog.text


def test_secret_is_not_serialised() -> None:
    for holder in (Secret(VALUE), Holder(Secret(VALUE)), PasswordCredential("alice", Secret(VALUE))):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises((TypeError, pickle.PicklingError)):
                pickle.dumps(holder, protocol)
    for duplicate in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            duplicate(Secret(VALUE))
    with pytest.raises(TypeError):
        dataclasses.asdict(PasswordCredential("alice", Secret(VALUE)))
    with pytest.raises(TypeError):
        json.dumps(Secret(VALUE))
    assert not hasattr(Secret(VALUE), "__dict__")


def test_secret_is_revealed_on_demand_and_compared_by_value() -> None:
    assert Secret(VALUE).reveal() == VALUE
    assert Secret(VALUE) == Secret(VALUE)
    assert Secret(VALUE) != Secret("other")
    assert Secret("é") == Secret("é")
    assert Secret(VALUE) != VALUE
    assert bool(Secret(VALUE))
    assert not Secret("")


def test_secret_is_no_dictionary_key() -> None:
    with pytest.raises(TypeError):
        hash(Secret(VALUE))


def test_principal_is_restricted_unless_said_otherwise() -> None:
    assert Principal("alice") == Principal("alice", frozenset(), unrestricted=False)
    with pytest.raises(dataclasses.FrozenInstanceError):
        Principal("alice").unrestricted = True  # type: ignore[misc]  # that is the point
