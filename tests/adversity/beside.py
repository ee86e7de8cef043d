"""A healthy call beside whatever is bad: the check that one caller's trouble is no other's."""

from collections.abc import Awaitable, Callable

import trio

from engine.sim.carrier_call import HowEnded
from engine.sim.scenario import HangUp, Listen, Say
from tests.adversity.crowd import crashes
from tests.calls import PARKING, Stage


async def beside_a_healthy_call(on: Stage, bad: Callable[[], Awaitable[object]]) -> None:
    """Run ``bad`` while somebody else is on the line, whose call must be as good as any."""
    reports = []

    async def healthy() -> None:
        reports.append(await on.world.call([Listen(), Say(on.said[PARKING]), Listen(), HangUp()]))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(healthy)
        nursery.start_soon(bad)
    (report,) = reports
    assert report.gaps_ms == ()
    assert (report.unanswered, report.given_up, report.protocol_fault_count) == (0, 0, 0)
    assert max(report.responses) < 1500
    assert report.how_ended is HowEnded.CALLER_HUNG_UP
    transcript = (await on.end_of(report.call_sid)).document["transcript"]
    assert any("Parking is free" in line["text"] for line in transcript)
    assert crashes(on) == 0
