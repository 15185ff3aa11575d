"""Where sockets are: a directory for those that only this process may reach."""

import stat
from pathlib import Path

from kiteward.transports.binding import socket_directory


def test_a_socket_directory_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    wanted = tmp_path / "sockets"
    with socket_directory(wanted) as directory:
        assert directory == wanted
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert not wanted.exists()


def test_what_a_killed_server_left_is_cleared_away(tmp_path: Path) -> None:
    wanted = tmp_path / "sockets"
    wanted.mkdir(mode=0o755)
    (wanted / "front").touch()
    with socket_directory(wanted) as directory:
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert list(directory.iterdir()) == []


def test_a_directory_with_a_long_name_is_replaced_by_a_private_one_with_a_short_name(tmp_path: Path) -> None:
    wanted = tmp_path / ("long" * 30)
    with socket_directory(wanted) as directory:
        assert not wanted.exists()
        assert len(str(directory)) < 90
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert not directory.exists()
