"""Debian's rsyslog as a receiver of syslog over TLS, on a port of the system's choice."""

import contextlib
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import trustme

_DAEMON: Final = shutil.which("rsyslogd", path="/usr/sbin:/usr/bin:/sbin")

MISSING: Final = (
    ""
    if _DAEMON and any(Path("/usr/lib").glob("*/rsyslog/lmnsd_gtls.so"))
    else "rsyslog with rsyslog-gnutls is missing"
)
"""Why tests with it are skipped, or empty."""

_FIELDS: Final = (
    "%pri%",
    "%timestamp:::date-rfc3339%",
    "%hostname%",
    "%app-name%",
    "%msgid%",
    "%structured-data%",
    "%msg%",
)

_CONFIGURATION: Final = """
global(
    workDirectory="{directory}"
    maxMessageSize="256k"
    defaultNetstreamDriver="gtls"
    defaultNetstreamDriverCAFile="{directory}/ca.pem"
    defaultNetstreamDriverCertFile="{directory}/server.pem"
    defaultNetstreamDriverKeyFile="{directory}/server.key"
)
module(
    load="imtcp"
    streamDriver.name="gtls"
    streamDriver.mode="1"
    streamDriver.authMode="{mode}"
    {permitted}
)
input(type="imtcp" address="127.0.0.1" port="{port}")
template(name="whole" type="string" string="{template}\\n")
action(type="omfile" file="{directory}/received" template="whole" fileCreateMode="0600")
"""


class Rsyslog:
    """A receiver that may be stopped and started again.

    Attributes:
        port: its port.
        authority: the CA of its certificate, and of the client certificates that it takes.
        directory: where its files are.
    """

    def __init__(self, directory: Path, *, permitted: str = "") -> None:
        """Write its configuration.

        Args:
            directory: an empty directory.
            permitted: the name that a client certificate must have; empty takes everybody.
        """
        self.directory = directory
        self.authority = trustme.CA()
        self.authority.cert_pem.write_to_path(str(directory / "ca.pem"))
        issued = self.authority.issue_cert("localhost")
        issued.private_key_pem.write_to_path(str(directory / "server.key"))
        (directory / "server.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        (directory / "rsyslog.conf").write_text(
            _CONFIGURATION.format(
                directory=directory,
                port=self.port,
                template="|".join(_FIELDS),
                mode="x509/name" if permitted else "anon",
                permitted=f'permittedPeer=["{permitted}"]' if permitted else "",
            )
        )

    def start(self) -> None:
        """Start it, and wait until it listens."""
        assert _DAEMON is not None
        words = [_DAEMON, "-n", "-f", str(self.directory / "rsyslog.conf"), "-i", str(self.directory / "pid")]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while True:
            assert self._process.poll() is None, (self.directory / "log").read_text()
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it; what it has read is in its file."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(30)
            self._process = None

    def received(self) -> list[list[str]]:
        """Return the messages: priority, time, host, application, kind, structured data and text of each."""
        path = self.directory / "received"
        text = path.read_text() if path.exists() else ""
        messages = [each.split("|", 6) for each in text.splitlines()]
        return [each for each in messages if len(each) == 7 and each[3] == "kiteward"]


@contextlib.contextmanager
def running(directory: Path, *, permitted: str = "") -> Iterator[Rsyslog]:
    """Run a receiver until the block ends."""
    receiver = Rsyslog(directory, permitted=permitted)
    receiver.start()
    try:
        yield receiver
    finally:
        receiver.stop()
