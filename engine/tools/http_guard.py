"""Which addresses a tool's endpoint may have: a tenant document must not make us knock at our own network's doors.

    public    anybody's endpoint
    private   the operator's own network and this machine: only where the operator allows it, for all tenants
    never     metadata services, link-local, multicast, unspecified, and forms that only hide another address

A name is resolved by us, once for each connection; if one of its addresses may not be reached, none is; and the
connection is made to an address that was checked, not to the name, so that a second look-up cannot say otherwise.
"""

import socket
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias
from urllib.parse import urlsplit

import trio

from engine.errors import ConfigurationError, ToolFailed

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Host name and port -> addresses as text, best first. May raise ``OSError``."""

LOOKUPS_AT_ONCE = 32  # threads; a name server that hangs holds one for each name asked, and none of anybody else's
SETTING = "FRONTDESK_TOOLS_ALLOW_PRIVATE"


class Reach(Enum):
    """Whose an address is."""

    PUBLIC = "public"
    PRIVATE = "private"
    NEVER = "never"


# Python's own idea of "global" differs between patch releases, so what must be refused is written out.
_NEVER_4 = tuple(
    ip_network(net)
    for net in (
        *("0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4"),
        "169.254.0.0/16",  # link-local; most clouds' metadata
        *("168.63.129.16/32", "100.100.100.200/32", "192.0.0.192/32"),  # metadata that looks like something else
    )
)
_PRIVATE_4 = tuple(
    ip_network(net)
    for net in (
        *("10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
    )
)
_LOOPBACK_6 = IPv6Address("::1")
_METADATA_6 = (IPv6Address("fd00:ec2::254"), IPv6Address("fd20:ce::254"))
_UNIQUE_LOCAL_6 = IPv6Network("fc00::/7")
_MAPPED_6 = IPv6Network("::ffff:0:0/96")
_NAT64_6 = IPv6Network("64:ff9b::/96")  # what a network without IPv4 writes for an IPv4 address: a public one may pass
_GLOBAL_6 = IPv6Network("2000::/3")
_NOT_GLOBAL_6 = tuple(
    # Special purpose (Teredo and more), 6to4, documentation.
    IPv6Network(net)
    for net in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)


def reach(address: str) -> Reach:
    """Whose this address is. What is no address is nobody's. PURE."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return Reach.NEVER
    return _reach_4(parsed) if isinstance(parsed, IPv4Address) else _reach_6(parsed)


def _reach_4(address: IPv4Address) -> Reach:
    if any(address in net for net in _NEVER_4):
        return Reach.NEVER
    return Reach.PRIVATE if any(address in net for net in _PRIVATE_4) else Reach.PUBLIC


def _reach_6(address: IPv6Address) -> Reach:
    if address.scope_id is not None or address in _METADATA_6:
        return Reach.NEVER
    if address in _MAPPED_6:
        return _reach_4(IPv4Address(int(address) & 0xFFFFFFFF))
    if address in _NAT64_6:
        inside = _reach_4(IPv4Address(int(address) & 0xFFFFFFFF))
        return inside if inside is Reach.PUBLIC else Reach.NEVER
    if address == _LOOPBACK_6 or address in _UNIQUE_LOCAL_6:
        return Reach.PRIVATE
    if address in _GLOBAL_6 and not any(address in net for net in _NOT_GLOBAL_6):
        return Reach.PUBLIC
    return Reach.NEVER


class AddressGuard:
    """What this process lets tools reach. Made once, in the composition root. ``setting``: what would allow more."""

    def __init__(self, *, allow_private: bool = False, resolve: Resolve | None = None, setting: str = SETTING) -> None:
        self.allow_private = allow_private
        self._setting = setting
        self._resolve = resolve or system_resolver()

    def check_url(self, url: str, place: str) -> None:
        """What can be said about an endpoint before anybody calls it.

        Raises:
            ConfigurationError: it can never be reached as things are set.
        """
        parts = urlsplit(url)
        if parts.scheme != "https" and not self.allow_private:
            raise ConfigurationError(f"{place}: {parts.scheme} is not safe; write https, or set {self._setting}=true")
        host = parts.hostname or ""
        if _is_literal(host) and not self._allows(host):
            cure = "no setting allows it" if reach(host) is Reach.NEVER else f"set {self._setting}=true to allow it"
            raise ConfigurationError(f"{place}: {host} is no public address; {cure}")

    async def addresses(self, host: str, port: int) -> list[str]:
        """Addresses to connect to, best first, every one of them checked.

        Raises:
            ToolFailed: the name has none, or one that may not be reached.
        """
        try:
            found = list(await self._resolve(host, port))
        except (OSError, UnicodeError) as error:
            raise ToolFailed(f"the name of {host} cannot be resolved: {error}", kind="unresolved") from None
        if not found:
            raise ToolFailed(f"{host} has no address", kind="unresolved")
        if refused := [address for address in found if not self._allows(address)]:
            raise ToolFailed(f"{host} is at {refused[0]}, which tools may not reach", kind="address")
        return found

    def _allows(self, address: str) -> bool:
        whose = reach(address)
        return whose is Reach.PUBLIC or (whose is Reach.PRIVATE and self.allow_private)


def system_resolver() -> Resolve:
    """The machine's own, on threads of its own number: a tenant's slow name server must not take everybody's."""
    limiter = trio.CapacityLimiter(LOOKUPS_AT_ONCE)

    async def resolve(host: str, port: int) -> list[str]:
        if _is_literal(host):
            await trio.lowlevel.checkpoint()
            return [host]  # there is no name to ask anybody about, so no thread is waited for either

        def look_up() -> list[str]:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))

        return await trio.to_thread.run_sync(look_up, abandon_on_cancel=True, limiter=limiter)

    return resolve


def _is_literal(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
