"""Egress over a real line: what is sent when, what is told, and what is known of an utterance that was cut."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import trio
import trio.testing

from engine.audio.pacer import CutReport, Pacer
from engine.audio.start import LONGEST_S
from engine.messages import (
    Cut,
    CutPlayout,
    EndUtterance,
    FloorEvent,
    PlayAudio,
    PlayoutCommand,
    UtteranceCleared,
    UtterancePlayed,
)
from engine.telephony.egress import Playout, run_egress
from engine.telephony.plane import FRAME_S
from tests.telephony.carrier import Player, Rig, open_line

Clock = trio.testing.MockClock
LEAD_MS = 400


def sound(ms: int, byte: int = 1) -> bytes:
    return bytes([byte]) * (8 * ms)


@dataclass
class Speaking:
    """A line with an egress; the carrier plays at 1x when told to ``play``."""

    rig: Rig
    playout: Playout
    commands: trio.MemorySendChannel[PlayoutCommand]
    inbox: trio.MemoryReceiveChannel[FloorEvent]
    ended: trio.Event
    player: Player
    cuts: list[CutReport]

    async def say(self, *commands: PlayoutCommand) -> None:
        for command in commands:
            await self.commands.send(command)
        await trio.testing.wait_all_tasks_blocked()

    async def play(self, seconds: float) -> None:
        """Let the carrier play for so long."""
        until = trio.current_time() + seconds
        while trio.current_time() < until:
            await trio.sleep(0.02)
            self.player.play(trio.current_time())

    async def told(self) -> list[FloorEvent]:
        await trio.testing.wait_all_tasks_blocked()
        events = []
        while self.inbox.statistics().current_buffer_used:
            events.append(self.inbox.receive_nowait())
        return events


@asynccontextmanager
async def speaking(*, inbox_queued: int = 50, late: bool = False) -> AsyncIterator[Speaking]:
    commands_send, commands = trio.open_memory_channel[PlayoutCommand](64)
    inbox_send, inbox = trio.open_memory_channel[FloorEvent](inbox_queued)
    cuts: list[CutReport] = []
    async with open_line() as rig, trio.open_nursery() as nursery:
        await rig.started()
        playout = Playout(
            pacer=Pacer(lead_ms=LEAD_MS),
            inbox=inbox_send,
            on_cut=cuts.append,
            metrics=rig.metrics,
            is_late=lambda: late,
        )
        ended = trio.Event()

        async def egress() -> None:
            try:
                await run_egress(line=rig.line, playout=playout, commands=commands, metrics=rig.metrics)
            finally:
                ended.set()

        nursery.start_soon(egress)
        with commands_send, inbox_send, inbox:
            yield Speaking(rig, playout, commands_send, inbox, ended, Player(rig.phone), cuts)
        nursery.cancel_scope.cancel()


async def test_the_first_sound_does_not_wait_for_the_clock(autojump_clock: Clock) -> None:
    async with speaking() as on:
        now = trio.current_time()
        await on.say(PlayAudio(1, sound(40)))
        assert on.rig.phone.sound() == sound(40)
        assert trio.current_time() == now
        assert on.playout.is_sounding(now)


async def test_where_the_process_is_late_an_utterance_begins_with_more_sound(autojump_clock: Clock) -> None:
    async with speaking(late=True) as on:
        now = trio.current_time()
        await on.say(PlayAudio(1, sound(40)))
        assert on.rig.phone.sound() == b""
        assert on.playout.is_sounding(now)
        await on.say(PlayAudio(1, sound(40)))
        assert on.rig.phone.sound() == sound(40) * 2
        assert trio.current_time() == now
        await on.say(PlayAudio(1, sound(40)))
        assert on.rig.phone.sound() == sound(40) * 3, "what has begun goes on"


async def test_a_slow_models_first_sound_is_held_for_a_moment_only(autojump_clock: Clock) -> None:
    async with speaking(late=True) as on:
        await on.say(PlayAudio(1, sound(40)))
        await trio.sleep(LONGEST_S + 2 * FRAME_S)
        assert on.rig.phone.sound() == sound(40)
        await on.play(0.1)
        await on.say(PlayAudio(2, sound(40)), EndUtterance(2))
        assert on.rig.phone.sound() == sound(40) * 2, "what is whole need not wait"


async def test_what_is_held_is_taken_back_like_all_that_was_queued(autojump_clock: Clock) -> None:
    async with speaking(late=True) as on:
        await on.say(PlayAudio(1, sound(40)), CutPlayout(1, Cut.NOW))
        assert [(cut.generation, cut.heard_ms, cut.queued_ms) for cut in on.cuts] == [(1, 0.0, 40.0)]
        await trio.sleep(0.1)
        assert on.rig.phone.sound() == b""


async def test_no_more_than_the_lead_lies_at_the_carrier(autojump_clock: Clock) -> None:
    async with speaking() as on:
        began = trio.current_time()
        await on.say(PlayAudio(1, sound(3000)))
        for _ in range(100):
            await trio.sleep(0.02)
            ahead_ms = len(on.rig.phone.sound()) / 8 - 1000 * (trio.current_time() - began)
            assert 0 < ahead_ms <= LEAD_MS


async def test_an_utterance_heard_to_its_end_is_told_once(autojump_clock: Clock) -> None:
    async with speaking() as on:
        await on.say(PlayAudio(1, sound(300)), PlayAudio(1, sound(200)), EndUtterance(1))
        await on.play(0.3)
        assert await on.told() == []
        await on.play(0.4)
        assert await on.told() == [UtterancePlayed(1, 500.0)]
        assert not on.playout.is_sounding(trio.current_time())
        assert on.cuts == []


async def test_barge_in_clears_at_once_and_tells_what_was_heard(autojump_clock: Clock) -> None:
    async with speaking() as on:
        await on.say(PlayAudio(1, sound(3000)), EndUtterance(1))
        await on.play(1.0)
        await on.say(CutPlayout(1, Cut.NOW))
        assert on.rig.phone.listen()[-1]["event"] == "clear"
        (cleared,) = await on.told()
        assert isinstance(cleared, UtteranceCleared)
        assert cleared.heard_ms == pytest.approx(1000, abs=45)
        assert cleared.queued_ms == 3000
        assert on.cuts == [CutReport(1, cleared.heard_ms, 3000, whole=True)]
        sent = len(on.rig.phone.sound())
        await on.say(PlayAudio(1, sound(500)), EndUtterance(1))
        await trio.sleep(1)
        assert len(on.rig.phone.sound()) == sent
        assert await on.told() == []


async def test_a_soft_cut_lets_the_carrier_play_what_it_has_and_the_next_speaker_follow(autojump_clock: Clock) -> None:
    async with speaking() as on:
        await on.say(PlayAudio(1, sound(3000)))
        await on.play(1.0)
        had = on.rig.phone.sound()
        await on.say(CutPlayout(1, Cut.SOON), PlayAudio(2, sound(200, 2)), EndUtterance(2))
        await on.play(1.5)
        assert on.rig.phone.sound() == had + sound(200, 2)
        assert all(message["event"] != "clear" for message in on.rig.phone.listen())
        cleared, played = await on.told()
        assert isinstance(cleared, UtteranceCleared)
        assert cleared.heard_ms == len(had) / 8
        assert played == UtterancePlayed(2, 200.0)


async def test_what_nobody_takes_is_counted_but_the_cut_is_known_all_the_same(autojump_clock: Clock) -> None:
    async with speaking(inbox_queued=0) as on:
        await on.say(PlayAudio(1, sound(1000)), CutPlayout(1, Cut.NOW))
        assert on.rig.metrics.dropped_messages.labels("inbox")._value.get() == 1
        assert [cut.generation for cut in on.cuts] == [1]


async def test_a_line_that_ends_in_mid_utterance_leaves_what_was_heard(autojump_clock: Clock) -> None:
    """Nobody will echo the end mark any more: the transcript must not say that all of it was heard."""
    async with speaking() as on:
        await on.say(PlayAudio(1, sound(300)), EndUtterance(1), PlayAudio(2, sound(3000)), EndUtterance(2))
        await on.play(1.3)
        assert await on.told() == [UtterancePlayed(1, 300.0)]
        on.commands.close()
        await on.ended.wait()
        (cut,) = on.cuts
        assert cut.generation == 2
        assert cut.heard_ms == pytest.approx(1000, abs=45)


async def test_egress_lets_go_of_the_line_when_the_last_speaker_has(autojump_clock: Clock) -> None:
    async with speaking() as on:
        await on.say(PlayAudio(1, sound(100)))
        on.commands.close()
        await on.ended.wait()
        sent = len(on.rig.phone.sound())
        on.playout.apply(PlayAudio(2, sound(100)), trio.current_time())
        await trio.sleep(0.2)
        assert len(on.rig.phone.sound()) == sent


async def test_holes_in_the_sound_are_counted_when_the_call_ends(autojump_clock: Clock) -> None:
    async with speaking() as on:
        await on.say(PlayAudio(1, sound(100)))
        await on.play(0.5)
        await on.say(PlayAudio(1, sound(100)))
        on.commands.close()
        await on.ended.wait()
        assert on.rig.metrics.underruns._value.get() == 1


async def test_a_pause_clears_at_once_and_nothing_is_lost(autojump_clock: Clock) -> None:
    async with speaking() as on:
        await on.say(PlayAudio(1, sound(3000)), EndUtterance(1))
        await on.play(1.0)
        on.playout.pause(trio.current_time())
        assert on.rig.phone.listen()[-1]["event"] == "clear"
        messages = len(on.rig.phone.listen())
        await on.play(0.4)
        assert len(on.rig.phone.listen()) == messages
        assert on.playout.is_sounding(trio.current_time())
        on.playout.resume(trio.current_time())
        await on.play(1.9)
        assert await on.told() == []
        await on.play(0.2)
        assert await on.told() == [UtterancePlayed(1, 3000.0)]


async def test_a_pause_that_nobody_ends_ends_by_itself(autojump_clock: Clock) -> None:
    async with speaking() as on:
        await on.say(PlayAudio(1, sound(3000)), EndUtterance(1))
        await on.play(1.0)
        on.playout.pause(trio.current_time())
        await on.play(3.2)
        assert await on.told() == [UtterancePlayed(1, 3000.0)]


async def test_a_cut_in_a_pause_reports_what_was_heard_when_it_began(autojump_clock: Clock) -> None:
    async with speaking() as on:
        await on.say(PlayAudio(1, sound(3000)), EndUtterance(1))
        await on.play(1.0)
        on.playout.hold(trio.current_time())
        await on.play(0.4)
        await on.say(CutPlayout(1, Cut.NOW), PlayAudio(2, sound(200, 2)), EndUtterance(2))
        (cleared,) = await on.told()
        assert isinstance(cleared, UtteranceCleared)
        assert cleared.heard_ms == pytest.approx(1000, abs=45)
        await on.play(0.4)
        assert await on.told() == [UtterancePlayed(2, 200.0)]
