"""How the address of a client is written, whichever door it came through."""

_MAPPED = "::ffff:"


def host_of(host: str) -> str:
    """Return a client's host as one name: an IPv4 address stays one where it reaches us by a dual-stack socket."""
    return host.removeprefix(_MAPPED) if host.startswith(_MAPPED) and "." in host else host


def address_text(host: str, port: int) -> str:
    """Return `1.2.3.4:5678`, or `[::1]:5678` for IPv6."""
    host = host_of(host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
