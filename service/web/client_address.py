"""The address of a client: for logs, rates, and slowing wrong tokens.

`X-Forwarded-For` counts only where it comes from a proxy of EMAIL_TRUSTED_PROXIES. Each proxy appends the address that
it saw, so the list is read from its end: the last address that is no trusted proxy's is the client's.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, TypeAlias

from service.config.http_settings import Network

_Address: TypeAlias = IPv4Address | IPv6Address

#: What stands for a program that is connected by EMAIL_LOCAL_SOCKET.
LOCAL_SOCKET = "local-socket"
#: Proxies in a row that are looked at; a longer list is read from its end up to here.
_MAX_HOPS = 20


def client_address(scope: Any, trusted: Sequence[Network]) -> str:
    """Return the client's address of an ASGI scope, an IPv6 client's as its /64, which is one subscriber's.

    It is `LOCAL_SOCKET` for a Unix socket, and "" where the connection ended before it was looked at.
    """
    if is_local_socket(scope):
        return LOCAL_SOCKET
    client = scope.get("client")
    seen = _parsed(client[0]) if client else None
    if seen is None:
        return ""
    for hop in _forwarded(scope) if _is_trusted(seen, trusted) else ():
        said = _parsed(hop)
        if said is None:  # not an address: nothing before it can be believed either
            break
        seen = said
        if not _is_trusted(seen, trusted):
            break
    return str(seen) if seen.version == 4 else str(IPv6Network((seen, 64), strict=False))


def is_local_socket(scope: Any) -> bool:
    """Whether the connection came by a Unix socket; a TCP one has a port at our end, whatever became of its client."""
    server = scope.get("server")
    return server is not None and server[1] is None


def _forwarded(scope: Any) -> Iterable[str]:
    """The addresses of X-Forwarded-For, the nearest first."""
    lines = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    hops = b",".join(lines).rsplit(b",", _MAX_HOPS)[-_MAX_HOPS:]
    return (hop.decode("latin-1").strip() for hop in reversed(hops) if hop.strip())


def _parsed(text: str) -> _Address | None:
    """An address, with or without a port, as proxies write it; one that maps IPv4 counts as that."""
    host = text
    if text.startswith("["):
        host = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        host = text.partition(":")[0]
    try:
        address = ip_address(host.partition("%")[0])  # a zone says nothing about a client
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_trusted(address: _Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)
