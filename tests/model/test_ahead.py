"""How far ahead a response's sound is, and a stream that takes its time while it is."""

import itertools

import pytest
import trio
import trio.testing

from engine.audio import g711
from engine.errors import ModelClosed
from engine.model.ahead import PAUSE_S, PLENTY_S, Ahead
from engine.model.provider import AudioDelta, Interrupted, ModelStream, StreamEvent
from tests.model.conftest import Open
from tests.model.fake_gemini import PCM_40_MS, FakeGemini

Clock = trio.testing.MockClock


def test_sound_that_came_is_ahead_until_it_can_have_been_heard() -> None:
    ahead = Ahead()
    assert not ahead.is_plenty(10.0)
    ahead.sound(0.9 * PLENTY_S, 10.0)
    assert not ahead.is_plenty(10.0)
    ahead.sound(0.5, 10.1)
    assert ahead.is_plenty(10.4)
    assert not ahead.is_plenty(10.6)
    ahead.sound(0.5, 20.0)
    assert ahead.is_plenty(20.0)
    assert not ahead.is_plenty(20.3), "what was heard long ago does not count"


def test_what_was_stopped_is_not_ahead() -> None:
    ahead = Ahead()
    ahead.sound(5.0, 10.0)
    ahead.stopped()
    assert not ahead.is_plenty(10.0)


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
    open_session: Open, autojump_clock: Clock
) -> None:
    events: list[tuple[float, StreamEvent]] = []
    async with open_session() as (stream, fake), trio.open_nursery() as nursery:
        nursery.start_soon(told, events, stream)
        await trio.testing.wait_all_tasks_blocked()
        await pieces_each(fake, 0.010, 50)  # two seconds at four times their pace
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    sound = [(at, event.mulaw) for at, event in events if isinstance(event, AudioDelta)]
    assert sum(len(mulaw) for _, mulaw in sound) == pytest.approx(2.0 * g711.SAMPLE_RATE_HZ, abs=50)
    assert sound[0][0] == 0.0
    waits = [later - earlier for (earlier, _), (later, _) in itertools.pairwise(sound)]
    assert max(waits) <= PAUSE_S + 0.011
    assert len(sound) < 20
    for at, _ in sound[1:]:
        come = sum(len(mulaw) for earlier, mulaw in sound if earlier < at) / g711.SAMPLE_RATE_HZ
        assert come - at > 0 or at < 0.1, "nothing that the caller hears next is left lying"


async def test_sound_at_its_own_pace_is_told_piece_by_piece(open_session: Open, autojump_clock: Clock) -> None:
    events: list[tuple[float, StreamEvent]] = []
    async with open_session() as (stream, fake), trio.open_nursery() as nursery:
        nursery.start_soon(told, events, stream)
        await trio.testing.wait_all_tasks_blocked()
        await pieces_each(fake, 0.040, 25)
        nursery.cancel_scope.cancel()
    assert [at for at, _ in events] == pytest.approx([0.04 * n for n in range(25)])


async def test_the_callers_turn_is_no_time_to_pause(open_session: Open, autojump_clock: Clock) -> None:
    events: list[tuple[float, StreamEvent]] = []
    async with open_session() as (stream, fake), trio.open_nursery() as nursery:
        nursery.start_soon(told, events, stream)
        await trio.testing.wait_all_tasks_blocked()
        await fake.sound(PCM_40_MS * 50)
        await trio.sleep(2 * PAUSE_S)
        await stream.open_turn()
        await trio.sleep(PAUSE_S)
        asked = trio.current_time()
        await fake.sound()
        await trio.testing.wait_all_tasks_blocked()
        await fake.content(interrupted=True)
        await trio.testing.wait_all_tasks_blocked()
        assert trio.current_time() == asked
        assert isinstance(events[-1][1], Interrupted)
        nursery.cancel_scope.cancel()


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
