"""The caller's side of a Realtime session: the input buffer, what detection makes of it, and its transcripts."""

import trio

from engine.sim import openai_events as events
from engine.sim.moods import PhantomInterrupted, Untranscribed
from engine.sim.openai_config import Detection
from engine.sim.openai_hearing import RATE, InputBuffer, SpeechGoesOn, SpeechStarted, decode_input
from engine.sim.openai_items import Item
from engine.sim.openai_responses import Responses
from engine.sim.openai_schema import Refused
from engine.sim.openai_stage import OpenStage
from engine.sim.scribe import Activity, Scribe


class CallerAudio:
    """What the caller says, from the buffer to an item."""

    def __init__(self, stage: OpenStage, responses: Responses) -> None:
        self._stage = stage
        self._responses = responses
        self._buffer = InputBuffer()
        self._scribe = Scribe(stage.house.ear)
        self._activity: Activity | None = None
        self._item_id = ""  # announced when speech starts
        self._detection: Detection | None = stage.config.detection

    def reconfigure(self) -> None:
        """The session was updated. What was heard is kept, but who speaks is found out anew where that has changed."""
        if (self._detection is None) != (self._stage.config.detection is None):
            self._forget()
            self._buffer.forget_speech()
        self._detection = self._stage.config.detection

    async def append(self, data: bytes) -> None:
        """Take sound; no acknowledgement, but what follows from it."""
        pcm = decode_input(data, self._stage.config.input_format)
        for change in self._buffer.feed(pcm, self._detection):
            if isinstance(change, SpeechStarted):
                await self._start(change.at_ms)
            elif isinstance(change, SpeechGoesOn):
                if self._activity is not None:
                    self._activity.audio.append(change.pcm)
            else:
                await self._stage.emit(events.speech_stopped(self._item_id, change.at_ms))
                await self._become_item()
                if self._detection is not None and self._detection.creates:
                    await self._responses.create_by_itself()

    async def commit(self) -> None:
        """The client says that the caller is done.

        Raises:
            Refused: there is nothing.
        """
        try:
            pcm = self._buffer.commit()
        except Refused as refused:
            # With detection on the service may have committed it a moment ago.
            refused.blame = self._detection is None
            raise
        activity = self._activity or self._scribe.begin()
        activity.audio = [pcm]
        self._activity = activity
        await self._become_item()

    async def clear(self) -> None:
        """Drop what was not committed."""
        self._buffer.clear()
        self._forget()
        await self._stage.emit(events.cleared())

    def _forget(self) -> None:
        self._activity, self._item_id = None, ""

    async def _start(self, at_ms: int) -> None:
        stage = self._stage
        stage.note("activity_start")
        self._activity, self._item_id = self._scribe.begin(), stage.new_id("item")
        await stage.emit(events.speech_started(self._item_id, at_ms))
        if self._detection is not None and self._detection.interrupts:
            await self._responses.interrupt("turn_detected")
        if stage.mood(PhantomInterrupted, ahead=1) is not None:
            await self._responses.tell_of_phantom()

    async def _become_item(self) -> None:
        stage, activity = self._stage, self._activity
        assert activity is not None, "speech stops after it has started"
        pcm = activity.pcm
        self._scribe.interim(activity)
        text = self._scribe.final(activity, flushed=True) or ""
        audio_ms = len(pcm) * 1000 / RATE
        item = Item(self._item_id or stage.new_id("item"), "caller", text, audio_ms=audio_ms)
        self._forget()
        previous = stage.conversation.add(item)
        stage.note("item", f"caller {item.id} {text!r}")
        await stage.emit(events.committed(item.id, previous))
        await stage.emit(events.item_event("added", item, previous))
        await stage.emit(events.item_event("done", item, previous))
        if stage.config.transcriber is not None:
            stage.nursery.start_soon(self._write_down, item, text, stage.mood(Untranscribed, ahead=1))

    async def _write_down(self, item: Item, text: str, mood: Untranscribed | None) -> None:
        """Another model does it, in its own time; in two deltas, so that whoever takes one for all is found out."""
        stage = self._stage
        await trio.sleep(stage.house.transcribe_s)
        if mood is not None:
            if mood.tells:
                await stage.emit(events.transcript_failed(item.id))
            return
        words = text.split()
        half = (len(words) + 1) // 2
        for piece in (" ".join(words[:half]), "".join(f" {word}" for word in words[half:])):
            if piece:
                await stage.emit(events.transcript_delta(item.id, piece))
        item.transcript = text
        await stage.emit(events.transcript_completed(item.id, text, item.audio_ms))
