"""How far ahead a response's sound is, and a stream that takes its time while it is."""

import itertools

import pytest
import trio
import trio.testing

from engine.audio import g711
from engine.errors import ModelClosed
from engine.messages import ResumeHandle
from engine.model.ahead import KEEP_S, LONGEST_S, SHORTEST_S, Ahead
from engine.model.provider import AudioDelta, GenerationComplete, Interrupted, ModelStream, StreamEvent, TranscriptDelta
from engine.model.stream import READ_SIZE
from tests.model.conftest import Open, OverTcp
from tests.model.fake_gemini import PCM_40_MS, FakeGemini

Clock = trio.testing.MockClock


def test_sound_that_came_is_ahead_until_it_can_have_been_heard() -> None:
    ahead = Ahead()
    assert not ahead.pause_s(10.0)
    ahead.sound(KEEP_S + 0.9 * SHORTEST_S, 10.0)
    assert not ahead.pause_s(10.0)
    ahead.sound(0.05, 10.04)
    assert ahead.pause_s(10.04) == pytest.approx(0.01 + 0.9 * SHORTEST_S)
    assert not ahead.pause_s(10.1)
    ahead.sound(0.5, 20.0)
    assert ahead.pause_s(20.5 - KEEP_S - SHORTEST_S - 0.01) == pytest.approx(SHORTEST_S + 0.01)
    assert not ahead.pause_s(20.5 - KEEP_S), "what was heard long ago does not count"


def test_a_pause_is_as_long_as_leaves_enough_ahead() -> None:
    ahead = Ahead()
    ahead.sound(KEEP_S + 0.9 * LONGEST_S, 10.0)
    assert ahead.pause_s(10.0) == pytest.approx(0.9 * LONGEST_S)
    ahead.sound(10.0, 10.0)
    assert ahead.pause_s(10.0) == LONGEST_S


def test_what_was_stopped_is_not_ahead() -> None:
    ahead = Ahead()
    ahead.sound(5.0, 10.0)
    ahead.stopped()
    assert not ahead.pause_s(10.0)


async def told(events: list[tuple[float, StreamEvent]], stream: ModelStream) -> None:
    began = trio.current_time()
    async for event in stream.events():
        at = round(trio.current_time() - began, 3)
        events.append((at, event))


async def pieces_each(fake: FakeGemini, every_s: float, count: int) -> None:
    for _ in range(count):
        await fake.sound(PCM_40_MS)
        await trio.sleep(every_s)


async def test_the_first_sound_is_told_at_once_and_the_rest_several_pieces_at_a_time(
    over_tcp: OverTcp, autojump_clock: Clock
) -> None:
    events: list[tuple[float, StreamEvent]] = []
    async with over_tcp() as (stream, fake), trio.open_nursery() as nursery:
        nursery.start_soon(told, events, stream)
        await trio.testing.wait_all_tasks_blocked()
        await pieces_each(fake, 0.010, 50)  # two seconds at four times their pace
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    sound = [(at, event.mulaw) for at, event in events if isinstance(event, AudioDelta)]
    assert sum(len(mulaw) for _, mulaw in sound) == pytest.approx(2.0 * g711.SAMPLE_RATE_HZ, abs=50)
    assert sound[0][0] == 0.0
    waits = [later - earlier for (earlier, _), (later, _) in itertools.pairwise(sound)]
    assert max(waits) <= LONGEST_S + 0.011
    assert len(sound) < 18
    for at, _ in sound[1:]:
        come = sum(len(mulaw) for earlier, mulaw in sound if earlier < at) / g711.SAMPLE_RATE_HZ
        assert come - at > KEEP_S - 0.011 or at < 0.1, "what the caller hears next is never left lying"


async def test_sound_at_its_own_pace_is_told_piece_by_piece(over_tcp: OverTcp, autojump_clock: Clock) -> None:
    events: list[tuple[float, StreamEvent]] = []
    async with over_tcp() as (stream, fake), trio.open_nursery() as nursery:
        nursery.start_soon(told, events, stream)
        await trio.testing.wait_all_tasks_blocked()
        await pieces_each(fake, 0.040, 25)
        nursery.cancel_scope.cancel()
    assert [at for at, _ in events] == pytest.approx([0.04 * n for n in range(25)])


