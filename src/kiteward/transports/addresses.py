"""How the address of a client is written, whichever door it came through, and which addresses count as one."""

import ipaddress
from typing import Final

_MAPPED: Final = "::ffff:"
_ONE_SITE: Final = 64
"""Bits of an IPv6 address that its holder does not choose."""


def host_of(host: str) -> str:
    """Return a client's host as one name: an IPv4 address stays one where it reaches us by a dual-stack socket."""
    return host.removeprefix(_MAPPED) if host.startswith(_MAPPED) and "." in host else host


def source_of(host: str) -> str:
    """Return the source that a client's host counts as: an IPv4 address, or the /64 network of an IPv6 one."""
    host = host_of(host)
    if ":" not in host:
        return host
    return str(ipaddress.IPv6Network((host.partition("%")[0], _ONE_SITE), strict=False))


def address_text(host: str, port: int) -> str:
    """Return `1.2.3.4:5678`, or `[::1]:5678` for IPv6."""
    host = host_of(host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
