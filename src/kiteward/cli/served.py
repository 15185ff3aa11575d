"""Has requests carried out by the server that uses a data directory of this machine, by its socket (decision 0087)."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from kiteward import __version__
from kiteward.bootstrap.command_wire import LONGEST_LINE, SOCKET
from kiteward.cli.output import note
from kiteward.cli.sending import body_of, seconds_for
from kiteward.domain.errors import ConfigurationError
from kiteward.net.unix_sockets import connect_in

if TYPE_CHECKING:
    from kiteward.config.settings import Settings

_GREETING_WITHIN: Final = 2.0
"""Seconds after which a server that says nothing is taken for one that hangs."""


class Served:
    """A running server that uses a data directory. Implements `kiteward.cli.connection.Connection`."""

    answered_by = "server"

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, where: str) -> None:
        """Take a connection whose greeting has been read, and the name of the store."""
        self._reader = reader
        self._writer = writer
        self.where = where

    async def ask(self, path: str, request: Mapping[str, Any]) -> Any:
        body = body_of(request)
        try:
            async with asyncio.timeout(seconds_for(path)):
                self._writer.write(path.encode() + b" " + body + b"\n")
                await self._writer.drain()
                line = await self._reader.readline()
        except TimeoutError:
            raise ConfigurationError(
                "the server does not answer: look whether a change was made before you repeat it"
            ) from None
        except (OSError, ValueError):  # it is gone, or answers more than a line may hold
            line = b""
        if not line.endswith(b"\n"):
            raise ConfigurationError(
                "the server ended before it answered: look whether a change was made before you repeat it"
            )
        return data_in(line)


def data_in(answer: bytes) -> Any:
    """Return the data in an answer of `kiteward.api.rest.in_process`.

    Raises:
        InvalidArgument: it says what is wrong.
    """
    told = json.loads(answer)
    if "fault" in told:
        from kiteward.cli.remote import refusal  # noqa: PLC0415  a client of HTTP comes with it

        raise refusal({**told, "message": told["fault"]})
    return told["data"]


@contextlib.asynccontextmanager
async def served(settings: "Settings") -> AsyncIterator[Served | None]:
    """Connect to the server that uses the data directory of a configuration.

    Yields:
        The server; None if none runs there, or it hangs, is of another version or has another store, so that what it
        would do is not what this command means. None too where another user than the owner of the directory listens.
    """
    async with contextlib.AsyncExitStack() as stack:
        yield await _greeted(stack, settings)


async def _greeted(stack: contextlib.AsyncExitStack, settings: "Settings") -> Served | None:
    """Return what `served` yields, and say why a server that runs is not asked; `stack` closes the connection."""
    store = "" if settings.store is None else str(settings.store)
    try:
        async with asyncio.timeout(_GREETING_WITHIN):
            reader, writer = await connect_in(stack, settings.data_dir, SOCKET, longest_line=LONGEST_LINE)
            version, other = _greeting_in(await reader.readline())
    except TimeoutError:
        why = "says nothing"
    except ValueError:
        why = "does not answer as this version does"
    except OSError:
        return None
    else:
        if (version, other) == (__version__, store):
            return Served(reader, writer, store or str(settings.data_dir))
        if version == __version__:  # what this command changes is not what the server has
            return None
        why = f"is of version {version}"
    note(
        f"kiteward: the server that uses {settings.data_dir} {why}, so that it is not asked: what this command changes "
        "is in force there only when it has read the store again"
    )
    return None


def _greeting_in(line: bytes) -> tuple[str, str]:
    """Return the version and the store of a server. Raises ValueError for anything that is not one."""
    greeting = json.loads(line)
    if not isinstance(greeting, dict) or not {"version", "store"} <= greeting.keys():
        raise ValueError("no greeting")
    return str(greeting["version"]), str(greeting["store"])
