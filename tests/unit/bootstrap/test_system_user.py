"""The user of the operating system, as the audit trail names it."""

import os
import pwd

import pytest

from kiteward.bootstrap.system_user import system_user


def test_a_user_has_its_name_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    assert system_user() == pwd.getpwuid(os.getuid()).pw_name


def test_a_user_without_a_name_has_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = {each.pw_uid for each in pwd.getpwall()}
    unknown = next(number for number in range(70_000, 80_000) if number not in numbers)
    monkeypatch.setattr("os.getuid", lambda: unknown)
    assert system_user() == str(unknown)
