"""How client addresses are written, for every protocol, which addresses count as one source, and networks."""

import ipaddress
from collections.abc import Iterable
from typing import Final

_MAPPED: Final = "::ffff:"
_NETWORK_BITS: Final = 64
"""Prefix length of the network that counts as one source: the holder of a network chooses the remaining bits."""


def host_of(host: str) -> str:
    """Return a client's host in canonical form: IPv4 addresses of dual-stack sockets as IPv4."""
    return host.removeprefix(_MAPPED) if host.startswith(_MAPPED) and "." in host else host


def address_text(host: str, port: int) -> str:
    """Return `1.2.3.4:5678`, or `[::1]:5678` for IPv6."""
    host = host_of(host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def host_in(address: str) -> str:
    """Return the host of an address in the form of `address_text`; empty where there is no address."""
    return address.rpartition(":")[0].strip("[]")


def source_of(host: str) -> str:
    """Return the source of a client's host: an IPv4 address, or the /64 network of an IPv6 address.

    A text that is not an address is a source of its own.
    """
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, _NETWORK_BITS), strict=False))


def is_covered(network: str, by: tuple[str, ...]) -> bool:
    """Return whether a network is within one of others, all in CIDR form."""
    inner = ipaddress.ip_network(network)
    return any(
        inner.version == outer.version and inner.prefixlen >= outer.prefixlen and inner.network_address in outer
        for outer in map(ipaddress.ip_network, by)
    )


def networks_of(texts: Iterable[str]) -> tuple[str, ...]:
    """Return networks in CIDR form, sorted, each once.

    Raises:
        ValueError: one of the texts is no network.
    """
    return tuple(sorted({str(ipaddress.ip_network(text)) for text in texts}))
