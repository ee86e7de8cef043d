"""One connection to a simulated model, after the handshake: what comes in, in order, and what it sets going.

The reader below judges every message (``Conduct``), collects the open activity, and starts an answer as a task of its
own; ``gemini_speech`` is that task. A message that the service would refuse ends the connection with its close code.
"""

import numpy as np
import trio
from numpy.typing import NDArray

from engine.sim import gemini_frames as frames
from engine.sim.brain import HeardTurn, Said
from engine.sim.gemini_answer import Answer
from engine.sim.gemini_record import SessionRecord
from engine.sim.gemini_rules import (
    ActivityEnd,
    ActivityStart,
    AudioIn,
    AudioStreamEnd,
    ClientMessage,
    ContentIn,
    ContextUpdate,
    Setup,
    TextIn,
    ToolAnswers,
    VideoIn,
    read_message,
)
from engine.sim.gemini_schema import Refusal
from engine.sim.gemini_speech import give
from engine.sim.gemini_stage import House, OpenStage
from engine.sim.gemini_vad import EnergyDetector
from engine.sim.link import Link
from engine.sim.model_record import Commit, Note, Spoken
from engine.sim.moods import GoAway, GoAwayInSpeech, LosesToolResult, PhantomInterrupted, Refuse, Unanswered
from engine.sim.scribe import Activity, Scribe

_EAR_RATE = 16000
_INTERIM_S = 0.3  # at most one interim transcript in this time


async def run_session(house: House, link: Link, record: SessionRecord, refuse: Refuse | None) -> None:
    """Converse until the connection ends, by whomever. ``refuse``: close instead of completing the set-up."""
    async with trio.open_nursery() as nursery:
        stage = OpenStage(house, link, record, nursery)
        reader = Reader(house, stage, refuse)
        nursery.start_soon(link.run, nursery.cancel_scope)
        try:
            while (raw := await link.receive()) is not None:
                await reader.read(raw)
        except Refusal as refusal:
            house.fault(record.number, refusal)
            await link.close(refusal.code, str(refusal))
        nursery.cancel_scope.cancel()


