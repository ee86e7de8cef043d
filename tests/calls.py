"""Whole calls under virtual time: a world with real speech, and a call that is checked for what it leaves."""

import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import trio
from numpy.typing import NDArray

from engine.audio import g711
from engine.audio.resample import Resampler
from engine.call.record import Moment as CallMoment
from engine.errors import ModelBusy, ModelLost, ModelRefused
from engine.fallback.prompts import Prompts
from engine.server.keeping import keep_in_memory
from engine.sim.brain import GroundedBrain, ToolWish
from engine.sim.caller import CallOptions
from engine.sim.ear import PhraseEar
from engine.sim.elevenlabs import SimElevenLabs
from engine.sim.gemini import SimGemini
from engine.sim.leaks import KEPT_ALIVE, open_sockets, watched
from engine.sim.moods import Rule
from engine.sim.network import Route
from engine.sim.openai import SimOpenAI
from engine.sim.report import PhoneReport
from engine.sim.scenario import Clip, Moment
from engine.sim.world import CALLER, World, open_world
from engine.speech.interface import Speech
from engine.store.interface import CallEnd
from engine.tenants import examples
from engine.tenants.tenant import Tenant
from engine.voice.cache import VoiceCache

PARKING = "Hi there, is there somewhere I can park?"
WHITENING = "And what does teeth whitening cost?"
BOOKING = "Could you book me a cleaning, next Monday at ten?"
BYE = "Perfect, thank you. Goodbye!"
HOLD_ON = "Wait, sorry, just one question about the prices."
MESSAGE = "This is Robin Lee. Please call me back about my appointment tomorrow."
MM_HM = "Mm-hm."
PHRASES = (PARKING, WHITENING, BOOKING, BYE, HOLD_ON, MESSAGE, MM_HM)
BOOK = ToolWish(
    "book_appointment",
    {"name": "Robin Lee", "day": "monday", "time": "10:00", "reason": "cleaning", "phone": CALLER},
)
TENANT = examples.load("harbor-dental")
SETTLE_S = 3.0  # virtual: the longest that anything of a call may take to end


class InlineVoice:
    """The model's voice, rendered in place: a thread would let the virtual clock run away meanwhile."""

    def __init__(self, cache: VoiceCache) -> None:
        self._cache = cache

    async def __call__(self, text: str) -> NDArray[np.int16]:
        await trio.lowlevel.checkpoint()
        return _in_model_form(self._cache, text)


@lru_cache(maxsize=256)
def _in_model_form(cache: VoiceCache, text: str) -> NDArray[np.int16]:
    return Resampler(8000, 24000).process(g711.decode(cache.mulaw(text)))


class PhraseSpeech:
    """What the local model hears and says with: hears ``PHRASES``, speaks in place, and takes as long as it is told.

    ``more``: phrases. ``fails``: from now on everything does, and nobody is admitted. ``places``: that are free; None:
    any number.
    """

    def __init__(
        self, cache: VoiceCache, more: Sequence[str] = (), *, hear_s: float = 0.15, say_s: float = 0.05
    ) -> None:
        self._cache = cache
        self._ear = phrase_ear(cache, more)
        self.hear_s, self.say_s = hear_s, say_s
        self.fails: ModelLost | None = None
        self.places: int | None = None

    @contextmanager
    def admit(self) -> Iterator[None]:
        if self.fails is not None:
            raise ModelRefused(str(self.fails))
        if self.places == 0:
            raise ModelBusy("every place is taken")
        if self.places is not None:
            self.places -= 1
        try:
            yield
        finally:
            if self.places is not None:
                self.places += 1

    async def recognise(self, mulaw: bytes) -> str:
        await self._take(self.hear_s)
        pcm = g711.decode(mulaw)
        return self._ear.hear(pcm, g711.SAMPLE_RATE_HZ) or self._ear.partial(pcm, g711.SAMPLE_RATE_HZ) or ""

    async def say(self, text: str) -> bytes:
        await self._take(self.say_s)
        return self._cache.mulaw(text)

    async def _take(self, seconds: float) -> None:
        await trio.sleep(seconds)
        if self.fails is not None:
            raise self.fails


@dataclass
class Call:
    """One call, judged: what the phone measured, what the engine kept."""

    report: PhoneReport
    end: CallEnd
    began_at: float

    def kinds(self) -> list[str]:
        """The timeline's kinds, in order."""
        return [moment["kind"] for moment in self.end.document["timeline"]]

    def moments(self, kind: str) -> list[dict[str, Any]]:
        """The timeline's entries of one kind."""
        return [moment for moment in self.end.document["timeline"] if moment["kind"] == kind]

    def said(self, role: str) -> list[str]:
        """What that side said, as heard."""
        return [line["text"] for line in self.end.document["transcript"] if line["role"] == role]


