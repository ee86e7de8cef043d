"""One answer of a simulated model: think, call tools, speak at a pace, and end the turn; with whatever mood is due.

Runs as a task of its own under a cancel scope that a barge-in cancels; everything it sends goes through the link.
"""

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from typing import Any, Protocol, TypeVar

import numpy as np
import trio
from numpy.typing import NDArray

from engine.sim import gemini_frames as frames
from engine.sim.brain import Brain, HeardTurn, Reply, ToolWish
from engine.sim.gemini_link import Link
from engine.sim.gemini_record import Spoken
from engine.sim.gemini_rules import ToolAnswer
from engine.sim.moods import Cut, DoubleToolCall, Garbled, Mood, Runaway, Slow

Voice = Callable[[str], Awaitable[NDArray[np.int16]]]
SomeMood = TypeVar("SomeMood", bound=Mood)

_MOST_ROUNDS = 5  # tool calls one after the other in one turn; the service warns of models that never stop


@dataclass(frozen=True, slots=True)
class Manner:
    """How a model speaks.

    Attributes:
        voice: text -> 16 bit at 24 kHz.
        pace: times real time at which audio is sent.
        think_s: from the commit to the first audio.
        chunk_ms: audio per message.
    """

    brain: Brain
    voice: Voice
    pace: float = 3.0
    think_s: float = 0.25
    chunk_ms: int = 40


class Stage(Protocol):
    """What an answer needs of its session."""

    link: Link

    def mood(self, kind: type[SomeMood], *, ahead: int = 0) -> SomeMood | None:
        """The mood of this kind that is due in this turn, used up."""

    def note(self, what: str, detail: str = "") -> None:
        """Log a moment."""

    def ask(self, wish: ToolWish) -> str:
        """A new tool call: its id."""

    def ask_again(self, call_id: str) -> None:
        """The same call once more, under the same id."""

    async def end(self, code: int, reason: str) -> None:
        """Close the connection; does not return."""

    def usage(self, spoken: Spoken) -> Mapping[str, Any]:
        """What the turn cost."""

    async def turn_over(self, spoken: Spoken) -> None:
        """The turn was completed."""


@dataclass(slots=True)
class Answer:
    """An answer under way. ``pending``: calls that have no answer yet; ``answered`` wakes whoever waits for them."""

    turn: HeardTurn
    spoken: Spoken
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    pending: set[str] = field(default_factory=set)
    answers: list[ToolAnswer] = field(default_factory=list)
    answered: trio.Event = field(default_factory=trio.Event)

    def take(self, answer: ToolAnswer) -> bool:
        """Whether this answer was waited for."""
        if answer.call_id not in self.pending:
            return False
        self.pending.discard(answer.call_id)
        self.answers.append(answer)
        self.answered.set()
        return True


async def give(answer: Answer, stage: Stage, manner: Manner, *, transcribes: bool) -> None:
    """The whole answer, from thinking to ``turnComplete``; cancelled by a barge-in, or by the end of the connection."""
    slow = stage.mood(Slow)
    await trio.sleep(slow.first_audio_s if slow else manner.think_s)
    if (garbled := stage.mood(Garbled)) is not None:
        await _talk_nonsense(garbled, stage)
        if garbled.instead:
            return
    reply = manner.brain.reply(answer.turn)
    playback = 0.0
    for _ in range(_MOST_ROUNDS):
        playback += await _speak(reply, answer, stage, manner, transcribes=transcribes)
        if not reply.tools:
            break
        answers = await _call_tools(reply.tools, answer, stage)
        if all(one.scheduling == "SILENT" for one in answers):
            break
        reply = manner.brain.reply(replace(answer.turn, results=tuple(answer.answers)))
    await stage.link.send(frames.generation_complete())
    stage.note("generation_complete")
    # The service ends a turn when it believes that it has been played.
    if answer.spoken.first_audio_at is not None:
        await trio.sleep_until(answer.spoken.first_audio_at + playback)
    await stage.link.send(frames.turn_complete(stage.usage(answer.spoken)))
    answer.spoken.complete = True
    stage.note("turn_complete")
    await stage.turn_over(answer.spoken)


