"""The shorter way past a channel: never out of order, never to a receiver that has something to do."""

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from engine.shortcut import ShortEnd, shortened

Clock = trio.testing.MockClock


def open_channel(room: int = 64) -> tuple[ShortEnd[int], trio.MemoryReceiveChannel[int]]:
    send, receive = trio.open_memory_channel[int](room)
    return ShortEnd(send), receive


class Receiver:
    """Takes even numbers by the shorter way; stays with an odd one for a while."""

    def __init__(self, end: ShortEnd[int], receive: trio.MemoryReceiveChannel[int]) -> None:
        self._end, self._receive = end, receive
        self.got: list[int] = []
        self.taken: list[int] = []

    async def run(self) -> None:
        with shortened(self._end, self._take):
            async for number in self._receive:
                await trio.sleep(number % 2)
                self.got.append(number)

    def _take(self, number: int) -> bool:
        if number % 2:
            return False
        self.got.append(number)
        self.taken.append(number)
        return True


@given(st.lists(st.tuples(st.integers(0, 99), st.sampled_from(["nowait", "send", "clone"]), st.floats(0, 2))))
def test_whatever_way_it_goes_everything_comes_once_and_in_order(
    sent: list[tuple[int, str, float]],
) -> None:
    async def main() -> None:
        end, receive = open_channel(1000)
        receiver = Receiver(end, receive)
        clone = end.clone()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(receiver.run)
            for number, how, pause_s in sent:
                if how == "send":
                    await end.send(number)
                else:
                    (clone if how == "clone" else end).send_nowait(number)
                if pause_s >= 1:
                    await trio.sleep(pause_s)
            end.close()
            await clone.aclose()
        assert receiver.got == [number for number, _, _ in sent]

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))


async def test_who_waits_with_nothing_queued_is_given_it_at_once(autojump_clock: Clock) -> None:
    end, receive = open_channel()
    receiver = Receiver(end, receive)
    async with trio.open_nursery() as nursery:
        end.send_nowait(2)
        assert receiver.got == [], "nobody receives yet"
        nursery.start_soon(receiver.run)
        await trio.testing.wait_all_tasks_blocked()
        end.send_nowait(4)
        assert receiver.got == [2, 4]
        end.send_nowait(5)
        end.send_nowait(6)
        assert receiver.got == [2, 4], "it has something to do"
        await trio.sleep(3)
        assert (receiver.got, receiver.taken) == ([2, 4, 5, 6], [4])
        end.close()


async def test_after_the_receiver_is_gone_the_sender_is_told_as_ever(autojump_clock: Clock) -> None:
    end, receive = open_channel(1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Receiver(end, receive).run)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    end.send_nowait(2)
    assert end.statistics().current_buffer_used == 1
    with pytest.raises(trio.WouldBlock):
        end.send_nowait(2)
    receive.close()
    with pytest.raises(trio.BrokenResourceError):
        end.send_nowait(2)
    with end:
        pass
    with pytest.raises(trio.ClosedResourceError):
        end.send_nowait(2)
