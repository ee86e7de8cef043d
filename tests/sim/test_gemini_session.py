from typing import Any

import numpy as np
import pytest
import trio
from numpy.typing import NDArray
from trio.testing import MockClock
from trio_websocket import ConnectionRejected

from engine.sim.brain import EchoBrain
from engine.sim.ear import ToneEar
from engine.sim.gemini import PATH, SimGemini
from engine.sim.tones import tone_clip

from .gemini_client import ANSWER, NOTES, QUESTION, dial, grounded, pcm_of, session, text_of


async def handle_after_a_turn(sim: SimGemini) -> str:
    async with session(sim) as client:
        await client.turn(QUESTION, NOTES)
        update = (await client.until("sessionResumptionUpdate"))[-1]["sessionResumptionUpdate"]
    assert update["resumable"]
    return str(update["newHandle"])


async def test_a_handle_brings_the_history_back(autojump_clock: MockClock) -> None:
    sim = grounded()
    handle = await handle_after_a_turn(sim)
    async with session(sim, sessionResumption={"handle": handle}) as client:
        await client.turn(None, "Please answer the caller's last words now.")
        assert text_of(await client.until("turnComplete"), "outputTranscription") == ANSWER
    first, second = sim.sessions
    assert second.resumed
    assert second.session_id == first.session_id
    assert second.history[: len(first.history)] == first.history


async def test_resuming_a_session_that_is_still_connected_is_refused(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with session(sim) as client:
        await client.turn(QUESTION, NOTES)
        update = (await client.until("sessionResumptionUpdate"))[-1]["sessionResumptionUpdate"]
        async with dial(sim) as second:
            setup = {"model": "models/gemini-3.8-live", "sessionResumption": {"handle": update["newHandle"]}}
            await second.send({"setup": setup})
            assert await second.closed_with() == 1011
    assert sim.protocol_faults[0].code == 1011


@pytest.mark.parametrize("age_s", [0.0, 7300.0])
async def test_a_handle_that_is_unknown_or_too_old_is_not_found(autojump_clock: MockClock, age_s: float) -> None:
    sim = grounded()
    handle = await handle_after_a_turn(sim) if age_s else "handle-of-somebody-else"
    await trio.sleep(age_s)
    async with dial(sim) as client:
        setup = {"model": "models/gemini-3.8-live", "sessionResumption": {"handle": handle}}
        await client.send({"setup": setup})
        assert await client.closed_with() == 1008
    assert sim.protocol_faults == [], "a client cannot know that"


async def test_history_is_seeded_without_an_answer(autojump_clock: MockClock) -> None:
    sim = grounded()
    turns = [{"role": role, "parts": [{"text": text}]} for role, text in (("user", NOTES), ("user", "When?"))]
    async with session(sim, historyConfig={"initialHistoryInClientContent": True}) as client:
        await client.send({"clientContent": {"turns": turns, "turnComplete": True}})
        with trio.move_on_after(10) as waited:
            await client.get()
        assert waited.cancelled_caught, "nothing is said to history"
        await client.turn(None, "Please answer the caller's last words now.")
        assert text_of(await client.until("turnComplete"), "outputTranscription") == ANSWER


async def test_content_without_seeding_is_answered(autojump_clock: MockClock) -> None:
    turn = {"role": "user", "parts": [{"text": 'Say: "Hello there."'}]}
    async with session(grounded()) as client:
        await client.send({"clientContent": {"turns": [turn], "turnComplete": True}})
        assert text_of(await client.until("turnComplete"), "outputTranscription") == "Hello there."


async def test_automatic_detection_finds_the_turn_by_itself(autojump_clock: MockClock) -> None:
    sim = grounded()
    silence: NDArray[np.int16] = np.zeros(16000, np.int16)
    async with session(sim, realtimeInputConfig={"automaticActivityDetection": {"silenceDurationMs": 400}}) as client:
        await client.audio(np.concatenate([silence, QUESTION, silence]))
        got = await client.until("turnComplete")
        assert text_of(got, "inputTranscription") == " tone 17"
        await client.audio(np.concatenate([silence, QUESTION]))
        await client.realtime(audioStreamEnd=True)
        assert text_of(await client.until("turnComplete"), "inputTranscription") == " tone 17"
        await client.realtime(text='Say: "Hello there."')
        assert text_of(await client.until("turnComplete"), "outputTranscription") == "Hello there."
    assert [commit.transcript for commit in sim.sessions[0].commits] == ["tone 17", "tone 17", None]
    assert 1500 <= sim.sessions[0].commits[0].audio_ms <= 2000


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", [(b"x-goog-api-key", b"k")], 404),
        (PATH.replace("v1beta", "v2"), [(b"x-goog-api-key", b"k")], 404),
        (PATH, [], 403),
        (PATH, [(b"x-goog-api-key", b"")], 403),
        (PATH, [(b"x-goog-api-key", b"wrong")], 403),
    ],
)
async def test_a_wrong_path_or_key_gets_no_further_than_the_handshake(
    autojump_clock: MockClock, path: str, headers: Any, status: int
) -> None:
    sim = grounded(api_key="k")
    with pytest.RaisesGroup(ConnectionRejected, flatten_subgroups=True) as refused:
        async with dial(sim, path=path, headers=headers):
            pass
    rejected = refused.value.exceptions[0]
    assert isinstance(rejected, ConnectionRejected)
    assert rejected.status_code == status
    assert sim.sessions[0].closed_code == 1006


