"""Bad ways between the carrier and us: survived by the caller on them, and no affair of anybody else's."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing

from engine.sim.caller import CallOptions
from engine.sim.carrier_call import CarrierOptions, HowEnded
from engine.sim.network import Hole, Network, NullNetwork, Route
from engine.sim.phone import PhoneOptions
from engine.sim.scenario import HangUp, Listen, Moment, Say, Wait
from engine.sim.world import STATUS_URL
from engine.voice.cache import VoiceCache
from tests.adversity.beside import beside_a_healthy_call
from tests.adversity.raw_stream import new_sid, post, raw_stream, token_in
from tests.calls import PARKING, stage

USUAL = CallOptions(status_url=STATUS_URL)
BAD_WAYS: dict[str, tuple[Callable[[], Route], PhoneOptions]] = {
    "odd sizes": (NullNetwork, PhoneOptions(chunk_bytes=(1, 7, 160, 333, 8, 801))),
    "bursts of 250 ms": (lambda: Network(5, delay_ms=40, jitter_ms=60, hold_probability=0.08), PhoneOptions()),
    "losses": (lambda: Network(6, jitter_ms=20, loss_probability=0.03), PhoneOptions()),
    "5 s of nothing, lost": (lambda: Hole(trio.current_time() + 1.0, 5.0, kept=False), PhoneOptions()),
    "5 s of nothing, held": (lambda: Hole(trio.current_time() + 1.0, 5.0, kept=True), PhoneOptions()),
}


@pytest.mark.parametrize("what", BAD_WAYS)
async def test_a_bad_way_to_one_caller_is_survived_and_no_others_affair(
    what: str, tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech) as on:
        route, phone = BAD_WAYS[what]
        scenario: list[Moment] = [Listen(), Say(on.said[PARKING]), Listen(), HangUp()]

        async def badly_connected() -> None:
            options = replace(USUAL, carrier=CarrierOptions(phone=phone))
            report = await on.world.call(scenario, network=route(), options=options)
            end = await on.end_of(report.call_sid)
            assert report.how_ended is HowEnded.CALLER_HUNG_UP
            assert (report.streams, report.unanswered, report.given_up) == (1, 0, 0)
            transcript = [line["text"] for line in end.document["transcript"]]
            assert PARKING in transcript
            assert any("Parking is free" in text for text in transcript)

        await beside_a_healthy_call(on, badly_connected)


async def test_a_carrier_that_reads_too_slowly_holds_nobody_up(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech) as on:

        async def slow_reader() -> None:
            carrier = CarrierOptions(phone=PhoneOptions(slow_reader_bytes_per_s=2_000))
            report = await on.world.call([Wait(14), HangUp()], options=replace(USUAL, carrier=carrier))
            assert 0 < sum(end - start for start, end in report.agent_sound) < 3_000, "it was really slow"
            assert (await on.end_of(report.call_sid)).outcome_reason == "caller_hung_up"

        await beside_a_healthy_call(on, slow_reader)


async def test_timestamps_that_jump_cost_nobody_a_word(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    async with stage(tmp_path, speech) as on:

        async def jumping() -> None:
            call = new_sid("CA")
            async with raw_stream(on, call, started_with=token_in(await post(on, "voice", call))) as stream:
                await stream.stay_silent(6.5)
                clip = on.said[PARKING].mulaw
                third = len(clip) // 480 * 160
                for part, jump_ms in (
                    (clip[:third], 0),
                    (clip[third : 2 * third], 3_600_000),
                    (clip[2 * third :], -1_800_000),
                ):
                    stream.timestamp_ms += jump_ms
                    await stream.say(part)
                await stream.stay_silent(4.0)
                stream.text(stream.wire.stop())
                await stream.closed.wait()
            await post(on, "status", call, CallStatus="completed")
            transcript = [line["text"] for line in (await on.end_of(call)).document["transcript"]]
            assert PARKING in transcript
            assert any("Parking is free" in text for text in transcript)

        await beside_a_healthy_call(on, jumping)
