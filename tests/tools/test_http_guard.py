"""Nothing of our own network is reached, however its address is written, hidden or changed."""

import ssl
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network

import httpx
import pytest
import trio
import trustme
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import ConfigurationError, ToolFailed
from engine.sim.tool_moods import Huge
from engine.tools.http_guard import AddressGuard, Reach, reach, system_resolver
from engine.tools.http_tool import HttpTools
from engine.tools.http_transport import LARGEST_ANSWER, tool_client
from tests.tools.http_room import SECRETS, a_spec, an_endpoint, ask, served

PUBLIC = """
8.8.8.8 1.1.1.1 172.15.255.255 172.32.0.1 100.128.0.1 2606:4700::1111 2a00:1450:4001::1 ::ffff:8.8.8.8 64:ff9b::808:808
"""
PRIVATE = """
10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 127.0.0.1 127.255.255.254 100.64.0.1 192.0.2.1 198.18.0.1
198.19.255.255 192.88.99.1 ::1 fc00::1 fd12::1 ::ffff:10.0.0.1 ::ffff:127.0.0.1 ::ffff:7f00:1
"""
NEVER = """
0.0.0.0 0.1.2.3 169.254.169.254 169.254.0.1 168.63.129.16 100.100.100.200 192.0.0.192 224.0.0.1 239.255.255.255
240.0.0.1 255.255.255.255 :: fe80::1 fe80::1%eth0 ff02::1 fd00:ec2::254 fd20:ce::254 ::ffff:169.254.169.254
::ffff:a9fe:a9fe 64:ff9b::a9fe:a9fe 64:ff9b::7f00:1 64:ff9b:1::1 ::7f00:1 ::10.0.0.1 2002:7f00:1:: 2002:808:808::
fec0::1 2001:0:1::1 2001:db8::1 3fff::1 5f00::1 100::1 localhost 127.1 2130706433 0x7f.1
"""
WHOSE = ((PUBLIC, Reach.PUBLIC), (PRIVATE, Reach.PRIVATE), (NEVER, Reach.NEVER))


@pytest.mark.parametrize(("address", "whose"), [(each, whose) for listed, whose in WHOSE for each in listed.split()])
def test_every_address_is_somebodys(address: str, whose: Reach) -> None:
    assert reach(address) is whose


OURS = [IPv4Network(n) for n in ("10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.168.0.0/16", "172.16.0.0/12")]


@given(st.sampled_from(OURS), st.integers(0, 2**32 - 1))
def test_no_address_of_ours_passes_in_any_dress(network: IPv4Network, n: int) -> None:
    address = IPv4Address(int(network.network_address) + n % network.num_addresses)
    high, low = divmod(int(address), 65536)
    dresses = (f"{address}", f"::ffff:{address}", f"::{address}", f"64:ff9b::{address}", f"2002:{high:x}:{low:x}::1")
    assert all(reach(dress) is not Reach.PUBLIC for dress in dresses)


@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_judged_as_the_one_inside(address: IPv4Address) -> None:
    assert reach(f"::ffff:{address}") is reach(str(address))


@pytest.mark.parametrize(
    "host", ["localhost", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "::1", "169.254.169.254", "::ffff:10.0.0.1"]
)
async def test_names_and_odd_spellings_of_our_machine_are_refused_once_resolved(host: str) -> None:
    with pytest.raises(ToolFailed, match="tools may not reach") as refused:
        await AddressGuard().addresses(host, 443)
    assert refused.value.kind == "address"


class Names:
    """A name server that answers each question with the next of its lists."""

    def __init__(self, *lists: Sequence[str]) -> None:
        self.lists = list(lists)
        self.asked: list[tuple[str, int]] = []

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        await trio.lowlevel.checkpoint()
        self.asked.append((host, port))
        found = self.lists.pop(0)
        if not found:
            raise OSError("no such name")
        return found


async def test_one_bad_address_among_good_ones_refuses_the_name() -> None:
    for found in (["8.8.8.8", "10.0.0.1"], ["::1", "8.8.8.8"], ["8.8.8.8", "fe80::1"]):
        with pytest.raises(ToolFailed, match="may not reach"):
            await AddressGuard(resolve=Names(found).resolve).addresses("tools.example", 443)
    assert await AddressGuard(resolve=Names(["8.8.8.8", "1.1.1.1"]).resolve).addresses("tools.example", 443) == [
        "8.8.8.8",
        "1.1.1.1",
    ]


async def test_what_the_operator_allows_never_includes_metadata() -> None:
    for found, passes in ((["10.0.0.1"], True), (["127.0.0.1"], True), (["169.254.169.254"], False)):
        guard = AddressGuard(allow_private=True, resolve=Names(found).resolve)
        if passes:
            assert await guard.addresses("tools.example", 443) == found
        else:
            with pytest.raises(ToolFailed, match="may not reach"):
                await guard.addresses("tools.example", 443)


async def test_a_name_without_address_is_a_failure_of_the_peer() -> None:
    with pytest.raises(ToolFailed, match="cannot be resolved"):
        await AddressGuard(resolve=Names([]).resolve).addresses("tools.example", 443)
    with pytest.raises(ToolFailed, match="cannot be resolved"):
        await AddressGuard().addresses("no.such.name.invalid\udcff", 443)