async def test_where_nobody_can_say_what_has_come_no_piece_waits(open_session: Open, autojump_clock: Clock) -> None:
    events: list[tuple[float, StreamEvent]] = []
    async with open_session() as (stream, fake), trio.open_nursery() as nursery:
        nursery.start_soon(told, events, stream)
        await trio.testing.wait_all_tasks_blocked()
        await pieces_each(fake, 0.010, 25)
        nursery.cancel_scope.cancel()
    assert [at for at, _ in events] == pytest.approx([0.01 * n for n in range(25)])


async def test_a_turn_that_opens_ends_the_pause(over_tcp: OverTcp, autojump_clock: Clock) -> None:
    events: list[tuple[float, StreamEvent]] = []
    async with over_tcp() as (stream, fake), trio.open_nursery() as nursery:
        nursery.start_soon(told, events, stream)
        await trio.testing.wait_all_tasks_blocked()
        await fake.sound(PCM_40_MS * 50)
        await trio.testing.wait_all_tasks_blocked()
        await trio.sleep(LONGEST_S / 2)
        asked = trio.current_time()
        await fake.sound()
        await stream.open_turn()
        await trio.testing.wait_all_tasks_blocked()
        await fake.sound()
        await trio.testing.wait_all_tasks_blocked()
        await fake.content(interrupted=True)
        await trio.testing.wait_all_tasks_blocked()
        assert trio.current_time() == asked
        assert [type(event) for _, event in events] == [AudioDelta] * 3 + [Interrupted]
        nursery.cancel_scope.cancel()


async def test_a_connection_that_ends_in_a_pause_is_told_after_what_came_before(
    over_tcp: OverTcp, autojump_clock: Clock
) -> None:
    async with over_tcp() as (stream, fake):
        events = stream.events()
        await fake.sound(PCM_40_MS * 50)
        assert isinstance(await anext(events), AudioDelta)
        await fake.say(sessionResumptionUpdate={"newHandle": "h", "resumable": True})
        await fake.close(1011, "worn out")
        began = trio.current_time()
        assert await anext(events) == ResumeHandle("h")
        with pytest.raises(ModelClosed, match="worn out"):
            await anext(events)
        assert trio.current_time() - began == LONGEST_S


async def test_a_ping_that_comes_in_a_pause_is_answered_after_it(over_tcp: OverTcp, autojump_clock: Clock) -> None:
    async with over_tcp() as (stream, fake):
        events = stream.events()
        await fake.sound(PCM_40_MS * 50)
        await anext(events)
        await fake.ping(b"there?")
        await fake.sound()
        await anext(events)
        await fake._read()
        assert fake.pongs == [b"there?"]


async def test_more_than_one_read_takes_comes_in_one_piece(over_tcp: OverTcp, autojump_clock: Clock) -> None:
    async with over_tcp() as (stream, fake):
        events = stream.events()
        await fake.sound(PCM_40_MS * 25)
        await anext(events)
        before = trio.current_time()
        pcm = bytes(READ_SIZE // 2)
        for _ in range(4):  # base64 of it: two reads and a half
            await fake.sound(pcm)
        event = await anext(events)
        assert isinstance(event, AudioDelta)
        assert len(event.mulaw) == pytest.approx(4 * len(pcm) / 6, abs=8)
        assert trio.current_time() - before == LONGEST_S


async def test_sound_read_at_once_is_one_piece_whatever_text_lies_between(
    open_session: Open, autojump_clock: Clock
) -> None:
    async with open_session() as (stream, fake):
        await fake.content(outputTranscription={"text": "We open"})
        await fake.sound()
        await fake.sound()
        await fake.content(outputTranscription={"text": " at eight."})
        await fake.sound()
        await fake.content(generationComplete=True)
        await fake.content(outputTranscription={"text": " Bye."})
        await fake.sound()
        events = stream.events()
        some = [await anext(events) for _ in range(6)]
        assert [type(event) for event in some] == [
            AudioDelta,
            TranscriptDelta,
            AudioDelta,  # the filter's tail
            GenerationComplete,
            AudioDelta,
            TranscriptDelta,
        ]
        assert some[1] == TranscriptDelta("We open at eight.")
        assert sum(len(event.mulaw) for event in some if isinstance(event, AudioDelta)) == 4 * 320 + 24


async def test_what_came_before_an_error_is_told_before_it(open_session: Open, autojump_clock: Clock) -> None:
    async with open_session() as (stream, fake):
        await fake.sound()
        await fake.sound()
        await fake.say(error={"code": 500, "message": "worn out"})
        events = stream.events()
        first = await anext(events)
        assert isinstance(first, AudioDelta)
        assert len(first.mulaw) == 640
        for _ in range(2):
            with pytest.raises(ModelClosed, match="worn out"):
                await anext(events)
