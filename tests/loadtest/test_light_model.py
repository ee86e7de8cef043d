"""The model made for load says what the strict one says, to the same client, at the same time."""

import numpy as np
import orjson
import pytest
from trio.testing import MockClock

from engine.loadtest.light_ear import loud_ms
from engine.loadtest.light_link import JUDGED, SoundReader
from engine.loadtest.talk import BEGINNING, QUESTIONS, LengthEar, clips
from engine.loadtest.talk import loud_ms as loud_ms_of
from engine.sim.gemini_schema import Refusal
from engine.sim.scenario import Clip
from engine.voice.cache import VoiceCache
from tests.loadtest.light_world import (
    END,
    FLUSH,
    LISTENS,
    START,
    Light,
    Message,
    Script,
    Told,
    note,
    plain,
    sound,
    strict,
    turn,
    windows,
)
from tests.sim.gemini_client import SETUP, contents, text_of

NEAR_S = 0.006  # the pacer's grid, and the test's own steps


@pytest.fixture(scope="module")
def said(speech: VoiceCache) -> tuple[Clip, ...]:
    return clips(speech)


async def both(script: Script, said: tuple[Clip, ...], *, until: float, **how: object) -> Told:
    """What both say, which must be the same."""
    ear = LengthEar.of(said)
    expected = await strict(script, ear, until=until, **how)  # type: ignore[arg-type]
    tools, answers = how.pop("tools", "offered"), how.pop("answers", True)
    light = Light(ear, tools=tools, answers=answers).run(script, until=until, **how)  # type: ignore[arg-type]
    assert plain(light) == plain(expected)
    late = [abs(ours - theirs) for (ours, _), (theirs, _) in zip(light, expected, strict=True)]
    assert max(late) < NEAR_S
    return light


def messages(told: Told) -> list[Message]:
    return [message for _, message in told]


async def test_every_question_is_heard_and_answered_alike(said: tuple[Clip, ...], autojump_clock: MockClock) -> None:
    script = [one for at, clip in enumerate(said) for one in turn(clip, at=0.5 + 7.0 * at, notes="Some notes.")]
    told = messages(await both(script, said, until=40.0))
    for question in QUESTIONS:
        assert question in " ".join(text_of(told, "inputTranscription").split())
    assert {one["text"] for one in contents(told, "interimInputTranscription")} == {BEGINNING}
    assert len(contents(told, "turnComplete")) == len(said)


@pytest.mark.parametrize("after_s", [0.1, 0.6, 1.5, 3.0], ids=["thinks", "speaks", "is played", "is done"])
async def test_an_answer_is_interrupted_alike(
    said: tuple[Clip, ...], autojump_clock: MockClock, after_s: float
) -> None:
    first = turn(said[0], at=0.5)
    told = await both([*first, *turn(said[1], at=first[-1][0] + after_s)], said, until=14.0)
    assert len(contents(messages(told), "interrupted")) == (after_s < 2.5)


async def test_where_tools_are_used_every_fourth_answer_calls_one_alike(
    said: tuple[Clip, ...], autojump_clock: MockClock
) -> None:
    setup = SETUP | {"tools": [{"functionDeclarations": [{"name": "opening_hours"}]}]}
    script = [one for at in range(4) for one in turn(said[0], at=0.5 + 6.0 * at)]
    told = await both(script, said, until=26.0, setup=setup, tools="used")
    assert sum("toolCall" in message for message in messages(told)) == 1


async def test_whoever_interrupts_a_tool_call_has_it_cancelled_alike(
    said: tuple[Clip, ...], autojump_clock: MockClock
) -> None:
    setup = SETUP | {"tools": [{"functionDeclarations": [{"name": "opening_hours"}]}]}
    script = [one for at in range(5) for one in turn(said[0], at=0.5 + 6.0 * at)]
    told = await both(script, said, until=26.0, setup=setup, tools="used", answers=False)
    assert sum("toolCallCancellation" in message for message in messages(told)) == 1


async def test_a_transcribe_stream_is_written_down_alike(said: tuple[Clip, ...], autojump_clock: MockClock) -> None:
    script: list[tuple[float, Message]] = []
    for number, clip in enumerate(said):
        heard = windows(clip, at=0.5 + 6.0 * number)
        ends = heard[-1][0]
        # A lull and the end are both flushed; the second has nothing new in it.
        script += [*heard, (ends + 0.01, FLUSH), (ends + 0.2, FLUSH)]
    told = messages(await both(script, said, until=32.0, setup=LISTENS))
    assert text_of(told, "inputTranscription").split() == " ".join(QUESTIONS).split()


async def test_a_sentence_flushed_in_its_middle_is_written_down_alike(
    said: tuple[Clip, ...], autojump_clock: MockClock
) -> None:
    heard = windows(said[3], at=0.5)
    script = [*heard[:20], (heard[19][0] + 0.01, FLUSH), *heard[20:], (heard[-1][0] + 0.01, FLUSH)]
    await both(script, said, until=8.0, setup=LISTENS)


