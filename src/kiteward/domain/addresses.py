"""How the address of a client is written, whichever protocol it speaks, and which addresses count as one source."""

import ipaddress
from typing import Final

_MAPPED: Final = "::ffff:"
_NETWORK_BITS: Final = 64
"""Bits of an IPv6 address that its holder does not choose."""


def host_of(host: str) -> str:
    """Return a client's host as one name: an IPv4 address stays one where it reaches us by a dual-stack socket."""
    return host.removeprefix(_MAPPED) if host.startswith(_MAPPED) and "." in host else host


def address_text(host: str, port: int) -> str:
    """Return `1.2.3.4:5678`, or `[::1]:5678` for IPv6."""
    host = host_of(host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def host_in(address: str) -> str:
    """Return the host in what `address_text` returned; empty where there is no address."""
    return address.rpartition(":")[0].strip("[]")


def source_of(host: str) -> str:
    """Return the source that a client's host counts as: an IPv4 address, or the /64 network of an IPv6 one.

    What is no address is a source of its own.
    """
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, _NETWORK_BITS), strict=False))
