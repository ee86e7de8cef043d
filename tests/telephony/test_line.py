"""A phone line over a real socket pair: what it carries, both ways, while all goes well."""

import json
import socket

import pytest
import trio
import trio.testing

from engine.audio.pacer import Clear, Mark, Media
from engine.errors import LineLost
from engine.messages import KeyPressed, LineEvent
from engine.telephony.ingress import run_ingress
from engine.telephony.line import EARLY_FRAMES, KEYS_QUEUED
from tests.telephony.carrier import FRAME, START, STREAM, mask_one, open_line
from tests.telephony.parts import Ear, Mouth

Clock = trio.testing.MockClock


async def test_the_start_is_told_with_its_parameters(autojump_clock: Clock) -> None:
    async with open_line() as rig:
        rig.phone.begin()
        start = await rig.line.wait_start()
        assert (start.stream_sid, start.call_sid, start.account_sid) == (STREAM, "CA1", "AC1")
        assert start.custom_parameters == {"token": "t"}
        assert await rig.line.wait_start() is start


async def test_what_came_with_the_handshake_is_read_first(autojump_clock: Clock) -> None:
    said = [{"event": "connected"}, {"event": "start", "streamSid": STREAM, "start": START}]
    async with open_line(leftover=b"".join(mask_one(json.dumps(one).encode().ljust(126)) for one in said)) as rig:
        assert (await rig.line.wait_start()).call_sid == "CA1"


async def test_frames_reach_the_part_that_is_attached(autojump_clock: Clock) -> None:
    async with open_line() as rig:
        await rig.started()
        ear = Ear()
        rig.line.attach_inbound(ear)
        for number in range(3):
            rig.phone.media(20 * number, bytes([number + 1]) * 160)
        await rig.until(lambda: len(ear.frames) == 3)
        assert ear.frames == [(20 * n, bytes([n + 1]) * 160) for n in range(3)]
        assert rig.line.statistics().received_bytes > 3 * 160


async def test_frames_that_come_before_their_part_wait_for_it_the_newest_two_seconds(autojump_clock: Clock) -> None:
    async with open_line() as rig:
        await rig.started()
        for number in range(EARLY_FRAMES + 5):
            rig.phone.media(20 * number)
        await trio.sleep(0.1)
        ear = Ear()
        rig.line.attach_inbound(ear)
        assert [at for at, _ in ear.frames] == [20 * n for n in range(5, EARLY_FRAMES + 5)]
        assert ear.pumps
        rig.phone.media(20 * (EARLY_FRAMES + 5))
        await rig.until(lambda: len(ear.frames) == EARLY_FRAMES + 1)


async def test_a_part_is_pumped_every_20_ms_also_when_nothing_comes(autojump_clock: Clock) -> None:
    async with open_line() as rig:
        await rig.started()
        ear = Ear()
        rig.line.attach_inbound(ear)
        began = len(ear.pumps)
        await trio.sleep(1.0)
        assert len(ear.pumps) - began == pytest.approx(50, abs=1)
        rig.line.detach_inbound()
        ended = len(ear.pumps)
        await trio.sleep(0.1)
        assert len(ear.pumps) == ended


async def test_frames_that_may_wait_are_read_together_and_no_longer_than_that(autojump_clock: Clock) -> None:
    async with open_line() as rig:
        await rig.started()
        ear = Ear(patience_s=0.05)
        rig.line.attach_inbound(ear)
        began = trio.current_time()
        came: list[tuple[float, int]] = []
        for number in range(6):
            rig.phone.media(20 * number)
            await trio.sleep(0.01)
            came.append((round(trio.current_time() - began, 3), len(ear.frames)))
            await trio.sleep(0.01)
        assert [count for _, count in came] == [0, 0, 0, 4, 4, 4]
        # What the next frame was to bring along is read without it, if that one does not come.
        await rig.until(lambda: len(ear.frames) == 6, within_s=0.1)


