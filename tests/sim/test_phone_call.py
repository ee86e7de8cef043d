"""Whole calls in virtual time against a tiny server: what the server gets, and what the report says."""

import pytest
import trio

from engine.sim.caller import CallOptions, place_call
from engine.sim.carrier_call import CarrierOptions, HowEnded
from engine.sim.carrier_web import Signing
from engine.sim.network import Network
from engine.sim.phone import PhoneOptions
from engine.sim.recognise import find_clip
from engine.sim.report import PhoneReport
from engine.sim.scenario import Ending, HangUp, Listen, Moment, Press, Say, SayOver, StayOn
from tests.sim.phone_world import ACCOUNT, Stream, World, clip, tone, world

GREETING = tone(600, 500.0)
ANSWER = tone(800, 700.0)


async def call(here: World, scenario: list[Moment], **more: object) -> PhoneReport:
    with trio.fail_after(600):
        return await place_call(
            line=ACCOUNT,
            caller="+15005550006",
            called="+15005550001",
            scenario=scenario,
            plane=here.plane,
            http=here.http,
            **more,  # type: ignore[arg-type]
        )


async def greet_and_answer(stream: Stream) -> None:
    """Greets, waits for 300 ms of silence behind the caller's tone, answers after 200 ms more."""
    await trio.sleep(0.5)
    await stream.play(GREETING, "u1:end")
    await stream.until(lambda: stream.caller.rstrip(b"\xff") != b"" and stream.caller.endswith(b"\xff" * 2400))
    await trio.sleep(0.2)
    await stream.play(ANSWER, "u2:end")
    await trio.sleep_forever()


async def quiet(stream: Stream) -> None:
    await trio.sleep_forever()


async def test_a_call_is_measured_at_the_callers_ear(autojump_clock: trio.testing.MockClock) -> None:
    async with world(greet_and_answer) as here:
        report = await call(here, [Listen(), Say(clip(500, lead_ms=100, tail_ms=100)), Listen(), HangUp()])
    assert report.how_ended is HowEnded.CALLER_HUNG_UP
    assert report.setup_ms == pytest.approx(500, abs=10)
    # 300 ms of silence to be seen, 200 ms of thinking, and a few for ticks.
    (response,) = report.responses
    assert response == pytest.approx(505, abs=12)
    assert [round(end - start) for start, end in report.agent_sound] == pytest.approx([600, 800], abs=2)
    assert report.underruns == 0
    assert report.protocol_faults == ()
    assert report.unanswered == 0
    assert report.longest_silence_ms == pytest.approx(response, abs=40)
    assert find_clip(report.right, ANSWER) == pytest.approx(report.agent_sound[1][0], abs=2)
    assert find_clip(report.left, tone(500, 300.0)) == pytest.approx(report.said[0].voiced_at, abs=1)


