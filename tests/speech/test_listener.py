"""When a growing turn is read, by what the reader was given."""

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager

import pytest
import trio

from engine.errors import ModelBusy, ModelLost, ModelStalled
from engine.messages import CallerAudio
from engine.model.listener import ListenProvider
from engine.speech.listener import LocalListenProvider, LocalListenStream

WINDOW = CallerAudio(bytes(800))  # 100 ms


class Reader:
    """Says how many seconds it was given; takes its time."""

    def __init__(self, *, seconds: float = 0.1) -> None:
        self.given: list[float] = []
        self.at_work = self.most_at_work = self.admitted = 0
        self.fails: ModelLost | None = None
        self._seconds = seconds

    @contextmanager
    def admit(self) -> Iterator[None]:
        self.admitted += 1
        try:
            yield
        finally:
            self.admitted -= 1

    async def recognise(self, mulaw: bytes) -> str:
        self.given.append(len(mulaw) / 8000)
        self.at_work += 1
        self.most_at_work = max(self.most_at_work, self.at_work)
        try:
            await trio.sleep(self._seconds)
            if self.fails is not None:
                raise self.fails
            return f"{len(mulaw) / 8000:.1f} s"
        finally:
            self.at_work -= 1

    async def say(self, text: str) -> bytes:
        raise AssertionError("a listener never speaks")


@asynccontextmanager
async def listening(reader: Reader) -> AsyncIterator[tuple[LocalListenStream, list[str]]]:
    texts: list[str] = []

    async def collect(stream: LocalListenStream) -> None:
        async with aclosing(stream.texts()) as heard:
            async for text in heard:  # one by one: what came until now is looked at meanwhile
                texts.append(text)  # noqa: PERF401

    async with LocalListenProvider(reader, most=1).open_listener() as stream, trio.open_nursery() as nursery:
        nursery.start_soon(collect, stream)
        yield stream, texts
        nursery.cancel_scope.cancel()


async def speak(stream: LocalListenStream, seconds: float) -> None:
    for _ in range(round(seconds * 10)):
        await trio.sleep(0.1)
        await stream.send_audio(WINDOW)


async def test_turn_is_read_as_it_grows(autojump_clock: trio.testing.MockClock) -> None:
    reader = Reader()
    async with listening(reader) as (stream, texts):
        await stream.open_turn()
        await speak(stream, 4.0)
        await trio.sleep(1)
    assert reader.given == [pytest.approx(1.2), pytest.approx(2.4), pytest.approx(3.6)]
    assert texts == ["1.2 s", "2.4 s", "3.6 s"]


async def test_pause_is_read_at_once(autojump_clock: trio.testing.MockClock) -> None:
    reader = Reader()
    async with listening(reader) as (stream, texts):
        await stream.open_turn()
        await speak(stream, 0.7)
        await stream.flush()
        await trio.sleep(0.15)
        assert texts == ["0.7 s"]


async def test_pause_after_which_nothing_was_said_is_not_read_again(autojump_clock: trio.testing.MockClock) -> None:
    reader = Reader()
    async with listening(reader) as (stream, _):
        await stream.open_turn()
        await speak(stream, 0.7)
        for _ in range(3):
            await stream.flush()
            await trio.sleep(0.5)
    assert len(reader.given) == 1


async def test_long_turn_costs_a_few_readings_not_ever_more(autojump_clock: trio.testing.MockClock) -> None:
    reader = Reader()
    async with listening(reader) as (stream, _):
        await stream.open_turn()
        await speak(stream, 40.0)
    assert sum(reader.given) < 4.5 * 40.0
    assert reader.given[-1] > 25.0


async def test_call_is_never_read_twice_at_once(autojump_clock: trio.testing.MockClock) -> None:
    reader = Reader(seconds=5.0)
    async with listening(reader) as (stream, texts):
        await stream.open_turn()
        await speak(stream, 8.0)
        await stream.flush()
        await trio.sleep(20)
    assert reader.most_at_work == 1
    assert texts[-1] == "8.0 s"  # what was asked for meanwhile is one more reading


async def test_text_of_a_turn_that_is_over_is_dropped(autojump_clock: trio.testing.MockClock) -> None:
    reader = Reader(seconds=2.0)
    async with listening(reader) as (stream, texts):
        await stream.open_turn()
        await speak(stream, 0.6)
        await stream.flush()
        await trio.sleep(0.1)
        await stream.open_turn()
        await speak(stream, 0.9)
        await stream.flush()
        await trio.sleep(10)
    assert texts == ["0.9 s"]


async def test_reading_that_comes_too_late_does_not_end_the_listening(autojump_clock: trio.testing.MockClock) -> None:
    reader = Reader()
    async with listening(reader) as (stream, texts):
        reader.fails = ModelStalled("late")
        await stream.open_turn()
        await speak(stream, 1.5)
        reader.fails = None
        await stream.flush()
        await trio.sleep(1)
    assert texts == ["1.5 s"]


async def test_lost_speech_ends_the_listening(autojump_clock: trio.testing.MockClock) -> None:
    reader = Reader()
    reader.fails = ModelLost("gone")

    async def listen() -> None:
        async with listening(reader) as (stream, _):
            await stream.open_turn()
            await speak(stream, 1.5)

    with pytest.raises(ExceptionGroup) as raised:
        await listen()
    assert raised.group_contains(ModelLost, match="gone")


async def test_listeners_leave_the_other_places_to_calls() -> None:
    reader = Reader()
    provider: ListenProvider = LocalListenProvider(reader, most=2)
    async with provider.open_listener(), provider.open_listener():
        assert reader.admitted == 2
        with pytest.raises(ModelBusy):
            async with provider.open_listener():
                raise AssertionError("a third was let in")
    assert reader.admitted == 0
    async with provider.open_listener():
        assert reader.admitted == 1
