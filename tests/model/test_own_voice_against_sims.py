"""A tenant's own voice as a whole: the real providers and the session actor, both services simulated, over sockets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import trio
import trio.testing

from engine.audio import g711
from engine.messages import (
    AgentTranscript,
    Asked,
    CallerAudio,
    CommitTurn,
    EndUtterance,
    Notes,
    OpenTurn,
    Passage,
    PlayAudio,
    ReportHeard,
    ResponseFinished,
    Speak,
)
from engine.model.elevenlabs import ElevenLabs
from engine.model.openai_realtime import OpenAIRealtimeProvider
from engine.model.own_voice import OwnVoiceProvider
from engine.model.provider import HistoryItem, SessionSetup
from engine.sim.brain import GroundedBrain
from engine.sim.ear import ToneEar
from engine.sim.elevenlabs import SimElevenLabs
from engine.sim.moods import Cut, Mood, Refuse, Rule, Silent, Stalls
from engine.sim.openai import SimOpenAI
from engine.sim.tones import ToneVoice, identify, tone_clip
from tests.model.fake_gemini import FakeGemini
from tests.model.own_voice import TENANT, VOICE_ID
from tests.model.running import Running, run_over

Clock = trio.testing.MockClock
PASSAGE = "A check-up takes half an hour. It costs eighty dollars, and the first one is free for children."
NOTES = Notes(1, "how much", (Passage("acme", "prices.md", PASSAGE, 0.9),), 1.0)


@dataclass
class Whole:
    """Two services and a session on both."""

    running: Running
    openai: SimOpenAI
    voice: SimElevenLabs
    text: str = ""
    sound: bytes = b""
    generations: list[int] = field(default_factory=list)

    async def turn(self, turn_id: int) -> None:
        """The caller says something for half a second."""
        said = g711.encode(tone_clip(1, 500))
        await self.running.uplink.send(OpenTurn(turn_id))
        for start in range(0, len(said), 800):
            await self.running.uplink.send(CallerAudio(said[start : start + 800]))
            await trio.sleep(0.1)
        await trio.sleep(0.5)
        await self.running.uplink.send(CommitTurn(Asked(turn_id), Notes(turn_id, NOTES.query, NOTES.passages, 1.0)))

    async def speak(self, words: str) -> None:
        await self.running.uplink.send(Speak(0, f'Greet the caller with exactly these words: "{words}"', words))

    async def finished(self) -> None:
        """The next end of a response."""
        with trio.fail_after(20.0):
            while not isinstance(event := await self.running.inbox.receive(), ResponseFinished):
                if isinstance(event, AgentTranscript):
                    self.text += event.delta

    async def sounds(self, ms: float) -> None:
        """So much has come of the next utterance."""
        want = len(self.sound) + 8 * ms
        with trio.fail_after(20.0):
            while len(self.sound) < want:
                await trio.sleep(0.01)

    async def play(self) -> None:
        async for command in self.running.playout:
            if isinstance(command, PlayAudio):
                self.sound += command.mulaw
                self.generations.append(command.generation)
            else:
                assert isinstance(command, EndUtterance)


@asynccontextmanager
async def whole(*moods: Mood, pace: float = 10.0) -> AsyncIterator[Whole]:
    openai = SimOpenAI(ear=ToneEar(), brain=GroundedBrain(), voice=ToneVoice(200))
    voice = SimElevenLabs(voices=[VOICE_ID], rules=[Rule(mood) for mood in moods], pace=pace)
    _, unused = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        openai_url = await nursery.start(openai.serve)
        voice_url = await nursery.start(voice.serve)
        provider = OwnVoiceProvider(
            OpenAIRealtimeProvider(openai_url, "key", "gpt-realtime-2.1", transcribe_model="gpt-live-transcribe"),
            ElevenLabs(voice_url, "key"),
        )
        setup = SessionSetup(TENANT, "CA1", history=(HistoryItem("caller", "Hello?"),))
        async with provider.open_stream(setup) as stream, run_over(stream, FakeGemini(unused)) as running:
            session = Whole(running, openai, voice)
            nursery.start_soon(session.play)
            yield session
            assert running.lost is None
        nursery.cancel_scope.cancel()
    assert openai.protocol_faults == []
    assert voice.protocol_faults == []


def own(text: str) -> int:
    return ToneVoice.index_of(text)


async def test_a_turn_is_answered_from_its_notes_in_the_tenants_voice(autojump_clock: Clock) -> None:
    async with whole() as both:
        await both.speak("Hello, this is Acme.")
        await both.finished()
        assert both.text == "Hello, this is Acme."
        assert identify(g711.decode(both.sound), 8000) == own("Hello, this is Acme.")
        await both.turn(1)
        await both.finished()
    assert both.text.endswith("It costs eighty dollars, and the first one is free for children.")
    assert len(both.sound) == sum(8 * context.said_ms for context in both.voice.sessions[0].contexts)
    assert both.openai.sessions[0].commits[-1].notes_in_activity


async def test_after_an_interruption_the_model_remembers_what_was_heard(autojump_clock: Clock) -> None:
    async with whole(pace=1.5) as both:
        await both.turn(1)
        await both.sounds(1700.0)
        generation = both.generations[-1]
        await both.running.uplink.send(OpenTurn(2))
        await both.running.uplink.send(ReportHeard(generation, 1680.0))
        await trio.sleep(1.0)
        await both.running.commit(2)
        await trio.sleep(3.0)
    answer = [told.text for told in both.openai.sessions[0].responses[-1].context if told.kind == "assistant"]
    assert answer[-1] in PASSAGE
    assert answer[-1].startswith("A check-up takes")
    assert len(answer[-1]) < len(PASSAGE) / 2


@pytest.mark.parametrize("mood", [Cut(after_ms=800), Stalls(800), Silent()], ids=repr)
async def test_where_the_voice_fails_in_mid_sentence_the_model_says_the_rest(autojump_clock: Clock, mood: Mood) -> None:
    async with whole(mood) as both:
        await both.turn(1)
        await both.finished()
        assert both.text.split()[-6:] == PASSAGE.split()[-6:]
        assert abs(len(both.text.split()) - len(PASSAGE.split())) <= 1
        assert len(both.sound) > 8 * 1000
        before = len(both.sound)
        await both.turn(2)
        await both.finished()
        assert len(both.sound) > before


async def test_a_voice_that_is_away_at_the_start_is_not_missed_by_the_call(autojump_clock: Clock) -> None:
    async with whole(Refuse("http", status=401)) as both:
        await both.speak("Hello, this is Acme.")
        await both.finished()
    assert both.text == "Hello, this is Acme."
    assert identify(g711.decode(both.sound), 8000) == own("Hello, this is Acme.")
