"""Where an attempt comes from, as far as shares and waits go."""

import ipaddress
from typing import Final

_NETWORK_BYTES: Final = 8
"""Of an IPv6 address; the rest is chosen freely by whoever holds the network."""


def source_of(address: str) -> str:
    """Return the source of an address: an IPv4 address, or an IPv6 network of 64 bits.

    Args:
        address: `1.2.3.4:5678`, `[2001:db8::1]:5678`, or empty where there is none.
    """
    host = address.rpartition(":")[0].strip("[]")
    if ":" not in host:
        return host
    try:
        found = ipaddress.IPv6Address(host)
    except ValueError:
        return host
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return f"{ipaddress.IPv6Address(found.packed[:_NETWORK_BYTES].ljust(16, bytes(1)))}/64"
