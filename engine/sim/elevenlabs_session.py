"""One connection to the simulated voice: contexts, each with its sentences in order, all of them at once."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Any, Protocol

import numpy as np
import orjson
import trio

from engine.audio import g711
from engine.audio.resample import Resampler
from engine.sim.elevenlabs_rules import (
    MOST_CONTEXTS,
    Buffer,
    CloseContext,
    CloseSocket,
    Flush,
    Refused,
    Text,
    VoiceSettings,
    Wanted,
    alignment,
    as_fields,
    read_message,
)
from engine.sim.link import Link
from engine.sim.manner import Voice
from engine.sim.moods import Cut, Deaf, Garbled, Nonsense, Silent, Slow, SomeMood, Stalls

_RENDERED_HZ = 24_000
_HUGE_BYTES = 10 * 1024 * 1024


@dataclass(slots=True)
class ContextRecord:
    """One context. ``said_ms`` is what was sent of it; times are trio's clock."""

    context_id: str
    opened_at: float
    settings: VoiceSettings | None = None
    texts: list[str] = field(default_factory=list)
    said_ms: float = 0.0
    first_sound_at: float | None = None
    kept_alive: int = 0
    closed_at: float | None = None
    final_at: float | None = None


@dataclass(slots=True)
class VoiceRecord:
    """One connection, refused ones included. ``closed_code``: by whomever; 1006 where the connection just ended."""

    number: int
    opened_at: float
    path: str = ""
    wanted: Wanted | None = None
    contexts: list[ContextRecord] = field(default_factory=list)
    closed_at: float | None = None
    closed_code: int | None = None

    @property
    def texts(self) -> list[str]:
        """All that was to be said, in order."""
        return [text for context in self.contexts for text in context.texts]


@dataclass(frozen=True, slots=True)
class VoiceManner:
    """How a voice speaks: ``pace`` times real time, ``think_s`` after it was given a sentence, in such pieces."""

    voice: Voice
    pace: float
    think_s: float
    chunk_ms: int


class House(Protocol):
    """What all connections of one simulator share."""

    manner: VoiceManner
    voices: frozenset[str] | None

    def mood(self, kind: type[SomeMood], connection: int, turn: int) -> SomeMood | None:
        """See ``MoodSchedule.take``."""

    def note(self, session: int, what: str, detail: str = "") -> None:
        """Log a moment."""

    def fault(self, session: int, refused: Refused) -> None:
        """Log what the service would not have taken."""


class _Context:
    """An open context, or one that says what was flushed before it was closed."""

    def __init__(self, record: ContextRecord, *, whole_sentences: bool) -> None:
        self.record = record
        self.buffer = Buffer(whole_sentences=whole_sentences)
        self.say_send, self.say = trio.open_memory_channel[str](inf)
        self.turn = 0
        self.silent = False


