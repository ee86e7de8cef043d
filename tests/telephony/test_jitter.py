"""The caller-audio gate: what of the caller's sound goes to the model, when, and in which order with the events."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.audio.speech import SpeechDetector
from engine.audio.windows import WindowBuilder
from engine.messages import CallerAudio, FloorEvent, SpeechEnded, SpeechStarted, Uplink
from engine.metrics import Metrics
from engine.telephony.jitter import CallerAudioGate, run_jitter
from tests.telephony.carrier import open_line
from tests.telephony.parts import SILENCE, LevelVad, loud

T = TypeVar("T")

PREROLL_MS, WINDOW_MS, ENDPOINTING_MS = 400, 100, 500


@dataclass
class Rig:
    """A gate with channels that a test reads; frames are fed 20 ms apart."""

    gate: CallerAudioGate
    inbox: trio.MemoryReceiveChannel[FloorEvent]
    uplink_send: trio.MemorySendChannel[Uplink]
    uplink: trio.MemoryReceiveChannel[Uplink]
    metrics: Metrics
    at_ms: int = 0
    agent_sounds: bool = False
    hushed: list[str] = field(default_factory=list)

    def pause(self, now: float) -> None:
        self.hushed.append("pause")

    def hold(self, now: float) -> None:
        self.hushed.append("hold")

    def resume(self, now: float) -> None:
        self.hushed.append("resume")

    def hear(self, *frames: bytes) -> None:
        for frame in frames:
            self.gate.insert(self.at_ms, frame, self.at_ms / 1000)
            self.at_ms += 20
            self.gate.pump(self.at_ms / 1000)

    def events(self) -> list[FloorEvent]:
        return drained(self.inbox)

    def windows(self) -> list[bytes]:
        sent = drained(self.uplink)
        assert all(isinstance(one, CallerAudio) for one in sent)
        return [one.mulaw for one in sent if isinstance(one, CallerAudio)]


def drained(channel: trio.MemoryReceiveChannel[T]) -> list[T]:
    found: list[T] = []
    while True:
        try:
            found.append(channel.receive_nowait())
        except (trio.WouldBlock, trio.EndOfChannel):
            return found


@contextmanager
def gated(*, uplink_queued: int = 1000, inbox_queued: int = 100, keep_ms: int | None = None) -> Iterator[Rig]:
    inbox_send, inbox = trio.open_memory_channel[FloorEvent](inbox_queued)
    uplink_send, uplink = trio.open_memory_channel[Uplink](uplink_queued)
    metrics = Metrics()
    gate = CallerAudioGate(
        inbox=inbox_send,
        vad=LevelVad(),
        detector=SpeechDetector(endpointing_ms=ENDPOINTING_MS, barge_in_ms=480, suspect_ms=60),
        windows=WindowBuilder(window_ms=WINDOW_MS, preroll_ms=PREROLL_MS, keep_ms=keep_ms),
        agent_sounding=lambda: rig.agent_sounds,
        metrics=metrics,
    )
    rig = Rig(gate, inbox, uplink_send, uplink, metrics)
    with inbox_send, inbox, uplink_send, uplink:
        gate.route_to(uplink_send)
        yield rig


async def test_nothing_of_the_caller_leaves_a_closed_gate() -> None:
    with gated() as rig:
        rig.hear(*[loud(n) for n in range(50)])
        assert rig.windows() == []
        assert [type(event) for event in rig.events()] == [SpeechStarted]


async def test_the_preroll_goes_first_and_no_byte_is_lost_or_doubled() -> None:
    frames = [loud(n) for n in range(60)]
    with gated() as rig:
        rig.hear(*frames[:30])
        rig.gate.open()
        rig.hear(*frames[30:])
        preroll, *windows = rig.windows()
        assert preroll == b"".join(frames[30 - PREROLL_MS // 20 : 30])
        assert b"".join(windows) == b"".join(frames[30:])
        assert {len(window) for window in windows} == {8 * WINDOW_MS}


async def test_opening_twice_sends_nothing_twice() -> None:
    with gated() as rig:
        rig.hear(loud(1), loud(2))
        rig.gate.open()
        rig.gate.open()
        assert rig.windows() == [loud(1) + loud(2)]


async def test_the_model_has_all_there_is_before_anybody_hears_that_the_caller_is_done() -> None:
    """The rest of a window is flushed with ``SpeechEnded``, so a commit can never overtake the caller's last word."""
    with gated() as rig:
        rig.gate.open()
        rig.hear(*[SILENCE] * 10, *[loud(n) for n in range(8)])
        heard, ended = b"".join(rig.windows()), None
        while ended is None:
            rig.hear(SILENCE)
            heard += b"".join(rig.windows())
            ended = next((event for event in rig.events() if isinstance(event, SpeechEnded)), None)
        assert rig.at_ms % WINDOW_MS, "the endpoint fell on the edge of a window: nothing was flushed"
        assert len(heard) == 8 * rig.at_ms
        assert ended.speech_ms == 160
        assert ended.decided_at - ended.at == pytest.approx(ENDPOINTING_MS / 1000)


