"""A worker dies, or goes, with callers on the line: another one takes their calls over, and goes on with them."""

import itertools

import pytest
import trio
import trio.testing

from engine.call.record import CallRecord
from engine.call.sweep import LEFT_AFTER_S, LOOK_EVERY_S, WELL_FOR_S
from engine.sim.carrier_call import HowEnded
from engine.sim.recognise import find_clip
from engine.sim.report import PhoneReport
from engine.sim.scenario import HangUp, Listen, Say, StayOn, Wait
from engine.voice.cache import VoiceCache
from tests.adversity.crowd import slow_down
from tests.adversity.two_workers import Pair, two_workers
from tests.calls import BOOKING, PARKING, TENANT, WHITENING

Clock = trio.testing.MockClock
SILENCE_MS = 3000  # from the carrier's close to our first sound, whatever the worker was doing when it died


def silence_ms(report: PhoneReport) -> float:
    """From the end of the first stream to the first sound of the next."""
    (_, closed), *_ = report.stream_spans
    return next(start for start, _ in report.agent_sound if start >= closed) - closed


def heard_the_apology(pair: Pair, report: PhoneReport, worker: str = "b") -> bool:
    prompts = pair.workers[worker].composed.services.prompts.for_tenant(TENANT)
    return find_clip(report.right, prompts.apology, after_ms=report.stream_spans[1][0]) is not None


async def settled(pair: Pair) -> None:
    """Whatever follows a call has been done."""
    await trio.sleep(8)
    assert pair.shared.live._rows, "the call was never kept"
    assert all(row.snapshot is None for row in pair.shared.live._rows.values()), pair.shared.live._rows
    assert all(worker.crashes() == 0 for worker in pair.workers.values())


async def test_another_worker_goes_on_with_the_calls_of_one_that_was_killed(
    speech: VoiceCache, autojump_clock: Clock
) -> None:
    async with two_workers(speech) as pair:

        async def kill_in_the_answer() -> None:
            await pair.wait_moment("response", 2)
            await trio.sleep(3.5)
            pair.send_all_to("b")
            pair.workers["a"].kill()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(kill_in_the_answer)
            report = await pair.call(
                [
                    Listen(),
                    Say(pair.said[PARKING]),
                    Wait(6.0),
                    Listen(quiet_ms=1500),
                    Say(pair.said[WHITENING]),
                    Listen(),
                    HangUp(),
                ]
            )
        await settled(pair)
        (end,) = await pair.ends()
        assert [worker.counted() for worker in pair.workers.values()] == [0, 1]
        assert heard_the_apology(pair, report)
    assert report.streams == 2
    assert 0 < silence_ms(report) <= SILENCE_MS
    assert report.unanswered == 0
    # One transcript, from the greeting on; of the answer that died with its worker what was heard, roughly.
    assert end.outcome_reason == "caller_hung_up"
    lines = [(line["role"], line["text"]) for line in end.document["transcript"]]
    assert [text for role, text in lines if role == "caller"] == [PARKING, WHITENING]
    roles = [role for role, _ in lines]
    assert roles == ["agent", "caller", "agent", "script", "agent", "caller", "agent"]
    before, again = lines[2][1], lines[4][1]
    assert again.startswith(before)
    assert 0.1 < len(before) / len(again) < 0.9
    line_attempts = [one["facts"]["attempt"] for one in end.document["timeline"] if one["kind"] == "line"]
    assert line_attempts == [0, 1]
    # The conversation at the model too, and the caller is known to a worker that was never rung.
    first, second = pair.model.sessions
    assert (first.resumed, second.resumed) == (False, True)
    assert end.document["caller"] == "+15550100555"
    assert end.document["duration_s"] == pytest.approx(report.duration_ms / 1000, abs=2.0)


