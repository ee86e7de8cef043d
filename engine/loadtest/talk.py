"""What synthetic callers say and when, and how the simulated model knows what it was: cheap at both ends. PURE."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.audio import g711
from engine.audio.g711 import FRAME_BYTES, FRAME_MS
from engine.audio.speech import Endpoint, SpeechDetector
from engine.audio.vad import WebRtcVad, level_dbfs
from engine.errors import MisuseError
from engine.loadtest.plan import ANSWER_S, CYCLE_S, Plan
from engine.sim.brain import HeardTurn, Reply, ToolWish
from engine.sim.hearing import BYTES_PER_MS, loud_span
from engine.sim.scenario import Clip, HangUp, Listen, Moment, Say, SayOver
from engine.voice.cache import VoiceCache

QUESTIONS = (
    "Do you whiten teeth?",
    "Do you have parking?",
    "Do you take my insurance?",
    "Do you treat small children?",
    "Do you treat small children too?",
)
BEGINNING = "Do you"
BEGUN_MS = 500.0
PITCH = 0.86
LOUD = 400  # of 32767: the quietest 20 ms that count as the caller's voice
BARGE_IN_AFTER_MS = 600.0
LISTEN_S = 12.0
SHORTEST_REST_MS = 200.0  # between an answer and the next question
OPENING_HOURS = ToolWish("opening_hours")


def clips(cache: VoiceCache) -> tuple[Clip, ...]:
    """The questions as sound, which differ in length by enough to be told apart; slow the first time."""
    return tuple(Clip(text, cache.mulaw(text, pitch=PITCH)) for text in QUESTIONS)


def endpointing_ms(clip: Clip, *, pause_ms: int) -> float:
    """How long after the last loud sample of this the end of speech is known, by the engine's own detector on a line
    without jitter: what no server could take away, and so none of what it adds.
    """
    vad, detector = WebRtcVad(), SpeechDetector(endpointing_ms=pause_ms)
    sound = clip.mulaw + b"\xff" * (8 * (pause_ms + 1000))
    span = loud_span(clip.mulaw)
    assert span is not None, "a clip is something that is said"
    for frame in range(len(sound) // FRAME_BYTES):
        pcm = g711.decode(sound[frame * FRAME_BYTES : (frame + 1) * FRAME_BYTES])
        voiced = vad.is_speech(pcm.tobytes())
        if isinstance(detector.push(voiced, level_dbfs(pcm), 0.0, agent_speaking=False), Endpoint):
            return FRAME_MS * (frame + 1) - span[1] / BYTES_PER_MS
    raise MisuseError(f"{clip.text!r} is never over")


class LengthEar:
    """Tells the questions apart by how long they are: a simulated model's hearing that costs next to nothing.

    Load is about the engine, not about how a simulator hears: comparing sounds would cost more than a whole call.
    """

    def __init__(self, lengths_ms: Mapping[str, float]) -> None:
        self._lengths_ms = dict(lengths_ms)

    @classmethod
    def of(cls, said: Sequence[Clip]) -> "LengthEar":
        """Knows these."""
        return cls({clip.text: loud_ms(g711.decode(clip.mulaw), g711.SAMPLE_RATE_HZ) for clip in said})

    def hear(self, pcm: NDArray[np.int16], rate: int = 16000) -> str | None:
        """See ``sim.ear.Ear``."""
        return self.name(loud_ms(pcm, rate))

    def name(self, heard_ms: float) -> str | None:
        """The question that is loud for about so long; None where none is so short."""
        if heard_ms < BEGUN_MS:
            return None
        return min(self._lengths_ms, key=lambda text: abs(self._lengths_ms[text] - heard_ms))

    def partial(self, pcm: NDArray[np.int16], rate: int = 16000) -> str | None:
        """The words that all questions begin with."""
        return BEGINNING if 1000 * len(pcm) / rate >= BEGUN_MS else None


class Busy:
    """A brain with one answer for all, and before every fourth one a look at the opening hours: for ``tools: used``."""

    def __init__(self, answer: Reply) -> None:
        self._answer = answer

    def reply(self, turn: HeardTurn) -> Reply:
        """See ``sim.brain.Brain``."""
        answered = sum(said.role == "model" for said in turn.history)
        return Reply("", tools=(OPENING_HOURS,)) if calls_a_tool(answered) and not turn.results else self._answer


def calls_a_tool(answered: int) -> bool:
    """Whether the answer after so many does, where tools are used."""
    return answered % 4 == 3


def loud_ms(pcm: NDArray[np.int16], rate: int) -> float:
    """From the first to the last loud 20 ms."""
    block = rate // 50
    blocks = pcm[: len(pcm) // block * block].reshape(-1, block)
    if not len(blocks):
        return 0.0
    loud = np.flatnonzero(np.abs(blocks[:, :: rate // 4000]).max(axis=1) > LOUD)
    return 0.0 if not len(loud) else 20.0 * float(loud[-1] - loud[0] + 1)


@dataclass(frozen=True, slots=True)
class Talk:
    """One call's scenario."""

    moments: tuple[Moment, ...]

    @classmethod
    def of(cls, plan: Plan, said: Sequence[Clip], source: random.Random, *, seconds: float) -> "Talk":
        """A greeting, then turns for about so long: one every four seconds, or as fast as long questions allow. Starts
        are spread, so that no two calls move in step.
        """
        moments: list[Moment] = [Listen(quiet_ms=source.uniform(200, 1500), timeout_s=LISTEN_S)]
        turn, until_s = 0, 0.0
        while not turn or until_s < seconds:
            clip = said[source.randrange(len(said))]
            if turn and _interrupts(plan, turn, source):
                moments[-1] = SayOver(clip, BARGE_IN_AFTER_MS, timeout_s=LISTEN_S)
            else:
                moments.append(Say(clip))
            rest_ms = 1000 * (CYCLE_S - ANSWER_S) - len(clip.mulaw) / 8 - 500 - plan.think_ms
            moments.append(Listen(quiet_ms=max(SHORTEST_REST_MS, rest_ms), timeout_s=LISTEN_S))
            until_s += CYCLE_S + max(0.0, SHORTEST_REST_MS - rest_ms) / 1000
            turn += 1
        return cls((*moments, HangUp()))


def _interrupts(plan: Plan, turn: int, source: random.Random) -> bool:
    match plan.scenario:
        case "questions":
            return False
        case "barge-in":
            return turn % 2 == 1
        case "mixed":
            return source.random() < 0.2
