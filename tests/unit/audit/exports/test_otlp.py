"""Lines as OpenTelemetry logs, against a receiver that reads the published messages of the protocol strictly."""

import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from tests.support.otlp_collector import Collector, collecting

from kiteward.audit.events import AuditEvent, Event, Outcome
from kiteward.audit.exports.exporter import DeliveryFailed
from kiteward.audit.exports.otlp import OtlpDestination
from kiteward.audit.exports.settings import ExportTls, OtlpSettings
from kiteward.audit.hash_chain import BEGINNING, encode
from kiteward.domain.identity import Secret


def line(name: str, outcome: Outcome = Outcome.SUCCEEDED, *, seq: int = 1, replica: str = "a") -> bytes:
    event = AuditEvent(Event.USER_CHANGE, 1_795_780_800.123456, outcome, name, "root", operation="DisableUser")
    return encode(event, seq, BEGINNING, replica=replica)[0].removesuffix(b"\n")


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as server:
        yield server


@pytest.fixture
def send(collector: Collector) -> Iterator[Callable[..., int]]:
    headers = (("x-api-key", Secret("s3cret")),)
    destination = OtlpDestination(OtlpSettings(f"http://127.0.0.1:{collector.server_port}/v1/logs", headers))
    yield lambda *lines: destination.send(lines)
    destination.close()


def test_each_line_is_a_record_whose_body_is_the_line(collector: Collector, send: Callable[..., int]) -> None:
    lines = [line("r1"), line("r2", Outcome.REFUSED, seq=2), line("r3", Outcome.FAILED, seq=3, replica="b")]
    assert send(*lines) == 0
    assert collector.bodies == [each.decode() for each in lines]
    assert (collector.headers["x-api-key"], collector.headers["content-type"]) == ("s3cret", "application/json")
    (request,) = collector.requests
    names = [
        {each.key: each.value.string_value for each in group.resource.attributes}["service.instance.id"]
        for group in request.resource_logs
    ]
    assert names == ["a", "b"]
    record = request.resource_logs[0].scope_logs[0].log_records[1]
    attributes = {each.key: each.value for each in record.attributes}
    assert record.time_unix_nano == 1_795_780_800_123_456_000
    assert (record.severity_number, record.severity_text, record.event_name) == (13, "WARN", "kiteward.audit.user")
    assert attributes["user.name"].string_value == "root"
    assert attributes["kiteward.audit.seq"].int_value == 2


def test_connection_is_kept_and_made_again(collector: Collector, send: Callable[..., int]) -> None:
    for number in range(3):
        assert send(line(f"r{number}", seq=number + 1)) == 0
    assert len(collector.bodies) == 3


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
def test_failure_that_may_pass_is_repeated_later(collector: Collector, send: Callable[..., int], status: int) -> None:
    collector.status = status
    with pytest.raises(DeliveryFailed) as failed:
        send(line("r1"))
    assert str(status) in str(failed.value)
    assert failed.value.wait == (7.0 if status == 429 else 0.0)
    collector.status = 200
    assert send(line("r1")) == 0


def test_line_that_is_refused_for_good_is_counted_and_the_others_arrive(
    collector: Collector, send: Callable[..., int]
) -> None:
    assert send(line("first")) == 0
    collector.poison = b"r3"
    assert send(*(line(f"r{number}", seq=number) for number in range(1, 8))) == 1
    assert [json.loads(body)["request_id"] for body in collector.bodies[1:]] == ["r1", "r2", "r4", "r5", "r6", "r7"]


def test_collector_that_has_never_taken_anything_is_not_believed(
    collector: Collector, send: Callable[..., int]
) -> None:
    collector.status = 400
    with pytest.raises(DeliveryFailed, match="is this the address"):
        send(line("r1"), line("r2", seq=2))
    with pytest.raises(DeliveryFailed, match="is this the address"):
        send(line("r1"))


def test_records_that_are_rejected_in_a_success_are_counted(collector: Collector, send: Callable[..., int]) -> None:
    collector.rejected = 1
    assert send(line("r1"), line("r2", seq=2)) == 1


def test_collector_that_is_not_there_is_tried_again() -> None:
    destination = OtlpDestination(OtlpSettings("http://127.0.0.1:9/v1/logs"))
    with pytest.raises(DeliveryFailed):
        destination.send([line("r1")])


def test_collector_shows_a_certificate_of_the_given_ca(collector: Collector, tmp_path: Path) -> None:
    authority, other = trustme.CA(), trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    collector.socket = context.wrap_socket(collector.socket, server_side=True, do_handshake_on_connect=False)
    for name, ca in (("right", authority), ("wrong", other)):
        ca.cert_pem.write_to_path(str(tmp_path / name))
    endpoint = f"https://localhost:{collector.server_port}/v1/logs"
    right = OtlpDestination(OtlpSettings(endpoint, tls=ExportTls(tmp_path / "right")))
    assert right.send([line("r1")]) == 0
    right.close()
    with pytest.raises(DeliveryFailed, match="certificate verify failed"):
        OtlpDestination(OtlpSettings(endpoint, tls=ExportTls(tmp_path / "wrong"))).send([line("r2")])
    assert len(collector.bodies) == 1