async def test_the_stream_is_numbered_and_paced_as_the_carriers(autojump_clock: trio.testing.MockClock) -> None:
    async with world(greet_and_answer) as here:
        await call(here, [Listen(), Press("5"), HangUp()])
        (stream,) = here.streams
    assert stream.messages[0] == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert stream.start["customParameters"] == {"token": "t0"}
    assert stream.start["mediaFormat"] == {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
    numbered = stream.messages[1:]
    assert [message["sequenceNumber"] for message in numbered] == [str(n + 1) for n in range(len(numbered))]
    media = [message["media"] for message in stream.of("media")]
    assert [body["chunk"] for body in media] == [str(n + 1) for n in range(len(media))]
    first = int(media[0]["timestamp"])
    assert 155 <= first <= 175
    assert [int(body["timestamp"]) - first for body in media] == [20 * n for n in range(len(media))]
    assert {body["track"] for body in media} == {"inbound"}
    assert [message["dtmf"] for message in stream.of("dtmf")] == [{"track": "inbound_track", "digit": "5"}]
    arrivals = [at for at, message in zip(stream.arrivals, stream.messages, strict=True) if message["event"] == "media"]
    assert arrivals[-1] - arrivals[0] == pytest.approx(0.02 * (len(arrivals) - 1), abs=0.011)
    assert stream.messages[-1]["event"] == "stop"
    assert stream.closed == 1000


async def test_marks_come_back_when_they_were_reached(autojump_clock: trio.testing.MockClock) -> None:
    async def script(stream: Stream) -> None:
        await stream.play(tone(300), "u1:1")
        await stream.play(tone(300), "u1:end")
        await stream.until(lambda: len(stream.marks) == 2)
        await trio.sleep_forever()

    async with world(script) as here:
        await call(here, [Listen(), HangUp()])
        (stream,) = here.streams
    assert [name for name, _ in stream.marks] == ["u1:1", "u1:end"]
    assert stream.marks[1][1] - stream.marks[0][1] == pytest.approx(0.3, abs=0.03)


async def test_barge_in_is_measured_to_the_silence_at_the_head(autojump_clock: trio.testing.MockClock) -> None:
    async def script(stream: Stream) -> None:
        await stream.play(tone(10_000), "u1:end")
        await stream.until(lambda: stream.caller.rstrip(b"\xff") != b"")
        await trio.sleep(0.1)
        await stream.send({"event": "clear"})
        await stream.until(lambda: stream.marks != [])
        await trio.sleep_forever()

    async with world(script) as here:
        report = await call(here, [SayOver(clip(600), after_ms=1000), HangUp()])
        (stream,) = here.streams
    (barge_in,) = report.barge_in_ms
    assert barge_in == pytest.approx(120, abs=30)  # the frame's own 20 ms, 100 ms of the server, ticks
    assert report.said[0].voiced_at - report.agent_sound[0][0] == pytest.approx(1000, abs=45)
    assert [name for name, _ in stream.marks] == ["u1:end"], "a cleared mark comes back too"


async def test_without_an_agent_speaking_it_is_no_barge_in(autojump_clock: trio.testing.MockClock) -> None:
    async with world(quiet) as here:
        report = await call(here, [SayOver(clip(200), after_ms=100, timeout_s=2), HangUp()])
    assert report.barge_in_ms == ()
    assert report.setup_ms is None
    assert report.unanswered == 1


async def test_a_silent_agent_is_waited_for_and_counted(autojump_clock: trio.testing.MockClock) -> None:
    async with world(quiet) as here:
        report = await call(here, [Listen(timeout_s=4), HangUp()])
    assert report.given_up == 1
    assert report.longest_silence_ms == pytest.approx(4000, abs=30)


async def test_a_queue_run_dry_in_mid_utterance_is_an_underrun(autojump_clock: trio.testing.MockClock) -> None:
    async def script(stream: Stream) -> None:
        await stream.play(tone(200), "u1:1")
        await trio.sleep(0.3)
        await stream.play(tone(200), "u1:end")
        await trio.sleep(1)
        await stream.play(tone(200), "u2:end")
        await trio.sleep_forever()

    async with world(script) as here:
        report = await call(here, [Listen(quiet_ms=1500), HangUp()])
    (gap,) = report.gaps_ms
    assert gap == pytest.approx(100, abs=10)
    assert report.lateness is not None
    assert report.lateness.max == gap


BROKEN: list[tuple[dict[str, object], int]] = [
    ({"event": "clear", "reason": "barge-in"}, 31951),
    ({"event": "media", "media": {"payload": "////", "track": "outbound"}}, 31951),
    ({"event": "mark"}, 31951),
    ({"event": "hangup"}, 31951),
    ({"event": "clear", "streamSid": "MZ0"}, 31951),
    ({"event": "media", "media": {"payload": "not base64"}}, 31951),
    ({"event": "media", "media": {"payload": "AAAA" * 40}}, 0),
    ({"event": "media", "media": {"payload": "UklGRgAA"}}, 0),
]


@pytest.mark.parametrize(("message", "code"), BROKEN)
async def test_a_broken_message_is_reported_and_survived(
    autojump_clock: trio.testing.MockClock, message: dict[str, object], code: int
) -> None:
    async def script(stream: Stream) -> None:
        await stream.send(message)
        await stream.play(tone(200), "u1:end")
        await trio.sleep_forever()

    async with world(script) as here:
        report = await call(here, [Listen(), HangUp()])
    assert [fault.code for fault in report.protocol_faults] == [code]
    assert report.agent_sound, "the stream went on"


async def test_a_binary_message_is_reported(autojump_clock: trio.testing.MockClock) -> None:
    async def script(stream: Stream) -> None:
        await stream.ws.send_message(b"\xff\xff")
        await trio.sleep_forever()

    async with world(script) as here:
        report = await call(here, [StayOn(1)])
    assert [fault.code for fault in report.protocol_faults] == [31950]


@pytest.mark.parametrize(
    ("ending", "stopped", "code"),
    [
        (Ending.STOP_THEN_CLOSE, True, 1000),
        (Ending.CLOSE_ONLY, False, 1000),
        (Ending.RESET, False, 1006),
    ],
)
async def test_each_ending_looks_as_it_should(
    autojump_clock: trio.testing.MockClock, ending: Ending, stopped: bool, code: int
) -> None:
    async with world(greet_and_answer) as here:
        report = await call(here, [Listen(), HangUp()], options=CallOptions(carrier=CarrierOptions(ending=ending)))
        (stream,) = here.streams
        await stream.until(lambda: stream.closed is not None)
    assert report.how_ended is HowEnded.CALLER_HUNG_UP
    assert bool(stream.of("stop")) is stopped
    assert stream.closed == code


@pytest.mark.parametrize(("ending", "patience_s"), [(Ending.STOP_ONLY, 10), (Ending.HALF_OPEN, 60)])
async def test_a_stream_left_open_is_let_go_in_the_end(
    autojump_clock: trio.testing.MockClock, ending: Ending, patience_s: float
) -> None:
    async with world(greet_and_answer) as here:
        await call(here, [Listen(), HangUp()], options=CallOptions(carrier=CarrierOptions(ending=ending)))
        (stream,) = here.streams
        await stream.until(lambda: stream.closed is not None)
    assert stream.ended_at is not None
    assert stream.ended_at - stream.arrivals[-1] == pytest.approx(patience_s, abs=0.1)
    assert bool(stream.of("stop")) is (ending is Ending.STOP_ONLY)


async def test_the_same_seed_gives_the_same_call(autojump_clock: trio.testing.MockClock) -> None:
    seen: list[list[tuple[float, str]]] = []
    for _ in range(2):
        async with world(greet_and_answer) as here:
            network = Network(7, delay_ms=40, jitter_ms=30, hold_probability=0.03, loss_probability=0.02)
            await call(here, [Listen(), Say(clip(500)), Listen(), HangUp()], network=network)
            (stream,) = here.streams
        media = [
            (round(at - stream.arrivals[0], 2), message["media"]["chunk"])
            for at, message in zip(stream.arrivals, stream.messages, strict=True)
            if message["event"] == "media"
        ]
        seen.append(media)
    assert seen[0] == seen[1]
    chunks = [int(chunk) for _, chunk in seen[0]]
    assert len(chunks) < chunks[-1], "some were lost"
    gaps = [later - sooner for (sooner, _), (later, _) in zip(seen[0], seen[0][1:], strict=False)]
    assert max(gaps) > 0.05
    assert min(gaps) == 0, "held frames leave in one burst"


async def test_odd_chunks_carry_the_same_voice(autojump_clock: trio.testing.MockClock) -> None:
    options = CallOptions(carrier=CarrierOptions(phone=PhoneOptions(chunk_bytes=(1, 159, 400, 33))))
    async with world(greet_and_answer) as here:
        report = await call(here, [Listen(), Say(clip(500)), Listen(), HangUp()], options=options)
        (stream,) = here.streams
    assert find_clip(bytes(stream.caller), clip(500).mulaw) is not None
    assert len(report.responses) == 1


@pytest.mark.parametrize("signing", [Signing.BAD, Signing.NONE])
async def test_a_refused_handshake_ends_the_call(autojump_clock: trio.testing.MockClock, signing: Signing) -> None:
    async with world(quiet) as here:
        options = CallOptions(carrier=CarrierOptions(handshake=signing))
        report = await call(here, [StayOn(5)], options=options)
        assert here.streams == []
    assert report.how_ended is HowEnded.TWIML_ENDED
    assert [entry.code for entry in report.debugger] == [31920]
    assert report.streams == 0


async def test_the_slash_form_of_the_signature_is_sent(autojump_clock: trio.testing.MockClock) -> None:
    async with world(quiet) as here:
        options = CallOptions(carrier=CarrierOptions(handshake=Signing.SLASH))
        report = await call(here, [StayOn(1)], options=options)
    assert report.streams == 1


async def test_a_bad_webhook_signature_gets_no_call(autojump_clock: trio.testing.MockClock) -> None:
    async with world(quiet) as here:
        report = await call(here, [StayOn(5)], options=CallOptions(webhook=Signing.BAD))
    assert report.how_ended is HowEnded.APPLICATION_ERROR
    assert not report.answered


async def test_a_slow_reader_slows_the_server_only(autojump_clock: trio.testing.MockClock) -> None:
    async def script(stream: Stream) -> None:
        for part in range(60):
            await stream.play(tone(1000), f"u1:{part}")
        await trio.sleep_forever()

    options = CallOptions(carrier=CarrierOptions(phone=PhoneOptions(slow_reader_bytes_per_s=20_000)))
    async with world(script) as here:
        report = await call(here, [StayOn(10)], options=options)
    # 20 kB/s of base64 is about 1.9 s of sound per second: the lead cannot grow as it would.
    assert report.lateness is not None
    assert -15_000 < min(report.lateness_ms) < -5_000