@pytest.mark.parametrize("per_ms", [8, 16])
def test_what_is_loud_is_as_long_in_messages_as_in_one_piece(per_ms: int, said: tuple[Clip, ...]) -> None:
    for clip in said:
        reader = SoundReader()
        payloads = [orjson.dumps(message) for _, message in windows(clip, at=0.0, per_ms=per_ms)]
        heard = [window for one in payloads if (window := reader.read(*masked(one))) is not None]
        whole = np.concatenate([window.pcm() for window in heard])
        assert loud_ms(heard) == loud_ms_of(whole, 1000 * per_ms) > 500
    assert loud_ms([]) == 0.0


def test_whom_nobody_writes_down_is_answered_all_the_same(said: tuple[Clip, ...]) -> None:
    told = messages(Light(None).run(turn(said[0], at=0.5), until=6.0))
    assert not contents(told, "inputTranscription")
    assert not contents(told, "interimInputTranscription")
    assert len(contents(told, "turnComplete")) == 1


def test_a_connection_that_ends_stops_its_answer(said: tuple[Clip, ...]) -> None:
    light = Light(LengthEar.of(said))
    script = turn(said[0], at=0.5)
    light.run(script, until=script[-1][0] + 0.5)
    assert contents(messages(light.told), "modelTurn")
    light.session.end()
    before = len(light.told)
    light.run((), setup=SETUP, until=0.0)
    for _ in range(4000):
        light.clock.now += 0.001
        light.loop.turn(0)
    assert len(light.told) == before


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ([(0.1, END)], "activity_end while no activity is open"),
        ([(0.1, START), (0.2, START)], "activity_start while an activity is open"),
        ([(0.1, {"realtimeInput": {"loudness": 3}})], "Unknown name"),
        ([(0.1, {"setup": SETUP})], "setup must be sent once"),
        ([(0.1, FLUSH)], "audio_stream_end is not allowed"),
    ],
)
def test_what_the_strict_one_refuses_the_light_one_refuses(script: Script, why: str) -> None:
    with pytest.raises(Refusal, match=why):
        Light(None).run(script, until=1.0)


def test_sound_before_the_setup_is_refused() -> None:
    with pytest.raises(Refusal, match="setup must be the first message"):
        Light(None).say(sound(np.zeros(1600, np.int16)))


def masked(payload: bytes) -> tuple[bytes, bytes]:
    key = b"\x11\x22\x33\x44"
    return key, bytes(code ^ key[at % 4] for at, code in enumerate(payload))


def payload(pcm: np.ndarray[tuple[int], np.dtype[np.int16]]) -> bytes:

    return orjson.dumps(sound(pcm))


def test_what_is_no_sound_is_left_to_others_and_sound_after_it_is_known() -> None:
    reader, pcm = SoundReader(), np.zeros(800, np.int16)
    long = orjson.dumps(note("a long note " * 99))
    assert [reader.read(*masked(one)) for one in (orjson.dumps({"setup": SETUP}), long)] == [None, None]
    window = reader.read(*masked(payload(pcm)))
    assert window is not None
    assert window.ms == 100.0
    assert reader.read(*masked(long)) is None


@pytest.mark.parametrize("samples", [320, 321, 322, 1599, 1600, 4000])
def test_a_message_of_sound_is_as_long_as_it_is(samples: int) -> None:
    reader, pcm = SoundReader(), np.arange(samples, dtype=np.int16)
    for _ in range(3):  # the first is judged whole, the others by their ends
        window = reader.read(*masked(payload(pcm)))
        assert window is not None
        assert window.ms == samples / 8
        assert (window.pcm() == pcm).all()


def test_of_sound_that_looks_as_ever_one_in_so_many_is_judged_whole() -> None:
    reader, good = SoundReader(), payload(np.zeros(1600, np.int16))
    bad = good.replace(b"AAAA", b"A?AA", 2)
    reader.read(*masked(good))
    for _ in range(JUDGED - 1):
        assert reader.read(*masked(bad)) is not None
    with pytest.raises(Refusal, match="base64"):
        reader.read(*masked(bad))


@pytest.mark.parametrize(
    "change",
    [(b'"audio"', b'"adieu"'), (b"rate=8000", b"rate=8001"), (b"}}}", b"}} "), (b"AAAA", b"AAA")],
    ids=["name", "rate", "end", "length"],
)
def test_sound_that_looks_otherwise_is_judged_at_once(change: tuple[bytes, bytes]) -> None:
    reader, good = SoundReader(), payload(np.zeros(1600, np.int16))
    reader.read(*masked(good))
    with pytest.raises(Refusal):
        reader.read(*masked(good.replace(*change, 1)))