class Reader:
    """Takes the client's messages one after the other."""

    def __init__(self, house: House, stage: OpenStage, refuse: Refuse | None) -> None:
        self._house = house
        self._stage = stage
        self._refuse = refuse
        self._scribe = Scribe(house.ear)
        self._activity: Activity | None = None
        self._notes: list[Note] = []
        self._answer: Answer | None = None
        self._voice = trio.Lock()  # one answer at a time, also where nothing interrupts
        self._vad: EnergyDetector | None = None
        self._instruction = ""
        self._tools: tuple[str, ...] = ()

    async def read(self, raw: str | bytes) -> None:
        """Take one message.

        Raises:
            Refusal: the service would not have taken it.
        """
        message = read_message(raw)
        seeding = self._stage.conduct.seeding
        self._stage.conduct.admit(message)
        if isinstance(message, ContentIn):
            await self._take_content(message, seeding=seeding)
        else:
            await self._take(message)

    async def _take(self, message: ClientMessage) -> None:
        match message:
            case Setup():
                await self._open(message)
            case AudioIn():
                await self._take_audio(message)
            case ActivityStart():
                await self._begin()
            case ActivityEnd() | AudioStreamEnd():
                if self._vad is not None:
                    self._vad.reset()
                if self._activity is not None:
                    await self._commit(self._activity, flushed=isinstance(message, AudioStreamEnd))
            case TextIn(text):
                await self._take_text(text)
            case ContextUpdate():
                self._update(message)
            case ToolAnswers():
                self._take_answers(message)
            case VideoIn() | ContentIn():
                pass

    async def _open(self, setup: Setup) -> None:
        record = self._stage.record
        record.setup = setup
        if self._refuse is not None:
            await self._stage.end(self._refuse.code, self._refuse.reason)
        if setup.handle is None:
            record.session_id = self._house.new_id("session")
        else:
            saved = self._house.restore(setup.handle)
            record.session_id, record.resumed = saved.session_id, True
            record.history.extend(saved.history)
        self._instruction, self._tools = setup.instruction, setup.tools
        if not setup.manual:
            self._vad = EnergyDetector(setup.silence_ms)
        await self._stage.link.send(frames.setup_complete(record.session_id))
        self._stage.note("opened", "resumed" if record.resumed else "")
        await self._stage.take_turn_moods()

    # --- the caller's side -------------------------------------------------------------------------------------------

    async def _take_audio(self, audio: AudioIn) -> None:
        pcm = audio.pcm if audio.rate == _EAR_RATE else _to_ear_rate(audio)
        if self._vad is not None:
            for change, stretch in self._vad.feed(pcm):
                activity = await self._begin() if change == "start" else self._activity
                if activity is not None:
                    await self._listen(activity, stretch)
                    if change == "end":
                        await self._commit(activity)
        elif self._activity is None:
            self._stage.record.audio_outside += 1
        else:
            await self._listen(self._activity, pcm)

    async def _listen(self, activity: Activity, pcm: NDArray[np.int16]) -> None:
        activity.audio.append(pcm)
        heard_ms = len(pcm) * 1000 / _EAR_RATE
        self._stage.heard_ms += heard_ms
        self._stage.record.heard_ms += heard_ms
        now = trio.current_time()
        if not self._stage.setup.transcribes_input or self._stage.silent or now < activity.interim_at + _INTERIM_S:
            return
        activity.interim_at = now
        if (text := self._scribe.interim(activity)) is not None:
            await self._stage.link.send(frames.interim_input_text(text))

    async def _begin(self) -> Activity:
        self._stage.note("activity_start")
        activity = self._activity = self._scribe.begin()
        if self._stage.setup.interrupts:
            await self._interrupt()
        if (going := self._stage.mood(GoAwayInSpeech, ahead=1)) is not None:
            self._stage.go_away_soon(GoAway(going.time_left_s), going.after_s)
        if self._stage.mood(PhantomInterrupted, ahead=1) is not None:
            await self._stage.link.send(frames.interrupted())
            await self._stage.link.send(frames.interrupted_turn_complete())
        return activity

    async def _interrupt(self) -> None:
        answer, self._answer = self._answer, None
        if answer is None or answer.spoken.complete:
            return
        answer.scope.cancel()
        answer.spoken.interrupted = True
        self._stage.note("interrupted", f"after {answer.spoken.audio_ms:.0f} ms")
        await self._stage.link.send(frames.interrupted())
        if answer.pending:
            await self._stage.link.send(frames.tool_call_cancellation(sorted(answer.pending)))
        await self._stage.link.send(frames.interrupted_turn_complete())
        await self._stage.turn_over(answer.spoken)

    async def _take_text(self, text: str) -> None:
        if not self._stage.setup.manual:
            # Text is activity where detection is automatic: it interrupts, and it is answered.
            await self._interrupt()
            self._notes.append(Note(text, "text", in_activity=True))
            await self._commit(self._activity or Activity(0.0))
            return
        self._notes.append(Note(text, "text", self._activity is not None))
        if self._activity is None:
            # Nothing but an activity makes a turn here: nobody answers this, the next turn finds it.
            self._stage.record.text_outside += 1
            self._stage.note("text_outside", text)

    async def _take_content(self, content: ContentIn, *, seeding: bool) -> None:
        if seeding:
            self._stage.record.history.extend(content.turns)
            self._stage.record.seeded_chars += sum(len(said.text) for said in content.turns)
            self._stage.note("seeded", f"{len(content.turns)} turns")
            return
        await self._interrupt()
        self._notes.extend(Note(said.text, "client_content", in_activity=False) for said in content.turns)
        self._stage.note("content", f"{len(content.turns)} turns")
        if content.complete:
            await self._commit(Activity(0.0))

    def _update(self, update: ContextUpdate) -> None:
        if update.tools is not None:
            self._tools = update.tools
        if update.instruction is not None:
            self._instruction = update.instruction
            if self._activity is not None:
                self._notes.append(Note(update.instruction, "context_update", in_activity=True))

    def _take_answers(self, message: ToolAnswers) -> None:
        for answer in message.answers:
            if self._stage.mood(LosesToolResult) is not None:
                self._stage.conduct.lose(answer.call_id)
                continue
            self._stage.record.tool_answers.append(answer)
            self._stage.note("tool_answer", f"{answer.name} {answer.call_id}")
            if self._answer is None or not self._answer.take(answer):
                self._stage.record.late_answers += 1

    # --- a turn ------------------------------------------------------------------------------------------------------

    async def _commit(self, activity: Activity, *, flushed: bool = False) -> None:
        self._activity = None
        turn = self._close_turn(activity, flushed=flushed)
        if self._stage.setup.listens_only:
            await self._transcribe(turn.transcript or "")
            return
        await self._stage.take_turn_moods()
        if self._stage.stay_silent():
            return
        await self._transcribe(turn.transcript or "")
        if self._stage.mood(Unanswered) is None:
            self._answer = Answer(turn, Spoken(self._stage.turn, ""))
            self._stage.record.spoken.append(self._answer.spoken)
            self._stage.nursery.start_soon(self._respond, self._answer)

    def _close_turn(self, activity: Activity, *, flushed: bool) -> HeardTurn:
        """What the model has before it, after putting it on record."""
        stage, record, pcm = self._stage, self._stage.record, activity.pcm
        stage.turn += 1
        transcript = self._scribe.final(activity, flushed=flushed)
        notes, self._notes = tuple(self._notes), []
        commit = Commit(trio.current_time(), stage.turn, transcript, notes, len(pcm) * 1000 / _EAR_RATE)
        record.commits.append(commit)
        stage.note("commit", f"{transcript!r} notes={len(notes)} in_activity={commit.notes_in_activity}")
        texts = [note.text for note in notes]
        turn = HeardTurn(
            transcript,
            "\n".join(texts),
            tuple(record.history),
            instruction=self._instruction,
            tools=self._tools,
        )
        record.history.extend(Said("user", text) for text in (*texts, transcript) if text)
        return turn

    async def _transcribe(self, transcript: str) -> None:
        link = self._stage.link
        await link.send(frames.voice_activity("ACTIVITY_END", self._stage.heard_ms / 1000))
        if transcript and self._stage.setup.transcribes_input:
            for delta in frames.in_two_deltas(transcript):
                await link.send(frames.input_text(delta))

    async def _respond(self, answer: Answer) -> None:
        with answer.scope:
            async with self._voice:
                await give(answer, self._stage, self._house.manner, transcribes=self._stage.setup.transcribes_output)
            if self._answer is answer:
                self._answer = None


def _to_ear_rate(audio: AudioIn) -> NDArray[np.int16]:
    """Straight lines between samples: good enough for a comparison by spectrum."""
    at = np.arange(len(audio.pcm) * _EAR_RATE // audio.rate) * (audio.rate / _EAR_RATE)
    between: NDArray[np.int16] = np.interp(at, np.arange(len(audio.pcm)), audio.pcm).astype(np.int16)
    return between
