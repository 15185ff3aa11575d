import sqlite3
import ssl
from pathlib import Path

import asyncpg
import pytest

from kiteward.domain.error_codes import ErrorCode
from kiteward.store import driver_errors
from kiteward.store.driver_errors import described, outcome_is_known, reason_of, refusal_of


def server_error(state: str, severity: str = "ERROR", detail: str = "") -> asyncpg.PostgresError:
    """Return an error as the driver makes it of what a server sends."""
    fields = {"S": severity, "V": severity, "C": state, "M": "about a value", "D": detail}
    error = asyncpg.PostgresError.new(fields)
    assert isinstance(error, asyncpg.PostgresError)
    return error


@pytest.mark.parametrize(
    ("state", "code", "passing"),
    [
        ("28P01", ErrorCode.STORE_UNAVAILABLE, False),
        ("3D000", ErrorCode.STORE_UNAVAILABLE, False),
        ("42501", ErrorCode.STORE_UNAVAILABLE, False),
        ("25006", ErrorCode.STORE_READ_ONLY, True),
        ("53300", ErrorCode.STORE_BUSY, True),
        ("55P03", ErrorCode.STORE_BUSY, True),
        ("57P01", ErrorCode.STORE_UNREACHABLE, True),
        ("57P03", ErrorCode.STORE_UNREACHABLE, True),
        ("08006", ErrorCode.STORE_UNREACHABLE, True),
        ("XX001", ErrorCode.STORE_DAMAGED, False),
    ],
)
def test_state_of_an_error_has_a_sentence_a_code_and_may_pass(state: str, code: ErrorCode, passing: bool) -> None:
    reason = reason_of(server_error(state))
    assert (bool(reason.sentence), reason.code, reason.passing) == (True, code, passing)


def test_a_file_that_another_change_holds_is_said_to_be_busy(tmp_path: Path) -> None:
    one, other = (sqlite3.connect(tmp_path / "store.db", timeout=0, isolation_level=None) for _ in range(2))
    one.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError) as raised:
        other.execute("BEGIN IMMEDIATE")
    reason = reason_of(raised.value)
    assert (reason.sentence.endswith("try again"), reason.code) == (True, ErrorCode.STORE_BUSY)
    for each in (one, other):
        each.close()


def test_unknown_error_has_no_sentence() -> None:
    assert reason_of(server_error("23505")) == reason_of(ZeroDivisionError()) == driver_errors.Reason()


@pytest.mark.parametrize("state", ["22P02", "23502", "23505", "42703"])
def test_error_that_may_quote_a_value_is_described_without_its_text(state: str) -> None:
    said = str(described(server_error(state, detail="Failing row contains (alice, $argon2id$).")))
    assert said.endswith(f"({state})")
    assert "value" not in said
    assert "argon2id" not in said


def test_error_about_the_server_is_described_with_its_text() -> None:
    assert str(described(server_error("57P01"))) == "AdminShutdownError (57P01): about a value"


@pytest.mark.parametrize(
    ("error", "known"),
    [
        (server_error("40001"), True),
        (server_error("23503"), True),
        (server_error("57P01", "FATAL"), False),
        (server_error("XX000", "PANIC"), False),
        (TimeoutError(), False),
        (ConnectionResetError(), False),
        (asyncpg.InterfaceError("connection is closed"), False),
    ],
)
def test_commit_is_known_to_have_failed_only_if_the_server_answered_so(error: Exception, known: bool) -> None:
    assert outcome_is_known(error) is known


def test_refusals_of_a_connection_have_reasons() -> None:
    verification = ssl.SSLCertVerificationError()
    verification.verify_message = "certificate has expired."
    assert (
        refusal_of(verification).sentence == "the certificate of the database is not accepted (certificate has expired)"
    )
    assert refusal_of(ConnectionRefusedError()) == driver_errors.UNREACHABLE
    assert refusal_of(FileNotFoundError()) == driver_errors.UNREACHABLE
    assert refusal_of(TimeoutError()) == driver_errors.SILENT
    assert refusal_of(asyncpg.TargetServerAttributeNotMatched()) == driver_errors.STANDBY
    assert not refusal_of(ssl.SSLError()).passing