async def _speak(reply: Reply, answer: Answer, stage: Stage, manner: Manner, *, transcribes: bool) -> float:
    """Send one reply's sound and text; how long it plays, in seconds."""
    cut = stage.mood(Cut)
    if cut is not None and cut.after_ms == 0:
        await stage.end(cut.code, cut.reason)
    sound = reply.sound if reply.sound is not None else await manner.voice(reply.text) if reply.text else None
    if sound is None or len(sound) == 0:
        return 0.0
    text = reply.text
    if (runaway := stage.mood(Runaway)) is not None:
        times = max(1, math.ceil(runaway.speech_s * frames.OUTPUT_RATE / len(sound)))
        sound, text = np.tile(sound, times), " ".join([text] * times)
    messages = frames.audio_frames(sound.astype("<i2").tobytes(), manner.chunk_ms)
    deltas = _deltas(text, len(messages), first=not answer.spoken.text)
    began = trio.current_time()
    for at, message in enumerate(messages):
        await trio.sleep_until(began + at * manner.chunk_ms / 1000 / manner.pace)
        if transcribes and (delta := deltas.get(at)):
            await stage.link.send(frames.output_text(delta))
        await stage.link.send(message)
        if answer.spoken.first_audio_at is None:
            answer.spoken.first_audio_at = trio.current_time()
            stage.note("first_audio")
        answer.spoken.audio_ms += min(manner.chunk_ms, len(sound) * 1000 / frames.OUTPUT_RATE - at * manner.chunk_ms)
        answer.spoken.text += deltas.get(at, "")
        if cut is not None and (at + 1) * manner.chunk_ms >= cut.after_ms:
            await stage.end(cut.code, cut.reason)
    if cut is not None:
        await stage.end(cut.code, cut.reason)
    return len(sound) / frames.OUTPUT_RATE


async def _call_tools(wishes: tuple[ToolWish, ...], answer: Answer, stage: Stage) -> list[ToolAnswer]:
    """Call them all and wait until each has been answered."""
    calls = [{"id": stage.ask(wish), "name": wish.name, "args": dict(wish.arguments)} for wish in wishes]
    double = stage.mood(DoubleToolCall)
    if double is not None and double.how == "part":
        await stage.link.send(frames.tool_call_part(calls[0]))
    answer.pending.update(str(call["id"]) for call in calls)
    await stage.link.send(frames.resumption(""))  # not while a call is pending
    await stage.link.send(frames.tool_call(calls))
    if double is not None and double.how == "same_id":
        stage.ask_again(str(calls[0]["id"]))
        await stage.link.send(frames.tool_call(calls[:1]))
    if double is not None and double.how == "new_id":
        again = {**calls[0], "id": stage.ask(wishes[0])}
        answer.pending.add(str(again["id"]))
        await stage.link.send(frames.tool_call([again]))
    before = len(answer.answers)
    while answer.pending:
        answer.answered = trio.Event()
        await answer.answered.wait()
    return answer.answers[before:]


async def _talk_nonsense(mood: Garbled, stage: Stage) -> None:
    for kind in islice(cycle(mood.kinds), mood.repeat):
        stage.note("garbled", kind)
        await stage.link.send(frames.nonsense(kind))


def _deltas(text: str, messages: int, *, first: bool) -> dict[int, str]:
    """Which words go out ahead of which message: evenly over the sound. Each brings its own space."""
    said: dict[int, str] = {}
    words = text.split()
    for at, word in enumerate(words):
        slot = at * messages // len(words)
        said[slot] = said.get(slot, "") + (word if first and at == 0 else f" {word}")
    return said