@dataclass
class Stage:
    """A world to place calls in."""

    world: World
    said: Mapping[str, Clip]
    timeline: list[CallMoment] = field(default_factory=list)

    @property
    def model(self) -> SimGemini:
        return self.world.model

    @property
    def prompts(self) -> Prompts:
        return self.world.composed.services.prompts.for_tenant(self.world.composed.tenants[0])

    async def call(
        self, scenario: Sequence[Moment], *, network: Route | None = None, options: CallOptions | None = None
    ) -> Call:
        """Place a call; assert that it left exactly one outcome and neither task nor socket."""
        sockets = open_sockets()
        with watched("recovery of") as watch:
            began_at = trio.current_time()
            report = await self.world.call(scenario, network=network, options=options)
            with trio.move_on_after(SETTLE_S):
                while watch.of_calls():
                    await trio.sleep(0.05)
            for _ in range(100):
                if not watch.of_calls():
                    break
                await trio.to_thread.run_sync(time.sleep, 0.02)  # what waits for a thread (a record being written)
            assert watch.of_calls() == []
        for _ in range(100):
            if open_sockets() <= sockets + KEPT_ALIVE:
                break
            await trio.to_thread.run_sync(time.sleep, 0.01)  # the kernel's own time, not the clock's
        assert open_sockets() <= sockets + KEPT_ALIVE
        assert len(self.world.composed.gateway.plane._slot_of) == 0
        return Call(report, await self.end_of(report.call_sid), began_at)

    async def end_of(self, call_sid: str) -> CallEnd:
        """The one end that this call left."""
        ends: list[CallEnd] = []
        for _ in range(100):
            ends = [end for end in await self.world.composed.store.calls(TENANT.id) if end.call_sid == call_sid]
            if ends:
                break
            # Records are written by a thread, which the virtual clock does not wait for.
            await trio.to_thread.run_sync(time.sleep, 0.02)
        assert len(ends) == 1
        return ends[0]


@asynccontextmanager
async def stage(
    tmp_path: Path,
    cache: VoiceCache,
    *rules: Rule,
    tenant: Tenant = TENANT,
    pace: float = 3.0,
    think_ms: int = 250,
    brain: GroundedBrain | None = None,
    openai: Sequence[Rule] | None = None,
    elevenlabs: Sequence[Rule] | None = None,
    local: Speech | None = None,
    more: Sequence[str] = (),
    **settings: Any,
) -> AsyncIterator[Stage]:
    """A world in which the caller can say ``PHRASES`` and the model misbehaves by ``rules``.

    Args:
        openai: the rules of OpenAI's model, where there is to be one.
        elevenlabs: the rules of the voice beside that, where there is to be one.
        local: of the local model, where there is to be one.
        more: phrases.
    """
    manner: dict[str, Any] = {
        "ear": phrase_ear(cache, more),
        "brain": brain or GroundedBrain(wishes={"book me a cleaning": BOOK}, answers={"goodbye": "Goodbye, then!"}),
        "voice": InlineVoice(cache),
        "pace": pace,
        "think_ms": think_ms,
    }
    model = SimGemini(**manner, rules=rules)
    timeline: list[CallMoment] = []
    async with open_world(
        data_dir=cache_dir(cache),
        keep=lambda _settings, known: keep_in_memory(known, tmp_path / "calls"),
        tenants=[tenant],
        model=model,
        openai=SimOpenAI(**manner, rules=openai) if openai is not None else None,
        elevenlabs=SimElevenLabs(voice=InlineVoice(cache), rules=elevenlabs) if elevenlabs is not None else None,
        speech=local,
        observe=lambda _sid, moment: timeline.append(moment),
        **settings,
    ) as world:
        yield Stage(world, phrases(cache, more), timeline)


def phrases(cache: VoiceCache, more: Sequence[str] = ()) -> dict[str, Clip]:
    """What the caller can say, as the caller's voice says it."""
    return {text: _clip(cache, text) for text in (*PHRASES, *more)}


@lru_cache(maxsize=256)
def _clip(cache: VoiceCache, text: str) -> Clip:
    return Clip(text, cache.mulaw(text, pitch=0.86))


def phrase_ear(cache: VoiceCache, more: Sequence[str] = ()) -> PhraseEar:
    """Understands that."""
    return _ear(cache, tuple(more))


@lru_cache(maxsize=32)
def _ear(cache: VoiceCache, more: tuple[str, ...]) -> PhraseEar:
    return PhraseEar({text: g711.decode(clip.mulaw) for text, clip in phrases(cache, more).items()})


def cache_dir(cache: VoiceCache) -> Path:
    """The data directory whose ``voice`` folder that cache is."""
    return cache._directory.parent