async def test_the_key_may_be_in_the_query(autojump_clock: MockClock) -> None:
    async with dial(grounded(api_key="k"), path=f"{PATH.replace('v1beta', 'v1')}?key=k", headers=[]) as client:
        await client.send({"setup": {"model": "models/gemini-3.8-live"}})
        assert "setupComplete" in await client.get()


@pytest.mark.parametrize(
    "message",
    [
        {"realtimeInput": {"mediaChunks": []}},
        {"realtimeInput": {"activityEnd": {}}},
        {"setup": {"model": "models/gemini-3.8-live"}},
        {"toolResponse": {"functionResponses": [{"id": "x", "name": "book", "response": {}}]}},
        {"realtimeInput": {"audioStreamEnd": True}},
    ],
)
async def test_a_client_that_breaks_the_rules_is_closed_and_recorded(autojump_clock: MockClock, message: Any) -> None:
    sim = grounded()
    async with session(sim) as client:
        await client.send(message)
        assert await client.closed_with() == 1007
    [fault] = sim.protocol_faults
    assert (fault.session, fault.code) == (1, 1007)
    assert sim.sessions[0].closed_code == 1007
    assert sim.sessions[0].closed_at is not None


async def test_nothing_but_setup_opens_a_session(autojump_clock: MockClock) -> None:
    sim = grounded()
    async with dial(sim) as client:
        await client.audio(QUESTION[:1600])
        assert await client.closed_with() == 1007
    assert "setup must be the first" in sim.protocol_faults[0].reason


async def test_the_same_seed_gives_the_same_identifiers(autojump_clock: MockClock) -> None:
    async def identifiers(seed: int) -> str:
        async with session(SimGemini(ear=ToneEar(), brain=EchoBrain(tone_clip(1, 200, 24000)), seed=seed)) as client:
            await client.turn(QUESTION)
            return str((await client.until("sessionResumptionUpdate"))[-1]["sessionResumptionUpdate"]["newHandle"])

    assert await identifiers(1) == await identifiers(1) != await identifiers(2)


async def test_a_canned_answer_is_sent_as_it_is(autojump_clock: MockClock) -> None:
    sound = tone_clip(321, 400, 24000)
    async with session(SimGemini(ear=ToneEar(), brain=EchoBrain(sound, "Hello."))) as client:
        for _ in range(2):
            await client.turn(QUESTION)
            got = await client.until("turnComplete")
            assert (pcm_of(got) == sound).all()