async def test_a_closed_gate_keeps_the_preroll_of_the_next_turn() -> None:
    with gated() as rig:
        rig.gate.open()
        rig.hear(*[loud(n) for n in range(7)])
        rig.gate.close()
        assert len(rig.windows()) == 1
        rig.hear(loud(7))
        rig.gate.open()
        assert rig.windows() == [b"".join(loud(n) for n in (5, 6, 7))]


async def test_a_new_route_starts_with_a_closed_gate_and_an_old_one_gets_nothing_more() -> None:
    with gated() as rig:
        rig.gate.open()
        rig.hear(*[loud(n) for n in range(5)])
        new_send, new = trio.open_memory_channel[Uplink](10)
        with new_send, new:
            rig.gate.route_to(new_send)
            rig.hear(*[loud(n) for n in range(5, 10)])
            assert len(rig.windows()) == 1
            rig.gate.open()
            rig.hear(*[loud(n) for n in range(10, 15)])
            assert rig.windows() == []
            assert [len(one.mulaw) for one in drained(new) if isinstance(one, CallerAudio)] == [800, 800]
            rig.gate.route_to(None)
            rig.gate.open()
            rig.hear(*[loud(n) for n in range(15, 25)])
            assert drained(new) == []
        assert rig.gate.refused_windows == 0


async def test_windows_that_a_stalled_model_does_not_take_are_refused_and_counted() -> None:
    with gated(uplink_queued=2) as rig:
        rig.hear(loud(0))
        rig.gate.open()
        rig.hear(*[loud(n) for n in range(20)])
        assert len(rig.windows()) == 2
        assert rig.gate.refused_windows == 3
        assert rig.metrics.dropped_messages.labels("uplink")._value.get() == 3


async def test_a_model_that_has_just_gone_costs_its_windows_and_nothing_else() -> None:
    with gated() as rig:
        rig.gate.open()
        rig.uplink.close()
        rig.hear(*[loud(n) for n in range(5)])
        rig.uplink_send.close()
        rig.hear(*[loud(n) for n in range(5)])
        assert rig.gate.refused_windows == 2
        assert [type(event) for event in rig.events()] == [SpeechStarted]


async def test_events_that_nobody_takes_are_counted() -> None:
    with gated(inbox_queued=0) as rig:
        rig.hear(*[loud(n) for n in range(5)])
        assert rig.metrics.dropped_messages.labels("inbox")._value.get() == 1


async def test_it_takes_more_to_interrupt_the_agent_than_to_begin() -> None:
    with gated() as rig:
        rig.agent_sounds = True
        rig.hear(*[loud(n) for n in range(20)])
        assert rig.events() == []
        rig.hear(*[loud(n) for n in range(6)])
        assert [type(event) for event in rig.events()] == [SpeechStarted]


async def test_the_actor_feeds_the_line_into_the_gate_and_counts_what_became_of_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    with gated() as rig:
        async with open_line() as line, trio.open_nursery() as nursery:
            await line.started()
            line.phone.media(0, loud(0))  # early: before the actor stands
            await trio.sleep(0.1)

            async def actor() -> None:
                await run_jitter(line=line.line, gate=rig.gate, metrics=rig.metrics)

            nursery.start_soon(actor)
            await trio.testing.wait_all_tasks_blocked()
            rig.gate.open()
            for number in range(1, 11):
                line.phone.media(20 * number, loud(number))
                await trio.sleep(0.02)
            await trio.sleep(0.1)
            nursery.cancel_scope.cancel()
        sound = b"".join(rig.windows())
        assert sound.startswith(b"".join(loud(n) for n in range(11))[: len(sound)])
        assert len(sound) >= 1600
        assert rig.metrics.frames_in.labels("placed")._value.get() == 11


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["open", "close", "loud", "quiet"]), st.integers(1, 40)), max_size=25))
def test_whatever_the_floor_does_the_model_hears_each_byte_at_most_once_in_order(
    steps: list[tuple[str, int]],
) -> None:
    """And of an open gate every byte, but for a rest below one window."""
    with gated() as rig:
        spoken = bytearray()
        at = 0  # how much of it has been sent, or left out while the gate was closed
        is_open = False
        for what, count in steps:
            if what == "close":
                rig.gate.close()
                is_open = False
            elif what == "open":
                rig.gate.open()
                preroll = b"".join(rig.windows())
                assert not (preroll and is_open)
                assert len(preroll) <= 8 * PREROLL_MS
                if not is_open:
                    assert len(spoken) - len(preroll) >= at
                    at = len(spoken) - len(preroll)
                    assert spoken[at:] == preroll
                    at = len(spoken)
                is_open = True
            for _ in range(count if what in {"loud", "quiet"} else 0):
                frame = loud(len(spoken) // 160) if what == "loud" else SILENCE
                spoken += frame
                rig.hear(frame)
                sent = b"".join(rig.windows())
                assert is_open or not sent
                assert spoken[at : at + len(sent)] == sent
                at += len(sent)
            assert not is_open or len(spoken) - at < 8 * WINDOW_MS
