from typing import Any

import orjson
import pytest
import trio
from trio.testing import MockClock
from trio_websocket import ConnectionClosed, ConnectionRejected

from engine.errors import ModelProtocolFault
from engine.sim.brain import GroundedBrain, ToolWish
from engine.sim.ear import ToneEar
from engine.sim.gemini import SimGemini
from engine.sim.moods import (
    EVERY_NONSENSE,
    Cut,
    Deaf,
    DoubleToolCall,
    Garbled,
    GoAway,
    Mood,
    Nonsense,
    PhantomInterrupted,
    Refuse,
    Rule,
    Runaway,
    Silent,
    Slow,
    Unanswered,
)
from engine.sim.tones import tone_clip
from engine.wire import gemini_live

from .gemini_client import Client, contents, dial, pcm_of, session, text_of

NOTES = "We open at nine in the morning."
SPOKEN_MS = 7 * 280
QUESTION = tone_clip(17, 400, 16000)
TOOLS = [{"functionDeclarations": [{"name": "book"}]}]


def moody(mood: Mood, turn: int | None = None, **more: Any) -> SimGemini:
    brain = GroundedBrain({"tone 99": ToolWish("book")})
    return SimGemini(ear=ToneEar(), brain=brain, rules=[Rule(mood, turn=turn)], **more)


async def behaves(client: Client) -> None:
    """A whole ordinary turn."""
    await client.turn(QUESTION, NOTES)
    assert text_of(await client.until("turnComplete"), "outputTranscription") == NOTES


def moment(sim: SimGemini, what: str) -> float:
    [found] = [one.at for one in sim.moments if one.what == what]
    return found


async def nothing_comes(client: Client, seconds: float) -> None:
    with trio.move_on_after(seconds) as waited:
        message = await client.get()
        pytest.fail(f"something came: {message}")
    assert waited.cancelled_caught


async def test_a_refused_setup_is_closed_with_its_code(autojump_clock: MockClock) -> None:
    sim = moody(Refuse("close", code=1008))
    async with dial(sim) as client:
        await client.send({"setup": {"model": "models/gemini-3.8-live"}})
        assert await client.closed_with() == 1008
    async with session(sim) as client:
        await behaves(client)
    assert [one.closed_code for one in sim.sessions] == [1008, 1000]
    assert sim.protocol_faults == []


async def test_a_refused_handshake_has_its_status(autojump_clock: MockClock) -> None:
    with pytest.RaisesGroup(ConnectionRejected, flatten_subgroups=True) as refused:
        async with dial(moody(Refuse("http", status=429))):
            pass
    assert [getattr(one, "status_code", 0) for one in refused.value.exceptions] == [429]


async def test_a_slow_model_begins_late_and_only_once(autojump_clock: MockClock) -> None:
    sim = moody(Slow(3.5), turn=1)
    async with session(sim) as client:
        await behaves(client)
        await behaves(client)
    first, second = (one.at for one in sim.moments if one.what == "first_audio")
    assert first - sim.sessions[0].commits[0].at == pytest.approx(3.5)
    assert second - sim.sessions[0].commits[1].at == pytest.approx(0.25)


async def test_a_silent_model_says_nothing_for_good(autojump_clock: MockClock) -> None:
    sim = moody(Silent(), turn=2)
    async with session(sim) as client:
        await behaves(client)
        assert "sessionResumptionUpdate" in await client.get()
        for _ in range(3):
            await client.turn(QUESTION, NOTES)
            await nothing_comes(client, 60)
    assert len(sim.sessions[0].commits) == 4


async def test_a_silence_of_two_turns_ends(autojump_clock: MockClock) -> None:
    async with session(moody(Silent(turns=2))) as client:
        for _ in range(2):
            await client.turn(QUESTION, NOTES)
            await nothing_comes(client, 60)
        await behaves(client)


async def test_an_unanswered_turn_is_transcribed_all_the_same(autojump_clock: MockClock) -> None:
    async with session(moody(Unanswered())) as client:
        await client.turn(QUESTION, NOTES)
        await client.until("inputTranscription")
        assert text_of([await client.get()], "inputTranscription") == " 17"
        await nothing_comes(client, 60)
        await behaves(client)


async def test_a_deaf_model_takes_no_more(autojump_clock: MockClock) -> None:
    sim = moody(Deaf(), turn=1)
    async with session(sim) as client:
        await client.turn(QUESTION, NOTES)
        with trio.move_on_after(30):
            for _ in range(30):
                await client.audio(QUESTION)
        await nothing_comes(client, 30)
    assert len(sim.sessions[0].commits) == 1
    assert sim.sessions[0].audio_outside == 0
    assert sim.sessions[0].deaf


@pytest.mark.parametrize("code", [1000, 1007, 1008, 1011])
async def test_a_cut_comes_after_its_share_of_the_answer(autojump_clock: MockClock, code: int) -> None:
    sim = moody(Cut(code, after_ms=400), turn=1, pace=1.0)
    async with session(sim) as client:
        await client.turn(QUESTION, NOTES)
        assert await client.closed_with() == code
        played = pcm_of([orjson.loads(raw) for raw in client.raw])
    assert len(played) == 24 * 400
    assert moment(sim, "cut") - moment(sim, "first_audio") == pytest.approx(0.36, abs=0.001)
    assert sim.sessions[0].closed_code == code