@pytest.mark.parametrize(
    ("url", "allow_private", "said"),
    [
        ("http://tools.example/x", False, "http is not safe; write https"),
        ("https://127.0.0.1/x", False, "127.0.0.1 is no public address; set FRONTDESK_TOOLS_ALLOW_PRIVATE=true"),
        ("https://[::ffff:10.0.0.1]/x", False, "set FRONTDESK_TOOLS_ALLOW_PRIVATE=true"),
        ("https://169.254.169.254/x", True, "no setting allows it"),
        ("https://tools.example/x", False, None),
        ("https://8.8.8.8/x", False, None),
        ("http://127.0.0.1:9/x", True, None),
    ],
)
def test_what_can_never_be_reached_is_said_at_set_up(url: str, allow_private: bool, said: str | None) -> None:
    guard = AddressGuard(allow_private=allow_private)
    if said is None:
        guard.check_url(url, "x")
    else:
        with pytest.raises(ConfigurationError) as refused:
            guard.check_url(url, "x")
        assert said in str(refused.value)


async def test_the_connection_is_made_to_the_address_that_was_checked() -> None:
    """A name that changes its mind between the check and the connection: there is no second question to answer."""
    endpoint = an_endpoint()
    async with trio.open_nursery() as nursery:
        await nursery.start(endpoint.serve)
        port = int(endpoint.url.split(":")[2].split("/")[0])
        names = Names(["127.0.0.1"], ["169.254.169.254"], ["8.8.8.8", "127.0.0.1"])
        async with tool_client(AddressGuard(allow_private=True, resolve=names.resolve)) as client:
            answer = await client.post(f"http://tools.example:{port}/tools")
            assert answer.status_code == 400  # it came through, unsigned
            assert endpoint.faults == ["frontdesk-tenant is missing"]
            assert names.asked == [("tools.example", port)]
            with pytest.raises(ToolFailed, match="is at 169"):
                await client.post(f"http://tools.example:{port}/tools")
            assert len(endpoint.faults) == 1
        nursery.cancel_scope.cancel()


async def test_private_addresses_are_not_even_knocked_at() -> None:
    endpoint = an_endpoint()
    async with served(endpoint), tool_client(AddressGuard()) as client:
        for url in (endpoint.url, endpoint.url.replace("127.0.0.1", "localhost")):
            with pytest.raises(ToolFailed, match="may not reach"):
                await client.post(url)
    assert endpoint.requests == []
    assert endpoint.faults == []


async def test_a_dead_address_is_passed_over_for_the_next() -> None:
    endpoint = an_endpoint()
    async with trio.open_nursery() as nursery:
        await nursery.start(endpoint.serve)
        port = int(endpoint.url.split(":")[2].split("/")[0])
        names = Names(["127.0.0.2", "127.0.0.1"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.2"])
        async with tool_client(AddressGuard(allow_private=True, resolve=names.resolve)) as client:
            for _ in range(2):
                assert (await client.post(f"http://tools.example:{port}/tools")).status_code == 400
            with pytest.raises(httpx.ConnectError):
                await client.post(f"http://tools.example:{port}/tools")
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(("certified", "comes_through"), [("tools.example", True), ("elsewhere.example", False)])
async def test_the_certificate_is_checked_against_the_name(certified: str, comes_through: bool) -> None:
    authority = trustme.CA()
    server, ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert(certified).configure_cert(server)
    authority.configure_trust(ours)
    endpoint = an_endpoint(ssl_context=server)
    async with trio.open_nursery() as nursery:
        await nursery.start(endpoint.serve)
        guard = AddressGuard(allow_private=True, resolve=Names(["127.0.0.1"]).resolve)
        async with tool_client(guard, ssl_context=ours) as client:
            url = endpoint.url.replace("127.0.0.1", "tools.example")
            if comes_through:
                assert (await client.post(url)).status_code == 400
            else:
                with pytest.raises(httpx.ConnectError) as refused:
                    await client.post(url)
                assert any(isinstance(error, ssl.SSLCertVerificationError) for error in chain(refused.value))
        nursery.cancel_scope.cancel()


async def test_within_tls_too_no_more_comes_in_than_an_answer_may_hold() -> None:
    authority = trustme.CA()
    server, ours = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(ours)
    endpoint = an_endpoint(ssl_context=server)
    endpoint.script([Huge(16 * LARGEST_ANSWER)])
    guard = AddressGuard(allow_private=True)
    async with trio.open_nursery() as nursery, tool_client(guard, ssl_context=ours) as client:
        await nursery.start(endpoint.serve)
        with trio.fail_after(2), pytest.raises(ToolFailed, match="longer"):
            await ask(HttpTools(client, guard, SECRETS), a_spec("book", endpoint.url))
        nursery.cancel_scope.cancel()
    assert list(endpoint.effects.values()) == [1]


def chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


async def test_cookies_of_one_request_are_not_sent_with_the_next() -> None:
    endpoint = an_endpoint()
    async with served(endpoint) as tools:
        spec = a_spec("write", endpoint.url)
        for effect_id in ("a" * 32, "b" * 32):
            await ask(tools, spec, effect_id)
        client = tools._client
        assert not list(client.cookies.jar)
    assert len(endpoint.requests) == 2


async def test_the_machines_resolver_gives_each_address_once() -> None:
    assert await system_resolver()("127.0.0.1", 80) == ["127.0.0.1"]
