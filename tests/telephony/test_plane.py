"""One clock for all lines: who ticks when, and what becomes of the others when one of them fails."""

import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import MisuseError
from engine.telephony.plane import FRAME_S, SLOT_S, SLOTS, MediaPlane

Clock = trio.testing.MockClock


@dataclass(eq=False)
class Member:
    """A socket on the plane that remembers, and may be told to fail."""

    own: socket.socket
    peer: socket.socket
    ticks: list[float] = field(default_factory=list)
    read: bytes = b""
    faults: list[Exception] = field(default_factory=list)
    fails_to_read: bool = False
    fails_to_tick: bool = False
    fails_to_hear: bool = False
    at_tick: Callable[[], None] = lambda: None
    at_read: Callable[[], None] = lambda: None

    def fileno(self) -> int:
        return self.own.fileno()

    def on_readable(self, now: float) -> bool | None:
        if self.fails_to_read:
            raise ZeroDivisionError("reading")
        self.read += self.own.recv(100)
        self.at_read()
        return None

    def on_tick(self, now: float) -> None:
        self.ticks.append(now)
        self.at_tick()
        if self.fails_to_tick:
            raise ZeroDivisionError("ticking")

    def on_fault(self, error: Exception) -> None:
        self.faults.append(error)
        if self.fails_to_hear:
            raise ZeroDivisionError("being told")


@contextmanager
def members(count: int) -> Iterator[list[Member]]:
    made = [Member(*socket.socketpair()) for _ in range(count)]
    try:
        yield made
    finally:
        for member in made:
            member.own.close()
            member.peer.close()


