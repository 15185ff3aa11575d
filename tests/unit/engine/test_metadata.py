import pytest

from kiteward.engine.metadata import ALLOWED_KEYS, allowed


def test_only_listed_keys_travel_on() -> None:
    given = [(key, "value") for key in sorted(ALLOWED_KEYS)]
    hidden = [("authorization", "cm9vdDpNaWx2dXM="), ("sourceid", "x"), ("user-agent", "y"), ("grpc-timeout", "1S")]
    assert allowed([*given, *hidden]) == dict(given)


def test_the_list_is_exactly_what_an_engine_may_see() -> None:
    correlation = {"client-request-id", "client_request_id", "client-request-unixmsec", "traceparent", "tracestate"}
    assert {"dbname"} | correlation == ALLOWED_KEYS


def test_mapping_and_any_case_are_accepted() -> None:
    assert allowed({"DBName": "shelf", "Authorization": "x"}) == {"dbname": "shelf"}


def test_first_of_a_repeated_key_counts() -> None:
    assert allowed([("dbname", "one"), ("DBNAME", "two")]) == {"dbname": "one"}


@pytest.mark.parametrize("value", [b"binary", "two\nlines", "naïve", "zero\0"])
def test_value_grpc_cannot_carry_stays(value: str | bytes) -> None:
    assert allowed([("dbname", value)]) == {}
