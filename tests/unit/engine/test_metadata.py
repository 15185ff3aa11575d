import pytest

from kiteward.engine.metadata import ALLOWED_KEYS, allowed

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_only_listed_keys_travel_on() -> None:
    given = [(key, PARENT if key == "traceparent" else "value") for key in sorted(ALLOWED_KEYS)]
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


def test_a_trace_travels_on_as_it_came() -> None:
    assert allowed({"traceparent": PARENT, "tracestate": "a=1"}) == {"traceparent": PARENT, "tracestate": "a=1"}


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "value",
        PARENT.upper(),
        f"{PARENT}-more",
        f"ff{PARENT[2:]}",
        f"00-{'0' * 32}-{'1' * 16}-00",
        f"00-{'1' * 32}-{'0' * 16}-00",
    ],
)
def test_a_trace_that_is_none_stays(parent: str) -> None:
    assert allowed({"traceparent": parent, "tracestate": "a=1", "dbname": "x"}) == {"dbname": "x"}


def test_the_state_of_no_trace_and_one_that_is_too_long_stay() -> None:
    assert allowed({"tracestate": "a=1"}) == {}
    assert allowed({"traceparent": PARENT, "tracestate": "a" * 513}) == {}
