"""Many calls at once in one world, each checked for what it leaves: tasks, descriptors, and one end."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from engine.metrics import Metrics
from engine.sim.caller import CallOptions
from engine.sim.carrier_call import CarrierOptions
from engine.sim.leaks import watched
from engine.sim.report import PhoneReport
from engine.sim.scenario import Ending, Moment
from engine.sim.world import STATUS_URL
from engine.store.diary import Appointment, Booking, MemoryDiary
from engine.store.interface import CallEnd
from tests.calls import TENANT, Stage

SETTLE_S = 140.0  # virtual: silence is noticed after 10 s, and for 120 s a silent call may come back
KERNEL_TRIES = 1500  # of 10 ms: fifty records are synced to disk one after the other, on a machine that may be busy


@dataclass(frozen=True, slots=True)
class HangUpAt:
    """When and how one caller goes. ``told``: the carrier also sends its status callback."""

    seconds: float
    ending: Ending
    told: bool

    def options(self) -> CallOptions:
        """This hang-up as options of a call."""
        return CallOptions(
            carrier=CarrierOptions(ending=self.ending),
            status_url=STATUS_URL if self.told else None,
            hang_up_after_s=self.seconds,
        )


def counted(on: Stage, name: str, **labels: str) -> float:
    """A counter of the gateway's, by its name without prefix and suffix; the labels must be all it has."""
    return on.world.composed.gateway.metrics.registry.get_sample_value(f"frontdesk_{name}_total", labels) or 0.0


def crashes(on: Stage) -> float:
    """Exceptions that nobody foresaw, wherever."""
    return Metrics.total(on.world.composed.gateway.metrics.crashes)


def descriptors() -> list[str]:
    """What every open descriptor of this process is, without the one that looks."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            found.append(link.readlink().name.partition(":")[0])
    return sorted(found)


async def place_crowd(on: Stage, scenario: Sequence[Moment], goings: Sequence[HangUpAt]) -> list[PhoneReport]:
    """Place one call for each going, all at once; assert that they left one end each and nothing else.

    Returns the reports in the order of ``goings``.
    """
    before, ended_before = descriptors(), ends_counted(on)
    reports: dict[int, PhoneReport] = {}

    async def place(index: int, going: HangUpAt) -> None:
        reports[index] = await on.world.call(scenario, options=going.options())

    with watched("recovery of") as watch:
        async with trio.open_nursery() as nursery:
            for index, going in enumerate(goings):
                nursery.start_soon(place, index, going)
        with trio.move_on_after(SETTLE_S):
            while watch.of_calls() or ends_counted(on) < ended_before + len(goings):
                await trio.sleep(0.25)
        assert watch.of_calls() == []
        assert [name for name in watch.alive.values() if name.startswith("recovery of")] == []
    assert ends_counted(on) == ended_before + len(goings), "not exactly one end per call"
    await kept_ends(on, list(reports.values()))  # else a record's file may be open at the moment
    after: list[str] = []

    def is_as_before() -> bool:
        # Judged by the very look that is waited for: a thread that keeps a record may have a file open at the next.
        after[:] = descriptors()
        return after == before

    await in_kernel_time(is_as_before)
    left, gone = Counter(after) - Counter(before), Counter(before) - Counter(after)
    assert not left, f"left open: {left}"
    assert not gone, f"open before: {gone}"
    assert on.world.composed.gateway.plane.statistics().members == 0
    assert on.world.composed.switchboard.statistics().calls_now == 0
    return [reports[index] for index in range(len(goings))]


def ends_counted(on: Stage) -> float:
    """Calls that the engine has counted as ended; the store alone would hide a second end of one call."""
    return Metrics.total(on.world.composed.gateway.metrics.calls)


async def kept_ends(on: Stage, reports: Sequence[PhoneReport]) -> dict[str, CallEnd]:
    """The stored end of each of these calls, by CallSid."""
    wanted = {report.call_sid for report in reports}
    ends: dict[str, CallEnd] = {}
    for _ in range(KERNEL_TRIES):
        ends = {end.call_sid: end for end in await on.world.composed.store.calls(TENANT.id) if end.call_sid in wanted}
        if len(ends) == len(wanted):
            break
        await trio.to_thread.run_sync(time.sleep, 0.01)  # written by a thread, which the clock does not wait for
    assert ends.keys() == wanted
    return ends


async def in_kernel_time(what: Callable[[], bool]) -> None:
    """Give the kernel (not the clock) a while to let this come true."""
    for _ in range(KERNEL_TRIES):
        if what():
            return
        await trio.to_thread.run_sync(time.sleep, 0.01)


def slow_down(
    diary: MemoryDiary, monkeypatch: pytest.MonkeyPatch, *, seconds: float
) -> tuple[list[float], list[float]]:
    """Let every booking take so long from now on; returns when each began and when each was done."""
    begun: list[float] = []
    done: list[float] = []
    book = diary.book

    async def slowly(appointment: Appointment) -> Booking:
        begun.append(trio.current_time())
        await trio.sleep(seconds)
        booked = await book(appointment)
        done.append(trio.current_time())
        return booked

    monkeypatch.setattr(diary, "book", slowly)
    return begun, done