@asynccontextmanager
async def turning(plane: MediaPlane) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(plane.run)
        yield
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("count", [1, 4, 10])
async def test_every_member_ticks_every_20_ms_and_the_work_is_spread(count: int, autojump_clock: Clock) -> None:
    plane = MediaPlane()
    with members(count) as all_of_them:
        for member in all_of_them:
            plane.add(member)
        async with turning(plane):
            await trio.sleep(1.0)
        for member in all_of_them:
            steps = [round(1000 * (b - a)) for a, b in zip(member.ticks, member.ticks[1:], strict=False)]
            assert set(steps) == {round(1000 * FRAME_S)}
            assert len(member.ticks) == pytest.approx(50, abs=1)
        together = Counter(round(1000 * member.ticks[1]) for member in all_of_them)
        assert max(together.values()) == -(-count // SLOTS)


async def test_a_late_wake_up_gives_one_tick_and_is_told_in_the_statistics(mock_clock: Clock) -> None:
    plane = MediaPlane()
    with members(8) as all_of_them:
        for member in all_of_them:
            plane.add(member)
        async with turning(plane):
            for _ in range(SLOTS):
                await trio.testing.wait_all_tasks_blocked()
                mock_clock.jump(SLOT_S)
            await trio.testing.wait_all_tasks_blocked()
            before = [len(member.ticks) for member in all_of_them]
            ticks = plane.statistics().ticks
            late = [plane.is_late]
            mock_clock.jump(0.5)
            await trio.testing.wait_all_tasks_blocked()
            assert [len(member.ticks) - had for member, had in zip(all_of_them, before, strict=True)] == [1] * 8
            assert plane.statistics().ticks == ticks + 1
            assert plane.statistics().lateness_max_ms == pytest.approx(500 - 1000 * SLOT_S, abs=0.1)
            assert plane.statistics().lateness_p50_ms == pytest.approx(0, abs=0.1)
            assert plane.statistics().lateness_p99_ms == 0.0, "one pause is no reason to turn the next caller away"
            late.append(plane.is_late)
            # And the old rhythm is not caught up with.
            mock_clock.jump(SLOT_S)
            await trio.testing.wait_all_tasks_blocked()
            assert sum(len(member.ticks) for member in all_of_them) == sum(before) + 8 + 2
            for _ in range(400):
                mock_clock.jump(SLOT_S)
                await trio.testing.wait_all_tasks_blocked()
            assert [*late, plane.is_late] == [False, True, False], "it is forgotten soon"


async def test_what_can_be_read_is_read_within_a_slot(autojump_clock: Clock) -> None:
    plane = MediaPlane()
    with members(2) as (one, other):
        plane.add(one)
        plane.add(other)
        async with turning(plane):
            await trio.sleep(0.1)
            one.peer.send(b"hello")
            await trio.sleep(1.5 * SLOT_S)
            assert (one.read, other.read) == (b"hello", b"")


@pytest.mark.parametrize("where", ["reading", "ticking"])
async def test_a_member_that_fails_is_removed_and_told_and_the_others_go_on(where: str, autojump_clock: Clock) -> None:
    crashes: list[str] = []
    plane = MediaPlane(on_crash=lambda: crashes.append("one"))
    with members(9) as all_of_them:
        for member in all_of_them:
            plane.add(member)
        bad = all_of_them[4]
        bad.fails_to_read, bad.fails_to_tick = where == "reading", where == "ticking"
        bad.peer.send(b"x")
        async with turning(plane):
            await trio.sleep(0.2)
            assert [str(error) for error in bad.faults] == [where]
            assert crashes == ["one"]
            assert plane.statistics().members == 8
            assert plane.statistics().faults == 1
            had = [len(member.ticks) for member in all_of_them]
            await trio.sleep(0.2)
            gained = [len(member.ticks) - before for member, before in zip(all_of_them, had, strict=True)]
        assert gained[4] == 0
        assert all(count == pytest.approx(10, abs=1) for count in gained[:4] + gained[5:])


async def test_a_member_that_fails_even_to_be_told_ends_nobody_else(autojump_clock: Clock) -> None:
    plane = MediaPlane()
    with members(2) as (bad, good):
        bad.fails_to_tick = bad.fails_to_hear = True
        plane.add(bad)
        plane.add(good)
        async with turning(plane):
            await trio.sleep(0.2)
        assert len(bad.faults) == 1
        assert len(good.ticks) == pytest.approx(10, abs=1)


async def test_a_member_that_closed_its_socket_too_early_ends_nobody_else(autojump_clock: Clock) -> None:
    plane = MediaPlane()
    with members(2) as (bad, good):
        plane.add(bad)
        plane.add(good)
        bad.at_tick = bad.own.close
        bad.fails_to_tick = True
        async with turning(plane):
            await trio.sleep(0.2)
            assert plane.statistics().members == 1
        assert len(good.ticks) == pytest.approx(10, abs=1)


async def test_members_may_come_and_go_in_the_middle_of_a_tick(autojump_clock: Clock) -> None:
    plane = MediaPlane()
    with members(9) as (first, victim, late, *rest):
        # One slot holds first, victim and one of the rest: added four apart.
        for member in (first, *rest[:3], victim, *rest[3:]):
            plane.add(member)

        def act() -> None:
            plane.remove(victim)
            plane.remove(victim)
            if not late.ticks and late not in plane._slot_of:
                plane.add(late)

        first.at_tick = act
        async with turning(plane):
            await trio.sleep(0.1)
            assert plane.statistics().members == 8
        assert victim.ticks == []
        assert len(late.ticks) == pytest.approx(5, abs=1)
        assert all(len(member.ticks) == pytest.approx(5, abs=1) for member in rest)


async def test_what_an_earlier_member_removed_is_not_read_in_the_same_batch(autojump_clock: Clock) -> None:
    plane = MediaPlane()
    with members(2) as (one, other):
        for member, its_other in ((one, other), (other, one)):
            plane.add(member)
            member.peer.send(b"x")
            member.at_read = lambda gone=its_other: plane.remove(gone)  # type: ignore[misc]
        async with turning(plane):
            await trio.sleep(0.1)
            assert plane.statistics().members == 1
        assert one.read + other.read == b"x"


async def test_one_that_wants_each_arrival_once_is_told_of_it_once_unless_it_asks_again(autojump_clock: Clock) -> None:
    class Patient(Member):
        told = 0
        asks_again = False

        def on_readable(self, now: float) -> bool:
            self.told += 1
            return self.asks_again

    plane = MediaPlane()
    with members(1) as (impatient,):
        one = Patient(impatient.own, impatient.peer)
        plane.add(one, each_arrival_once=True)
        async with turning(plane):
            one.peer.send(b"x")
            await trio.sleep(0.1)
            assert one.told == 1
            one.peer.send(b"y")
            await trio.sleep(0.1)
            assert one.told == 2
            one.asks_again = True
            one.peer.send(b"z")
            await trio.sleep(0.1)
            assert one.told > 2 + 10
            one.asks_again = False
            await trio.sleep(0.01)
            before = one.told
            await trio.sleep(0.1)
            assert one.told == before
            one.peer.close()
            await trio.sleep(0.1)
            assert one.told > before + 10, "the end of a peer is told until somebody has acted on it"
            plane.remove(one)


async def test_nobody_is_added_twice() -> None:
    plane = MediaPlane()
    with members(1) as (one,):
        plane.add(one)
        with pytest.raises(MisuseError):
            plane.add(one)


async def test_an_empty_plane_sleeps_and_wakes_for_the_first_member(autojump_clock: Clock) -> None:
    plane = MediaPlane()
    with members(1) as (one,):
        async with turning(plane):
            await trio.sleep(100)
            assert plane.statistics().ticks == 0
            plane.add(one)
            await trio.sleep(0.1)
            assert len(one.ticks) == pytest.approx(5, abs=1)
            plane.remove(one)
            ticks = plane.statistics().ticks
            await trio.sleep(100)
            assert plane.statistics().ticks <= ticks + 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 11)), max_size=40))
def test_a_member_is_driven_exactly_while_it_is_on_the_plane(changes: list[tuple[bool, int]]) -> None:
    async def main() -> None:
        plane = MediaPlane()
        on: set[int] = set()
        async with turning(plane):
            for add, number in changes:
                if add and number not in on:
                    plane.add(all_of_them[number])
                    on.add(number)
                elif not add:
                    plane.remove(all_of_them[number])
                    on.discard(number)
            before = [len(member.ticks) for member in all_of_them]
            await trio.sleep(0.201)
            gained = [len(member.ticks) - had for member, had in zip(all_of_them, before, strict=True)]
            assert plane.statistics().members == len(on)
        assert {number for number, count in enumerate(gained) if count} == on
        assert all(gained[number] == pytest.approx(10, abs=1) for number in on)

    with members(12) as all_of_them:
        trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
