"""What a response says: think, speak or write at a pace, call functions, be over; with whatever mood is due.

Runs as a task of its own under the response's cancel scope; everything it sends goes through the link.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice

import trio

from engine.sim import openai_events as events
from engine.sim.brain import Reply, ToolWish
from engine.sim.manner import Manner
from engine.sim.moods import (
    Cut,
    Garbled,
    PhantomMidway,
    Runaway,
    Slow,
    Stalls,
    TextOnly,
    Unanswered,
    UnknownTool,
)
from engine.sim.openai_items import Item
from engine.sim.openai_response import Response, break_off, close_item, finish, open_item
from engine.sim.openai_stage import OpenStage, out_of_quota
from engine.sim.openai_tool_calls import call, call_wrongly

_MOST_ROUNDS = 5  # responses that call tools one after the other; the service warns of models that never stop
_AHEAD = 3  # transcripts run ahead of the sound by about this factor
_WORD_S = 0.02  # a written word
_WORD_MS = 280  # what it would last if it were said


@dataclass(frozen=True, slots=True)
class _Piece:
    """What goes out at one moment: text and sound, either of which may be missing. ``ms``: how much speech it is."""

    at_s: float
    text: str
    audio: str
    ms: float


class _OverError(Exception):
    """The response has ended before its reply did, and the client knows."""


async def give(response: Response, stage: OpenStage, manner: Manner) -> None:
    """The whole response, from thinking to ``response.done``; cancelled by ``break_off`` or the connection's end."""
    if stage.mood(Unanswered) is not None:
        await trio.sleep_forever()  # it stays in progress until somebody cancels it
    slow = stage.mood(Slow)
    await trio.sleep(slow.first_audio_s if slow else manner.think_s)
    if (garbled := stage.mood(Garbled)) is not None:
        await _talk_nonsense(garbled, response, stage)
        if garbled.instead:
            await trio.sleep_forever()
    try:
        await _carry_out(response, stage, manner)
    except _OverError:
        return
    await finish(response, stage, "completed")


async def _carry_out(response: Response, stage: OpenStage, manner: Manner) -> None:
    turn = response.turn
    if (strange := stage.mood(UnknownTool)) is not None:
        await call_wrongly(ToolWish(strange.name, strange.arguments), response, stage)
        return
    reply, turn.instead = turn.instead, None
    if reply is None:
        heard = replace(turn.heard, results=tuple(turn.results), tools=response.wanted.tools)
        reply = _obedient(manner.brain.reply(heard), response)
    turn.rounds += 1
    await _speak(reply, response, stage, manner)
    if reply.tools and turn.rounds <= _MOST_ROUNDS:
        await call(reply.tools, response, stage)


def _obedient(reply: Reply, response: Response) -> Reply:
    """The same, with the tool that was demanded, where one was."""
    forced = response.wanted.forced
    if not forced or any(forced in ("required", wish.name) for wish in reply.tools):
        return reply
    return Reply("", (ToolWish(response.wanted.tools[0] if forced == "required" else forced),))


async def _speak(reply: Reply, response: Response, stage: OpenStage, manner: Manner) -> None:
    """Send one reply's sound and text.

    Raises:
        _OverError: it ended in the middle, with everything told.
    """
    cut = stage.mood(Cut)
    if cut is not None and cut.after_ms == 0:
        await _cut(cut, response, stage)
    wordless = stage.mood(TextOnly) if reply.text else None
    writes = response.wanted.writes or (wordless is not None and wordless.how == "part")
    text, sound = reply.text, None
    if not writes and wordless is None:
        sound = reply.sound if reply.sound is not None else await manner.voice(text) if text else None
    if not text and (sound is None or len(sound) == 0):
        return
    chunks: tuple[tuple[str, float], ...] = ()
    if sound is not None and len(sound) > 0:
        chunks = events.audio_deltas(sound.astype("<i2").tobytes(), response.wanted.output_format, manner.chunk_ms)
    pace = manner.pace
    if (runaway := stage.mood(Runaway)) is not None:
        text, chunks = _without_end(runaway, text, chunks)
        pace = math.inf if runaway.at_once else pace
    if chunks:
        pieces = _voiced(text, chunks, manner.chunk_ms / 1000 / pace)
    else:
        pieces = _written(text, 0.0 if math.isinf(pace) else _WORD_S)
    item = Item(stage.new_id("item"), "assistant", voiced=not writes)
    item.transcript = "" if item.voiced else None
    item.whole_text, item.whole_ms = text, sum(ms for _, ms in chunks)
    await open_item(response, stage, item)
    await _send_pieces(pieces, item, response, stage, cut)
    if cut is not None:
        await _cut(cut, response, stage)
    await close_item(response, stage, "completed")
    stage.note("generation_complete")


