"""Lines as syslog messages, against Debian's rsyslog."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from tests.support import rsyslog

from kiteward import __version__
from kiteward.audit.events import AuditEvent, Event, Outcome
from kiteward.audit.exports.exporter import DeliveryFailed, Exporter
from kiteward.audit.exports.settings import ExportTls, SyslogSettings
from kiteward.audit.exports.syslog import SyslogDestination, message
from kiteward.audit.files import ChainedFiles
from kiteward.audit.hash_chain import BEGINNING, encode
from kiteward.domain.errors import ConfigurationError

needs_rsyslog = pytest.mark.skipif(bool(rsyslog.MISSING), reason=rsyslog.MISSING or "rsyslog is there")


def line(name: str, outcome: Outcome = Outcome.SUCCEEDED, *, seq: int = 1, replica: str = "host-a") -> bytes:
    event = AuditEvent(Event.USER_CHANGE, 1_795_780_800.5, outcome, name, "ünder", operation="DisableUser")
    return encode(event, seq, BEGINNING, replica=replica)[0].removesuffix(b"\n")


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def settings(receiver: rsyslog.Rsyslog, tls: ExportTls) -> SyslogSettings:
    return SyslogSettings("127.0.0.1", receiver.port, "localhost", tls)


def client_of(authority: trustme.CA, directory: Path, name: str) -> ExportTls:
    issued = authority.issue_cert(name)
    issued.private_key_pem.write_to_path(str(directory / f"{name}.key"))
    (directory / f"{name}.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    return ExportTls(directory / "ca.pem", directory / f"{name}.pem", directory / f"{name}.key")


def test_message_is_one_of_rfc_5424() -> None:
    whole = line("r1", Outcome.REFUSED, seq=7)
    assert message(whole) == (
        b"<108>1 2026-11-27T12:00:00.500000Z host-a kiteward - user "
        b'[meta sequenceId="7"][origin software="kiteward" swVersion="' + __version__.encode() + b'"] ' + whole
    )
    assert message(line("r1", Outcome.FAILED)).startswith(b"<107>1 ")
    assert message(line("r1", seq=2**31)).split(b'sequenceId="')[1].startswith(b'1"')
    assert message(line("r1", replica="")).split(b" ")[2] == b"-"


@needs_rsyslog
def test_receiver_gets_each_line_as_it_is(tmp_path: Path) -> None:
    with rsyslog.running(tmp_path) as receiver:
        destination = SyslogDestination(settings(receiver, ExportTls(tmp_path / "ca.pem")))
        lines = [line(f"r{number}", seq=number) for number in range(1, 501)]
        assert destination.send(lines) == 0
        destination.close()
        until(lambda: len(receiver.received()) >= 500)
        received = receiver.received()
    assert [each[6].strip() for each in received] == [each.decode() for each in lines]
    assert received[0][:5] == ["110", "2026-11-27T12:00:00.500000Z", "host-a", "kiteward", "user"]


@needs_rsyslog
def test_receiver_that_was_down_misses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kiteward.audit.exports.exporter._SHORTEST_WAIT", 0.05)
    trail = tmp_path / "trail"
    with rsyslog.running(tmp_path) as receiver:
        files = ChainedFiles(trail, keep_days=0, replica="host-a")
        exporter = Exporter(trail, SyslogDestination(settings(receiver, ExportTls(tmp_path / "ca.pem"))))
        exporter.start(lambda _name, _lines: None)

        def write(name: str) -> None:
            files.append([AuditEvent(Event.SESSION, time.time(), Outcome.SUCCEEDED, name)])

        def names() -> list[str]:
            return [json.loads(each[6])["request_id"] for each in receiver.received()]

        write("before")
        until(lambda: exporter.state().sent == 1)
        receiver.stop()
        write("meanwhile")
        until(lambda: exporter.state().failures > 1)
        assert exporter.state().waiting == 1
        receiver.start()
        write("after")
        until(lambda: exporter.state().sent == 3)
        exporter.close()
        files.close()
        until(lambda: set(names()) == {"before", "meanwhile", "after"})
    assert exporter.state().lost == 0


@needs_rsyslog
def test_receiver_takes_the_clients_that_it_permits(tmp_path: Path) -> None:
    with rsyslog.running(tmp_path, permitted="kiteward.example") as receiver:
        other = client_of(receiver.authority, tmp_path, "other.example")
        for refused in (other, ExportTls(tmp_path / "ca.pem")):
            destination = SyslogDestination(settings(receiver, refused))
            with pytest.raises(DeliveryFailed):
                destination.send([line("refused")])
        permitted = SyslogDestination(settings(receiver, client_of(receiver.authority, tmp_path, "kiteward.example")))
        assert permitted.send([line("taken")]) == 0
        permitted.close()
        until(lambda: len(receiver.received()) == 1)
        assert "taken" in receiver.received()[0][6]


@needs_rsyslog
def test_receiver_with_a_certificate_of_another_ca_gets_nothing(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    with rsyslog.running(tmp_path) as receiver:
        destination = SyslogDestination(settings(receiver, ExportTls(tmp_path / "other.pem")))
        with pytest.raises(DeliveryFailed, match="certificate verify failed"):
            destination.send([line("r1")])
        wrong_name = SyslogSettings("127.0.0.1", receiver.port, "elsewhere", ExportTls(tmp_path / "ca.pem"))
        with pytest.raises(DeliveryFailed, match="certificate verify failed"):
            SyslogDestination(wrong_name).send([line("r1")])
        assert receiver.received() == []


def test_files_that_are_no_certificates_are_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "rubbish").write_text("rubbish")
    with pytest.raises(ConfigurationError, match="give PEM files"):
        ExportTls(tmp_path / "rubbish").context()
    with pytest.raises(ConfigurationError, match="give PEM files"):
        ExportTls(None, tmp_path / "none", tmp_path / "none").context()