async def test_a_cut_may_come_before_any_sound_and_at_once_after_setup(autojump_clock: MockClock) -> None:
    sim = moody(Cut(1011, after_ms=0), turn=1)
    sim.schedule(Rule(Cut(1011), turn=0, connection=2))
    async with session(sim) as client:
        await client.turn(QUESTION, NOTES)
        assert await client.closed_with() == 1011
        assert len(pcm_of([orjson.loads(raw) for raw in client.raw])) == 0
    async with session(sim) as client:
        assert await client.closed_with() == 1011
    async with session(sim) as client:
        await behaves(client)


@pytest.mark.parametrize(("quiet", "said_during_the_turn"), [(False, True), (True, False)])
async def test_a_leaving_model_says_so_and_goes(
    autojump_clock: MockClock, quiet: bool, said_during_the_turn: bool
) -> None:
    sim = moody(GoAway(time_left_s=12.5, quiet=quiet), turn=1)
    async with session(sim) as client:
        await client.turn(QUESTION, NOTES)
        got = await client.until("turnComplete")
        assert any("goAway" in one for one in got) == said_during_the_turn
        assert await client.closed_with() == 1011
    away = [one["goAway"]["timeLeft"] for one in map(orjson.loads, client.raw) if "goAway" in one]
    assert away == ["12.5s"]
    assert moment(sim, "cut") - moment(sim, "go_away") == pytest.approx(12.5)


@pytest.mark.parametrize("how", ["same_id", "new_id", "part"])
async def test_a_tool_call_comes_twice(autojump_clock: MockClock, how: Any) -> None:
    sim = moody(DoubleToolCall(how))
    async with session(sim, tools=TOOLS) as client:
        await client.turn(tone_clip(99, 400, 16000))
        got = await client.until("toolCall")
        if how != "part":
            got += await client.until("toolCall")
        calls = [call for one in got if "toolCall" in one for call in one["toolCall"]["functionCalls"]]
        parts = [part["functionCall"] for turn in contents(got, "modelTurn") for part in turn["parts"]]
        assert len(calls) + len(parts) == 2
        ids = {call["id"] for call in (*calls, *parts)}
        assert len(ids) == (2 if how == "new_id" else 1)
        for call_id in ids:
            one = {"id": call_id, "name": "book", "response": {"message": "Booked."}}
            await client.send({"toolResponse": {"functionResponses": [one]}})
        await client.until("turnComplete")
    assert sim.protocol_faults == []
    assert sim.sessions[0].late_answers == 0


async def test_an_interruption_may_be_a_phantom(autojump_clock: MockClock) -> None:
    async with session(moody(PhantomInterrupted(), turn=2)) as client:
        await behaves(client)
        await client.until("sessionResumptionUpdate")
        await client.turn(QUESTION, NOTES)
        phantom = await client.until("turnComplete")
        assert contents(phantom, "interrupted") == [True]
        assert len(phantom) == 2
        assert text_of(await client.until("turnComplete"), "outputTranscription") == NOTES


async def test_a_runaway_goes_on_until_it_is_interrupted(autojump_clock: MockClock) -> None:
    sim = moody(Runaway(60.0), pace=3.0)
    async with session(sim) as client:
        await client.turn(QUESTION, NOTES)
        with trio.move_on_after(15):
            await client.until("turnComplete")
        await client.realtime(activityStart={})
        await client.until("turnComplete")
    assert 40_000 < sim.sessions[0].spoken[0].audio_ms < 50_000


UNUSABLE = [kind for kind in EVERY_NONSENSE if kind not in {"not_audio", "text_only", "huge_frame"}]


@pytest.mark.parametrize("kind", EVERY_NONSENSE)
async def test_nonsense_comes_before_the_answer(autojump_clock: MockClock, kind: Nonsense) -> None:
    sim = moody(Garbled((kind,), repeat=3), turn=1)
    async with session(sim) as client:
        client.websocket._max_message_size = 16 * 1024 * 1024
        await client.turn(QUESTION, NOTES)
        raws = [await client.websocket.get_message() for _ in range(6)][3:]
        assert len(set(raws)) == 1, "voiceActivity and the transcript, then three times the same nonsense"
        assert isinstance(raws[0], bytes)
        if kind in UNUSABLE:
            with pytest.raises(ModelProtocolFault):
                gemini_live.decode(raws[0])
        else:
            heard = [one for one in gemini_live.decode(raws[0]) if type(one).__name__ == "ModelAudio"]
            assert bool(heard) == (kind == "huge_frame")
        if kind == "huge_frame":
            assert len(raws[0]) > 10_000_000
        assert text_of(await client.until("turnComplete"), "outputTranscription") == NOTES


async def test_nonsense_may_be_all_there_is(autojump_clock: MockClock) -> None:
    sim = moody(Garbled(("text_only", "not_audio"), repeat=4, instead=True))
    async with session(sim) as client:
        await client.turn(QUESTION, NOTES)
        for _ in range(7):
            await client.get()
        await nothing_comes(client, 60)
    assert [one.detail for one in sim.moments if one.what == "garbled"] == ["text_only", "not_audio"] * 2


async def test_a_reset_is_an_abrupt_end(autojump_clock: MockClock) -> None:
    sim = moody(Cut(1006, after_ms=200), turn=1)
    async with session(sim) as client:
        await client.turn(QUESTION, NOTES)
        with pytest.raises(ConnectionClosed) as closed:
            await client.until("turnComplete")
    assert closed.value.reason is not None
    assert closed.value.reason.code == 1006
    assert sim.sessions[0].closed_code == 1006