async def run_session(house: House, link: Link, record: VoiceRecord, wanted: Wanted) -> None:
    """Speak until the connection ends, by whomever."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(link.run, nursery.cancel_scope)
        session = _Session(house, link, record, wanted, nursery)
        try:
            await session.read()
        except Refused as refused:
            house.fault(record.number, refused)
            error = {"message": str(refused), "error": refused.kind, "code": 1008}
            await link.send(orjson.dumps(error).decode())
            await link.flush()
            await link.close(1008, str(refused))
        nursery.cancel_scope.cancel()


class _Session:
    def __init__(self, house: House, link: Link, record: VoiceRecord, wanted: Wanted, nursery: trio.Nursery) -> None:
        self._house = house
        self._link = link
        self._record = record
        self._wanted = wanted
        self._nursery = nursery
        self._contexts: dict[str, _Context] = {}
        self._turns = 0
        self._mute = False

    async def read(self) -> None:
        """Take messages until the client closes.

        Raises:
            Refused: it may not say that, or said nothing for too long.
        """
        if self._mood(Deaf, 0) is not None:
            await trio.sleep_forever()
        while True:
            raw: str | bytes | None = None
            with trio.move_on_after(self._wanted.inactivity_s) as patience:
                raw = await self._link.receive()
            if patience.cancelled_caught:
                raise Refused(
                    "input_timeout_exceeded",
                    f"Have not received a new text input within the timeout of {self._wanted.inactivity_s:g} seconds.",
                )
            if raw is None:
                return
            match read_message(raw):
                case Text() as text:
                    self._take_text(text)
                case Flush(context_id=context_id):
                    self._give(self._known(context_id), "", flush=True)
                case CloseContext(context_id=context_id):
                    self._close(self._known(context_id))
                case CloseSocket():
                    await self._link.close(1000, "")
                    return

    def _take_text(self, text: Text) -> None:
        if text.context_id not in self._contexts:
            self._open(text)
            return
        if text.voice_settings is not None or text.generation_config is not None:
            raise Refused("policy_violation", "voice_settings can only be set in the first message of a context.")
        context = self._known(text.context_id)
        if not text.text:
            context.record.kept_alive += 1
        elif text.text.strip():
            self._give(context, text.text, flush=text.flush)

    def _open(self, text: Text) -> None:
        if self._house.voices is not None and self._wanted.voice_id not in self._house.voices:
            raise Refused("voice_id_does_not_exist", f"A voice with voice_id {self._wanted.voice_id} does not exist.")
        if text.text != " ":
            raise Refused("invalid_message", "a context is opened by a single space, which carries its settings")
        if len(self._contexts) >= MOST_CONTEXTS:
            raise Refused(
                "max_active_conversations",
                f"Maximum simultaneous contexts per WebSocket connection exceeded ({MOST_CONTEXTS}). "
                "Please close an existing context before opening a new one.",
            )
        record = ContextRecord(text.context_id, trio.current_time(), text.voice_settings)
        self._record.contexts.append(record)
        context = self._contexts[text.context_id] = _Context(record, whole_sentences=self._wanted.whole_sentences)
        self._nursery.start_soon(self._speak, context)

    def _known(self, context_id: str) -> _Context:
        context = self._contexts.get(context_id)
        if context is None or context.record.closed_at is not None:
            raise Refused("context_not_found", f"there is no open context {context_id!r}")
        return context

    def _give(self, context: _Context, text: str, *, flush: bool) -> None:
        if text:
            if not context.record.texts:
                self._turns += 1
                context.turn = self._turns
            context.record.texts.append(text.strip())
            self._house.note(self._record.number, "text", text.strip())
        if (said := context.buffer.add(text, flush=flush)) is not None:
            context.say_send.send_nowait(said)

    def _close(self, context: _Context) -> None:
        context.record.closed_at = trio.current_time()
        self._house.note(self._record.number, "context_closed", context.record.context_id)
        context.say_send.close()

    # --- speech -----------------------------------------------------------------------------------------------------

    async def _speak(self, context: _Context) -> None:
        async for text in context.say:
            await self._say(context, text)
        if not context.silent:
            await self._send({"isFinal": True, "audio": None, "contextId": context.record.context_id})
            context.record.final_at = trio.current_time()
            del self._contexts[context.record.context_id]

    async def _say(self, context: _Context, text: str) -> None:
        if (silent := self._mood(Silent, context.turn)) is not None:
            context.silent, self._mute = True, silent.turns is None
        context.silent = context.silent or self._mute
        if context.silent:
            return
        slow = self._mood(Slow, context.turn)
        await trio.sleep(self._house.manner.think_s if slow is None else slow.first_audio_s)
        if (garbled := self._mood(Garbled, context.turn)) is not None:
            for number in range(garbled.repeat):
                kind = garbled.kinds[number % len(garbled.kinds)]
                await self._link.send(_nonsense(kind, context.record.context_id))
            if garbled.instead:
                return
        mulaw = await self._render(text)
        await self._send_sound(context, mulaw, alignment(text, len(mulaw) / g711.BYTES_PER_MS))

    async def _render(self, text: str) -> bytes:
        pcm = await self._house.manner.voice(text.strip())
        resampler = Resampler(_RENDERED_HZ, g711.SAMPLE_RATE_HZ)
        return g711.encode(np.concatenate((resampler.process(pcm), resampler.flush())))

    async def _send_sound(self, context: _Context, mulaw: bytes, characters: list[tuple[str, int, int]]) -> None:
        manner, record = self._house.manner, context.record
        cut, stalls = self._mood(Cut, context.turn), self._mood(Stalls, context.turn)
        size = manner.chunk_ms * g711.BYTES_PER_MS
        for at in range(0, len(mulaw), size):
            from_ms = at / g711.BYTES_PER_MS
            if cut is not None and record.said_ms >= cut.after_ms:
                await self._link.flush()
                await self._link.close(cut.code, cut.reason)
                self._nursery.cancel_scope.cancel()
                await trio.sleep_forever()
            if stalls is not None and record.said_ms >= stalls.after_ms:
                context.silent = True
                return
            piece = mulaw[at : at + size]
            until_ms = from_ms + manner.chunk_ms if at + size < len(mulaw) else inf
            said = [one for one in characters if from_ms <= one[1] < until_ms]
            fields = as_fields(said, from_ms) if said and self._wanted.times_with_all_sound else None
            await self._send(
                {
                    "audio": base64.b64encode(piece).decode(),
                    "alignment": fields,
                    "normalizedAlignment": fields,
                    "contextId": record.context_id,
                }
            )
            record.first_sound_at = record.first_sound_at or trio.current_time()
            record.said_ms += len(piece) / g711.BYTES_PER_MS
            await trio.sleep(len(piece) / g711.BYTES_PER_MS / 1000 / manner.pace)

    async def _send(self, message: Mapping[str, Any]) -> None:
        await self._link.send(orjson.dumps(message).decode())

    def _mood(self, kind: type[SomeMood], turn: int) -> SomeMood | None:
        mood = self._house.mood(kind, self._record.number, turn)
        if mood is not None:
            self._house.note(self._record.number, "mood", repr(mood))
        return mood


def _nonsense(kind: Nonsense, context_id: str) -> str:
    match kind:
        case "invalid_json":
            return '{"audio": "'
        case "wrong_shape":
            return orjson.dumps({"audio": ["sound"], "contextId": context_id}).decode()
        case "bad_base64":
            return orjson.dumps({"audio": "@@@ not base64 @@@", "contextId": context_id}).decode()
        case "huge_frame":
            return orjson.dumps({"audio": "A" * _HUGE_BYTES, "contextId": context_id}).decode()
        case _:  # an alignment that cannot be one: what else there is in a message would be understood
            wrong = {"chars": ["a"], "charStartTimesMs": [], "charDurationsMs": [1]}
            return orjson.dumps({"audio": "////", "alignment": wrong, "contextId": context_id}).decode()
