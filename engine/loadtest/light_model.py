"""A simulated Gemini Live made for load: the conversation of one connection, without its socket.

It says what ``SimGemini`` with an ``EchoBrain`` and a ``LengthEar`` says to the same client, message for message, and
is as strict about everything but the caller's sound: of each connection the first message of sound and every 32nd
are judged whole, of the others only that they begin and end as the last one judged, and hold whole groups of base64.
It knows no moods, no pictures, and of automatic detection only what a transcribe stream needs.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from engine.loadtest.light_answers import Pacer, Sentence, Speaking, framed
from engine.loadtest.light_ear import BLOCK_MS, LightScribe, Piece, Window
from engine.loadtest.light_loop import Loop
from engine.loadtest.plan import Tools
from engine.loadtest.talk import OPENING_HOURS, LengthEar, calls_a_tool
from engine.sim import gemini_frames as frames
from engine.sim.gemini_conduct import Conduct
from engine.sim.gemini_rules import (
    ActivityEnd,
    ActivityStart,
    AudioStreamEnd,
    ClientMessage,
    ContentIn,
    ContextUpdate,
    Setup,
    TextIn,
    ToolAnswers,
)
from engine.sim.gemini_schema import Refusal
from engine.sim.gemini_stage import usage_of


@dataclass
class LightHouse:
    """What all sessions of one model share.

    Attributes:
        ear: None: nothing is written down.
        faults: what clients did that the service would have refused.
    """

    loop: Loop
    sentence: Sentence
    pacer: Pacer
    ear: LengthEar | None
    think_s: float
    tools: Tools = "offered"
    ids: random.Random = field(default_factory=random.Random)
    faults: list[str] = field(default_factory=list)
    sessions: dict[str, tuple[str, int]] = field(default_factory=dict)  # by handle: id, and words so far

    def new_id(self, kind: str) -> str:
        """As ``SimGemini.new_id``."""
        return f"{kind}-{self.ids.getrandbits(64):016x}"


@dataclass(slots=True, eq=False)
class _Answer:
    pending: set[str] = field(default_factory=set)
    speaking: Speaking | None = None
    ended: bool = False


class LightSession:
    """One connection after its handshake; whatever it is told may raise ``Refusal``, which ends it."""

    def __init__(self, house: LightHouse, send: Callable[[bytes], None]) -> None:
        self._house = house
        self._send = send
        self._conduct = Conduct()
        self._scribe = LightScribe(house.ear)
        self._piece: Piece | None = None
        self._notes: list[str] = []
        self._answer: _Answer | None = None
        self._handle = self._id = ""
        self._heard_ms = 0.0
        self._words = self._answered = 0

    @property
    def setup(self) -> Setup:
        """The client's first message."""
        assert self._conduct.setup is not None
        return self._conduct.setup

    def end(self) -> None:
        """The connection is gone."""
        if self._answer is not None:
            self._stop(self._answer)

    # --- what the client says ----------------------------------------------------------------------------------------

    def audio(self, window: Window) -> None:
        """A message of sound."""
        if self._conduct.setup is None:
            raise Refusal("setup must be the first message, got AudioIn")
        now = self._house.loop.clock()
        piece = self._piece
        if piece is None:
            if self.setup.listens_only:
                self._piece = piece = self._scribe.wait(window, now)
                self._heard_ms += piece.ms if piece is not None else 0.0
            return
        piece.windows.append(window)
        piece.ms += window.ms
        self._heard_ms += window.ms
        if self.setup.transcribes_input:
            # A detector of speech looks at every 20 ms by itself, and so at the first of a message.
            later_ms = 0.0 if self.setup.manual else window.ms - BLOCK_MS
            if (text := self._scribe.interim(piece, now, later_ms=later_ms)) is not None:
                self._say(frames.interim_input_text(text))

    def take(self, message: ClientMessage) -> None:
        """Any other message, judged by itself."""
        seeding = self._conduct.seeding
        self._conduct.admit(message)
        match message:
            case Setup():
                self._open(message)
            case ActivityStart():
                self._begin()
            case ActivityEnd() | AudioStreamEnd():
                self._scribe.hush()
                if (piece := self._piece) is not None:
                    self._piece = None
                    self._commit(piece, flushed=isinstance(message, AudioStreamEnd))
            case TextIn(text):
                self._notes.append(text)
            case ContextUpdate(instruction) if instruction is not None and self._piece is not None:
                self._notes.append(instruction)
            case ContentIn(turns) if seeding:
                self._words += sum(len(said.text.split()) for said in turns)
            case ContentIn(turns, complete):
                self._interrupt()
                self._notes.extend(said.text for said in turns)
                if complete:
                    self._commit(Piece(0.0), flushed=False)
            case ToolAnswers():
                self._take_answers(message)
            case _:
                pass

    def _open(self, setup: Setup) -> None:
        if not (setup.manual or setup.listens_only):
            raise Refusal("this simulator does not detect activity: ask for --checks strict", 1008)
        self._id, self._words = self._house.sessions.pop(setup.handle or "", (self._house.new_id("session"), 0))
        self._say(frames.setup_complete(self._id))

    def _begin(self) -> None:
        self._piece = self._scribe.begin(self._house.loop.clock())
        if self.setup.interrupts:
            self._interrupt()

    def _take_answers(self, message: ToolAnswers) -> None:
        answer = self._answer
        for one in message.answers:
            if answer is None or one.call_id not in answer.pending:
                continue
            answer.pending.discard(one.call_id)
            if not answer.pending:
                self._speak(answer)

    # --- a turn ------------------------------------------------------------------------------------------------------

    def _commit(self, piece: Piece, *, flushed: bool) -> None:
        now = self._house.loop.clock()
        said = self._scribe.final(piece, now, flushed=flushed) or ""
        self._words += len(said.split()) + sum(len(text.split()) for text in self._notes)
        self._notes.clear()
        self._say(frames.voice_activity("ACTIVITY_END", self._heard_ms / 1000))
        if said and self.setup.transcribes_input:
            for delta in frames.in_two_deltas(said):
                self._say(frames.input_text(delta))
        if not self.setup.listens_only:
            answer = self._answer = _Answer()
            self._house.loop.at(now + self._house.think_s, lambda: self._respond(answer))

    def _respond(self, answer: _Answer) -> None:
        if answer.ended:
            return
        if self._house.tools == "used" and calls_a_tool(self._answered):
            call_id = self._house.new_id("call")
            self._conduct.ask(call_id)
            answer.pending.add(call_id)
            self._say(frames.resumption(""))  # not while a call is pending
            self._say(frames.tool_call([{"id": call_id, "name": OPENING_HOURS.name, "args": {}}]))
        else:
            self._speak(answer)

    def _speak(self, answer: _Answer) -> None:
        sentence = self._house.sentence
        answer.speaking = Speaking(
            sentence.with_text if self.setup.transcribes_output else sentence.sound_alone,
            self._house.loop.clock(),
            self._send,
            lambda: self._spoken(answer),
        )
        self._house.pacer.add(answer.speaking)

    def _spoken(self, answer: _Answer) -> None:
        assert answer.speaking is not None
        self._say(frames.generation_complete())
        # The service ends a turn when it believes that it has been played.
        played_at = answer.speaking.began_at + self._house.sentence.sound_ms / 1000
        self._house.loop.at(max(played_at, self._house.loop.clock()), lambda: self._complete(answer))

    def _complete(self, answer: _Answer) -> None:
        if answer.ended:
            return
        answer.ended = True
        self._say(frames.turn_complete(usage_of(self._heard_ms, self._words, self._house.sentence.sound_ms)))
        self._turn_over(self._house.sentence.text)

    def _interrupt(self) -> None:
        answer, self._answer = self._answer, None
        if answer is None or answer.ended:
            return
        pending = self._stop(answer)
        self._say(frames.interrupted())
        if pending:
            self._say(frames.tool_call_cancellation(sorted(pending)))
        self._say(frames.interrupted_turn_complete())
        sent = answer.speaking.sent if answer.speaking is not None else 0
        self._turn_over("".join(self._house.sentence.words[:sent]))

    def _stop(self, answer: _Answer) -> set[str]:
        answer.ended = True
        if answer.speaking is not None:
            answer.speaking.stop()
        return answer.pending

    def _turn_over(self, said: str) -> None:
        self._words += len(said.split())
        self._answered += bool(said)
        if not self.setup.resumption:
            return
        self._house.sessions.pop(self._handle, None)  # only the newest is ever asked for
        self._handle = self._house.new_id("handle")
        self._house.sessions[self._handle] = self._id, self._words
        self._say(frames.resumption(self._handle))

    def _say(self, message: bytes) -> None:
        self._send(framed(message))