async def _send_pieces(
    pieces: Sequence[_Piece], item: Item, response: Response, stage: OpenStage, cut: Cut | None
) -> None:
    stalls, phantom = stage.mood(Stalls), stage.mood(PhantomMidway)
    began, said_ms = trio.current_time(), 0.0
    for piece in pieces:
        await trio.sleep_until(began + piece.at_s)
        await _send(piece, item, response, stage)
        said_ms += piece.ms
        if cut is not None and said_ms >= cut.after_ms:
            await _cut(cut, response, stage)
        if stalls is not None and said_ms >= stalls.after_ms:
            stage.note("stalled", f"after {response.turn.spoken.audio_ms:.0f} ms")
            await trio.sleep_forever()
        if phantom is not None and said_ms >= phantom.after_ms:
            stage.note("phantom_interrupted")
            await _break_off_unasked(phantom, response, stage)
        if response.wanted.limit is not None and response.spent >= response.wanted.limit:
            await finish(response, stage, "incomplete", "max_output_tokens")
            raise _OverError


async def _send(piece: _Piece, item: Item, response: Response, stage: OpenStage) -> None:
    index, spoken = response.items.index(item), response.turn.spoken
    if piece.text:
        await stage.emit(events.delta("transcript" if item.voiced else "text", response.id, index, item, piece.text))
        item.text += piece.text
        item.transcript = item.text if item.voiced else None
        begins = spoken.text and item.text == piece.text  # a second item of the same turn
        spoken.text += f" {piece.text}" if begins else piece.text
    if piece.audio:
        await stage.emit(events.delta("audio", response.id, index, item, piece.audio))
        stage.has_spoken = True
        item.audio_ms += piece.ms
        spoken.audio_ms += piece.ms
    if spoken.first_audio_at is None and (piece.audio or not item.voiced):
        spoken.first_audio_at = trio.current_time()
        stage.note("first_audio", "" if piece.audio else "in writing")


async def _cut(cut: Cut, response: Response, stage: OpenStage) -> None:
    refused = out_of_quota(cut.reason)
    if refused is not None:
        trouble = {"type": refused.kind, "code": refused.code, "message": str(refused)}
        await finish(response, stage, "failed", trouble=trouble)
    await stage.end(cut.code, cut.reason)


async def _break_off_unasked(phantom: PhantomMidway, response: Response, stage: OpenStage) -> None:
    # Not from within its own scope, which it cancels: a task of the connection's tells the end.
    stage.nursery.start_soon(_tell_end, phantom, response, stage)
    await trio.sleep_forever()


async def _tell_end(phantom: PhantomMidway, response: Response, stage: OpenStage) -> None:
    if response.phase == "running":
        await break_off(response, stage, "turn_detected", told=phantom.ends_turn)


async def _talk_nonsense(mood: Garbled, response: Response, stage: OpenStage) -> None:
    for kind in islice(cycle(mood.kinds), mood.repeat):
        stage.note("garbled", kind)
        await stage.link.send(events.nonsense(kind, response.id))


def _without_end(
    mood: Runaway, text: str, chunks: tuple[tuple[str, float], ...]
) -> tuple[str, tuple[tuple[str, float], ...]]:
    """Text and sound of an answer that does not stop."""
    once_ms = sum(ms for _, ms in chunks) or len(text.split()) * _WORD_MS
    times = max(1, math.ceil(mood.speech_s * 1000 / once_ms))
    said = [text if mood.repeats else f"Thought number {number} leads to the one after it." for number in range(times)]
    return " ".join(said), chunks * times


def _voiced(text: str, chunks: Sequence[tuple[str, float]], step_s: float) -> list[_Piece]:
    """Sound, each chunk with the words that go out ahead of it."""
    words, said = text.split(), dict[int, str]()
    slots = max(1, len(chunks) // _AHEAD)
    for at, word in enumerate(words):
        slot = at * slots // len(words)
        said[slot] = said.get(slot, "") + (f" {word}" if at else word)
    return [_Piece(at * step_s, said.get(at, ""), audio, ms) for at, (audio, ms) in enumerate(chunks)]


def _written(text: str, word_s: float) -> list[_Piece]:
    words = text.split()
    return [_Piece(at * word_s, f" {word}" if at else word, "", _WORD_MS) for at, word in enumerate(words)]