async def test_a_booking_in_flight_when_its_worker_is_killed_is_made_once(
    speech: VoiceCache, autojump_clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_workers(speech) as pair:
        begun, _ = slow_down(pair.shared.diary, monkeypatch, seconds=2.0)

        async def kill_in_the_booking() -> None:
            while not begun:
                await trio.sleep(0.02)
            await trio.sleep(0.5)
            pair.send_all_to("b")
            pair.workers["a"].kill()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(kill_in_the_booking)
            report = await pair.call([Listen(), Say(pair.said[BOOKING]), Wait(5.0), StayOn(40.0)])
        await settled(pair)
        (end,) = await pair.ends()
        assert len(pair.shared.diary._slots) == 1, "booked once, whoever did it"
        assert report.streams == 2
    assert 0 < silence_ms(report) <= SILENCE_MS
    assert end.document["transcript"][1]["text"] == BOOKING


async def test_a_stream_may_reach_another_worker_than_its_webhook(speech: VoiceCache, autojump_clock: Clock) -> None:
    """As with workers that share a socket: every request of a call reaches another one."""
    async with two_workers(speech) as pair:
        turns = itertools.cycle("ab")
        pair.route = lambda _: next(turns)
        reports = [await pair.call([Listen(), Say(pair.said[PARKING]), Listen(), HangUp()]) for _ in range(3)]
        await settled(pair)
        ends = await pair.ends()
        assert sum(worker.counted() for worker in pair.workers.values()) == 3
    assert [report.streams for report in reports] == [1, 1, 1]
    assert [end.outcome_reason for end in ends] == ["caller_hung_up"] * 3
    assert all(end.document["caller"] == "+15550100555" for end in ends)


async def test_a_worker_that_goes_moves_its_calls_without_losing_a_word(
    speech: VoiceCache, autojump_clock: Clock
) -> None:
    left: list[CallRecord] = []
    async with two_workers(speech) as pair:

        def report_sid() -> str:
            (sid,) = pair.workers["a"].board._live
            return str(sid)

        async def move() -> None:
            await pair.wait_moment("response", 2)
            await trio.sleep(2.0)
            pair.send_all_to("b")
            pair.workers["a"].board.begin_drain()
            left.append(pair.workers["a"].board._live[report_sid()].record)
            pair.workers["a"].board.move_all()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(move)
            report = await pair.call([Listen(), Say(pair.said[PARKING]), Wait(5.0), Listen(quiet_ms=1500), HangUp()])
        await settled(pair)
        (end,) = await pair.ends()
        assert [worker.counted() for worker in pair.workers.values()] == [0, 1]
        assert heard_the_apology(pair, report)
    assert report.streams == 2
    assert 0 < silence_ms(report) <= SILENCE_MS
    # What was heard of the answer is known, not guessed.
    answer = left[0].utterances[2]
    assert 0.05 < answer.heard_share < 0.9
    assert end.document["transcript"][2] == {"role": "agent", "text": answer.heard, "turn": 1, "cut": True}


async def test_a_call_that_nobody_brings_back_is_ended_by_the_worker_that_is_left(
    speech: VoiceCache, autojump_clock: Clock
) -> None:
    async with two_workers(speech) as pair:

        async def kill() -> None:
            await pair.wait_moment("response", 2)
            await trio.sleep(2.0)
            pair.send_all_to("a")
            pair.workers["a"].kill()  # and whatever the carrier asks, nobody answers: both URLs are dead

        async with trio.open_nursery() as nursery:
            nursery.start_soon(kill)
            report = await pair.call([Listen(), Say(pair.said[PARKING]), Wait(4.0), Listen(), HangUp()])
        assert report.how_ended is not HowEnded.CALLER_HUNG_UP
        assert await pair.ends() == []
        await trio.sleep(LEFT_AFTER_S + WELL_FOR_S + 3 * LOOK_EVERY_S)
        (end,) = await pair.ends()
        await settled(pair)
        assert [worker.counted() for worker in pair.workers.values()] == [0, 1]
        assert pair.shared.ledger.statistics().calls == 0
    assert (end.outcome_class, end.outcome_reason) == ("indeterminate", "line_broken")
    assert [line["text"] for line in end.document["transcript"] if line["role"] == "caller"] == [PARKING]