async def test_the_last_words_of_a_peer_are_read_though_they_might_have_waited(autojump_clock: Clock) -> None:
    async with open_line() as rig:
        await rig.started()
        ear = Ear(patience_s=0.05)
        rig.line.attach_inbound(ear)
        rig.phone.media(0)
        rig.phone.stop()
        rig.phone.socket.close()
        with trio.fail_after(0.2):
            async for _ in rig.line.controls:
                pass
        assert rig.line.lost.reason == "hang_up"
        assert len(ear.frames) == 1


async def test_an_end_that_came_along_with_sound_is_noticed_at_once(autojump_clock: Clock) -> None:
    async with open_line() as rig:
        await rig.started()
        rig.phone.media(0)
        rig.phone.socket.shutdown(socket.SHUT_WR)
        with trio.fail_after(0.05):
            async for _ in rig.line.controls:
                pass
        assert rig.line.lost.reason == "broken"


async def test_what_is_due_is_sent_in_order_and_marks_come_back(autojump_clock: Clock) -> None:
    async with open_line() as rig:
        await rig.started()
        mouth = Mouth([Media(FRAME), Mark("a"), Clear(), Media(FRAME[:10])])
        rig.line.attach_outbound(mouth)
        await rig.until(lambda: len(rig.phone.listen()) == 4)
        assert [message["event"] for message in rig.phone.heard] == ["media", "mark", "clear", "media"]
        assert {message["streamSid"] for message in rig.phone.heard} == {STREAM}
        assert rig.phone.sound() == FRAME + FRAME[:10]
        rig.phone.mark("a")
        await rig.until(lambda: mouth.marks == ["a"])


async def test_what_must_not_wait_for_the_tick_goes_at_once(autojump_clock: Clock) -> None:
    async with open_line() as rig:
        await rig.started()
        mouth = Mouth()
        rig.line.attach_outbound(mouth)
        await trio.sleep(0.1)
        mouth.queue.append(Media(FRAME))
        rig.line.send_due(trio.current_time())
        assert rig.phone.sound() == FRAME
        rig.line.detach_outbound()
        mouth.queue.append(Media(FRAME))
        rig.line.send_due(trio.current_time())
        assert rig.phone.sound() == FRAME


async def test_nothing_is_sent_before_the_start(autojump_clock: Clock) -> None:
    async with open_line() as rig:
        rig.line.attach_outbound(Mouth([Media(FRAME)]))
        await trio.sleep(0.1)
        assert rig.phone.listen() == []
        await rig.started()
        await rig.until(lambda: rig.phone.sound() == FRAME)


async def test_a_ping_is_answered(autojump_clock: Clock) -> None:
    async with open_line() as rig:
        await rig.started()
        rig.phone.ping(b"are you there")
        await rig.until(lambda: bool(rig.phone.listen() or rig.phone.pongs))
        assert rig.phone.pongs == [b"are you there"]


async def test_ingress_forwards_keys_and_then_says_why_the_line_ended(autojump_clock: Clock) -> None:
    send, receive = trio.open_memory_channel[LineEvent](10)
    async with open_line() as rig:
        await rig.started()
        rig.phone.key("4")
        rig.phone.key("#")
        rig.phone.stop()
        with pytest.raises(LineLost) as lost:
            await run_ingress(line=rig.line, inbox=send)  # type: ignore[arg-type]  # a channel of fewer kinds
    assert lost.value.reason == "hang_up"
    assert [event async for event in receive] == [KeyPressed("4"), KeyPressed("#")]


async def test_more_keys_than_anybody_can_press_are_refused_and_counted(autojump_clock: Clock) -> None:
    async with open_line() as rig:
        await rig.started()
        for _ in range(KEYS_QUEUED + 3):
            rig.phone.key("1")
        await trio.sleep(0.1)
        assert rig.line.controls.statistics().current_buffer_used == KEYS_QUEUED
        assert rig.metrics.dropped_messages.labels("keys")._value.get() == 3
        assert not rig.crashes


async def test_a_key_after_the_call_was_ended_by_us_is_of_no_interest(autojump_clock: Clock) -> None:
    async with open_line() as rig:
        await rig.started()
        rig.line.end(LineLost("hang_up", "call status completed"))
        rig.phone.key("1")
        await trio.sleep(0.1)
        assert not rig.crashes
        assert rig.line.lost.reason == "hang_up"
