"""TLS on the lean TCP stream: all that is there comes at once, and nothing is lost by either way of reading."""

import pytest
import trio
import trio.testing

from engine.model.tls import TlsStream
from tests.model.lean import secured

Clock = trio.testing.MockClock


async def soon(tls: TlsStream) -> bytes | None:
    await trio.testing.wait_all_tasks_blocked()
    return tls.receive_now(65536)


async def test_records_that_came_together_are_received_together(autojump_clock: Clock) -> None:
    ours, theirs = await secured()
    async with ours, theirs:
        for record in (b"one ", b"two ", b"three"):
            await theirs.send_all(record)
        assert await ours.receive_some(65536) == b"one two three"


async def test_no_more_is_received_than_was_asked_for(autojump_clock: Clock) -> None:
    ours, theirs = await secured()
    async with ours, theirs:
        for record in (b"one ", b"two ", b"three"):
            await theirs.send_all(record)
        assert await ours.receive_some(6) == b"one tw"
        assert ours.receive_now(4) == b"o th"
        assert await ours.receive_some(65536) == b"ree"


async def test_what_is_there_is_read_without_waiting(autojump_clock: Clock) -> None:
    ours, theirs = await secured()
    async with ours, theirs:
        assert ours.receive_now(65536) is None
        await theirs.send_all(b"one ")
        await theirs.send_all(b"two")
        assert await soon(ours) == b"one two"
        assert ours.receive_now(65536) is None
        await theirs.send_all(b"three")
        assert await ours.receive_some(65536) == b"three"


async def test_half_a_record_waits_for_its_rest(autojump_clock: Clock) -> None:
    ours, theirs = await secured()
    async with ours, theirs:
        await theirs.send_all(bytes(16_000))
        assert ours.receive_now(5_000) is None, "of what the socket gave no record is whole"
        assert ours.receive_now(65_536) == bytes(16_000)


@pytest.mark.parametrize("politely", [True, False])
async def test_the_end_comes_after_what_was_said(politely: bool, autojump_clock: Clock) -> None:
    ours, theirs = await secured()
    async with ours:
        await theirs.send_all(b"bye")
        if politely:
            await theirs.aclose()
        else:
            await theirs.transport_stream.aclose()  # type: ignore[attr-defined]
        assert await soon(ours) == b"bye"
        assert ours.receive_now(65536) is None
        assert ours.receive_now(65536) is None
        assert await ours.receive_some(65536) == b""


async def test_what_is_sent_at_once_comes_in_order_with_all_else(autojump_clock: Clock) -> None:
    ours, theirs = await secured()
    sent = b""
    async with ours, theirs, trio.open_nursery() as nursery:
        received = bytearray()

        async def receive() -> None:
            while len(received) < len(sent):
                received.extend(bytes(await theirs.receive_some(65536)))

        for number in range(200):  # more than the system takes while nobody reads
            piece = bytes([number]) * 10_000
            if not ours.can_send_now:
                break
            assert ours.send_now(piece) == len(piece)
            sent += piece
        assert not ours.can_send_now
        nursery.start_soon(receive)
        sent += b"and this"
        await ours.send_all(b"and this")
    assert received == sent


async def test_what_is_no_tls_breaks_the_connection(autojump_clock: Clock) -> None:
    ours, theirs = await secured()
    async with ours:
        await theirs.transport_stream.send_all(b"plain text for you")  # type: ignore[attr-defined]
        with pytest.raises(trio.BrokenResourceError):
            await soon(ours)
        assert await ours.receive_some(65536) == b"", "and nothing comes any more"
        await theirs.transport_stream.aclose()  # type: ignore[attr-defined]


async def test_a_closed_one_says_so(autojump_clock: Clock) -> None:
    ours, theirs = await secured()
    await ours.aclose()
    with pytest.raises(trio.ClosedResourceError):
        ours.receive_now(65536)
    with pytest.raises(trio.ClosedResourceError):
        await ours.send_all(b"x")
    await trio.aclose_forcefully(theirs)
