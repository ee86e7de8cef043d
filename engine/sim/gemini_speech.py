"""One answer of a simulated model: think, call tools, speak at a pace, and end the turn; with whatever mood is due.

Runs as a task of its own under a cancel scope that a barge-in cancels; everything it sends goes through the link.
"""

import math
from dataclasses import replace
from itertools import cycle, islice

import numpy as np
import trio
from numpy.typing import NDArray

from engine.sim import gemini_frames as frames
from engine.sim.brain import Reply
from engine.sim.gemini_answer import Answer, Stage
from engine.sim.gemini_tool_calls import call_strangely, call_tools
from engine.sim.manner import Manner
from engine.sim.moods import Cut, Garbled, PhantomMidway, Runaway, Slow, Stalls, TextOnly

_MOST_ROUNDS = 5  # tool calls one after the other in one turn; the service warns of models that never stop


class _BrokenOffError(Exception):
    """The model stopped in mid-answer, and believes that the caller made it."""


async def give(answer: Answer, stage: Stage, manner: Manner, *, transcribes: bool) -> None:
    """The whole answer, from thinking to ``turnComplete``; cancelled by a barge-in, or by the end of the connection."""
    slow = stage.mood(Slow)
    await trio.sleep(slow.first_audio_s if slow else manner.think_s)
    if (garbled := stage.mood(Garbled)) is not None:
        await _talk_nonsense(garbled, stage)
        if garbled.instead:
            return
    try:
        playback = await _say_all(answer, stage, manner, transcribes=transcribes)
    except _BrokenOffError:
        await stage.turn_over(answer.spoken)
        return
    await stage.link.send(frames.generation_complete())
    stage.note("generation_complete")
    # The service ends a turn when it believes that it has been played.
    if answer.spoken.first_audio_at is not None:
        await trio.sleep_until(answer.spoken.first_audio_at + playback)
    await stage.link.send(frames.turn_complete(stage.usage(answer.spoken)))
    answer.spoken.complete = True
    stage.note("turn_complete")
    await stage.turn_over(answer.spoken)


async def _say_all(answer: Answer, stage: Stage, manner: Manner, *, transcribes: bool) -> float:
    """Speak and call tools in turn until there is nothing more to say; how long it plays, in seconds."""
    await call_strangely(answer, stage)
    reply = manner.brain.reply(answer.turn)
    playback = 0.0
    for _ in range(_MOST_ROUNDS):
        playback += await _speak(reply, answer, stage, manner, transcribes=transcribes)
        if not reply.tools:
            break
        answers = await call_tools(reply.tools, answer, stage)
        if all(one.scheduling == "SILENT" for one in answers):
            break
        reply = manner.brain.reply(replace(answer.turn, results=tuple(answer.answers)))
    return playback


async def _speak(reply: Reply, answer: Answer, stage: Stage, manner: Manner, *, transcribes: bool) -> float:
    """Send one reply's sound and text; how long it plays, in seconds.

    Raises:
        _BrokenOffError: in the middle of it, in that mood.
    """
    cut = answer.cut = answer.cut or stage.mood(Cut)
    if cut is not None and cut.after_ms == 0:
        await stage.end(cut.code, cut.reason)
    if reply.text and (written := stage.mood(TextOnly)) is not None:
        answer.spoken.text += reply.text
        await _write(written, reply.text, stage)
        return 0.0
    sound = reply.sound if reply.sound is not None else await manner.voice(reply.text) if reply.text else None
    if sound is None or len(sound) == 0:
        return 0.0
    pace, text = manner.pace, reply.text
    if (runaway := stage.mood(Runaway)) is not None:
        sound, text = _without_end(runaway, sound, text)
        pace = math.inf if runaway.at_once else pace
    messages = frames.audio_frames(sound.astype("<i2").tobytes(), manner.chunk_ms)
    deltas = frames.deltas(text, len(messages), first=not answer.spoken.text)
    stalls, phantom = stage.mood(Stalls), stage.mood(PhantomMidway)
    began = trio.current_time()
    for at, message in enumerate(messages):
        await trio.sleep_until(began + at * manner.chunk_ms / 1000 / pace)
        if transcribes and (delta := deltas.get(at)):
            await stage.link.send(frames.output_text(delta))
        await stage.link.send(message)
        if answer.spoken.first_audio_at is None:
            answer.spoken.first_audio_at = trio.current_time()
            stage.note("first_audio")
        answer.spoken.audio_ms += min(manner.chunk_ms, len(sound) * 1000 / frames.OUTPUT_RATE - at * manner.chunk_ms)
        answer.spoken.text += deltas.get(at, "")
        sent_ms = (at + 1) * manner.chunk_ms
        if cut is not None and sent_ms >= cut.after_ms:
            await stage.end(cut.code, cut.reason)
        if stalls is not None and sent_ms >= stalls.after_ms:
            stage.note("stalled", f"after {answer.spoken.audio_ms:.0f} ms")
            await trio.sleep_forever()
        if phantom is not None and sent_ms >= phantom.after_ms:
            await _break_off(phantom, answer, stage)
    if cut is not None:
        await stage.end(cut.code, cut.reason)
    return len(sound) / frames.OUTPUT_RATE


async def _break_off(phantom: PhantomMidway, answer: Answer, stage: Stage) -> None:
    answer.spoken.interrupted = True
    stage.note("phantom_interrupted", f"after {answer.spoken.audio_ms:.0f} ms")
    await stage.link.send(frames.interrupted())
    if phantom.ends_turn:
        await stage.link.send(frames.interrupted_turn_complete())
    raise _BrokenOffError


async def _write(mood: TextOnly, text: str, stage: Stage) -> None:
    for word in text.split():
        written = frames.output_text if mood.how == "transcript" else frames.text_part
        await stage.link.send(written(f" {word}"))


def _without_end(mood: Runaway, sound: NDArray[np.int16], text: str) -> tuple[NDArray[np.int16], str]:
    """Sound and text of an answer that does not stop."""
    times = max(1, math.ceil(mood.speech_s * frames.OUTPUT_RATE / len(sound)))
    said = [text if mood.repeats else f"Thought number {number} leads to the one after it." for number in range(times)]
    return np.tile(sound, times), " ".join(said)


async def _talk_nonsense(mood: Garbled, stage: Stage) -> None:
    for kind in islice(cycle(mood.kinds), mood.repeat):
        stage.note("garbled", kind)
        await stage.link.send(frames.nonsense(kind))
