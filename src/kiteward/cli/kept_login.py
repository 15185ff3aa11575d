"""The login that `kiteward login` keeps: a server, and an API key for it, in a file that only its user can read."""

import contextlib
import json
import os
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from kiteward.domain.errors import ConfigurationError
from kiteward.domain.identity import Secret


@dataclass(frozen=True, slots=True)
class KeptLogin:
    """A login.

    Attributes:
        server: the address of the server.
        user: who signed in.
        key_id: the API key that was created for it.
        key: the key itself.
        expires_at: when it expires, as text; empty for never.
        ca_file: the certificates that are trusted; None for those of the system.
        insecure: whether the server is asked without TLS although it is another machine.
    """

    server: str
    user: str
    key_id: str
    key: Secret
    expires_at: str
    ca_file: Path | None
    insecure: bool

    def valid_key(self) -> Secret:
        """Return the key.

        Raises:
            ConfigurationError: it has expired.
        """
        if self.expires_at and datetime.fromisoformat(self.expires_at).timestamp() <= time.time():
            raise ConfigurationError(
                f"the login at {self.server} expired at {self.expires_at}: sign in by `kiteward login {self.server}`"
            )
        return self.key


def kept_login() -> KeptLogin | None:
    """Return the kept login; None without one.

    Raises:
        ConfigurationError: its file cannot be read, or others may read it.
    """
    from kiteward.domain.moments import written  # noqa: PLC0415  loaded where a command runs

    path = login_file()
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content: Any = json.load(file)
        if mode & 0o077:
            raise ConfigurationError(f"other users may read the login in {path}: `chmod 600` it, or delete it")
        return KeptLogin(
            server=str(content["server"]),
            user=str(content["user"]),
            key_id=str(content["keyId"]),
            key=Secret(str(content["key"])),
            expires_at=written(datetime.fromisoformat(content["expiresAt"])) if content["expiresAt"] else "",
            ca_file=Path(content["caFile"]) if content["caFile"] else None,
            insecure=bool(content["insecure"]),
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"the login in {path} cannot be read: delete it, and sign in again") from error


def keep_login(login: KeptLogin) -> Path:
    """Write a login in place of the one that is kept, and return its file.

    Raises:
        OSError: it cannot be written.
    """
    path = login_file()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = {
        "server": login.server,
        "user": login.user,
        "keyId": login.key_id,
        "key": login.key.reveal(),
        "expiresAt": login.expires_at,
        "caFile": None if login.ca_file is None else str(login.ca_file.absolute()),
        "insecure": login.insecure,
    }
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123  it is opened with its mode
            json.dump(content, file)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    return path


def forget_login() -> None:
    """Delete the kept login, if there is one."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        login_file().unlink()


def login_file() -> Path:
    """Return the file of the login, below the configuration directory of the user of the operating system."""
    configured = os.environ.get("XDG_CONFIG_HOME", "")
    # The specification of XDG says that a relative path is to be ignored.
    root = Path(configured) if Path(configured).is_absolute() else Path.home() / ".config"
    return root / "kiteward" / "login.json"
