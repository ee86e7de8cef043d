"""What a connection's reader and its answers share: moods of the turn, tool call ids, the end of a turn or of all."""

from collections.abc import Mapping
from typing import Any, Protocol

import trio

from engine.sim import gemini_frames as frames
from engine.sim.brain import Said, ToolWish
from engine.sim.ear import Ear
from engine.sim.gemini_conduct import Conduct
from engine.sim.gemini_record import Saved, SessionRecord
from engine.sim.gemini_rules import Setup
from engine.sim.gemini_schema import Refusal
from engine.sim.link import NO_CODE, Link
from engine.sim.manner import Manner
from engine.sim.model_record import Spoken
from engine.sim.moods import Cut, Deaf, GoAway, Silent, SomeMood

_TOKENS_PER_S = 25  # of audio, either way
_TOKENS_PER_WORD = 1.4
_FLUSH_S = 1.0  # a client that takes nothing does not save itself from being cut
_DEAF_LOOK_S = 0.5


class House(Protocol):
    """What all sessions of one simulator share."""

    manner: Manner
    ear: Ear

    def mood(self, kind: type[SomeMood], connection: int, turn: int) -> SomeMood | None:
        """See ``MoodSchedule.take``."""

    def note(self, session: int, what: str, detail: str = "") -> None:
        """Log a moment."""

    def fault(self, session: int, refusal: Refusal) -> None:
        """Log what the service would have refused."""

    def new_id(self, kind: str) -> str:
        """A fresh identifier."""

    def save(self, session_id: str, history: tuple[Said, ...]) -> str:
        """Keep a session under a new handle."""

    def restore(self, handle: str) -> Saved:
        """What a handle stands for; raises ``Refusal``."""


class OpenStage:
    """The ``gemini_speech.Stage`` of one connection.

    Attributes:
        turn: how many turns have been committed.
        heard_ms: caller audio inside activities, of all turns.
    """

    def __init__(self, house: House, link: Link, record: SessionRecord, nursery: trio.Nursery) -> None:
        self.link = link
        self.record = record
        self.conduct = Conduct()
        self.nursery = nursery
        self.turn = 0
        self.heard_ms = 0.0
        self._house = house
        self._silent_turns = 0.0
        self._going: GoAway | None = None

    @property
    def setup(self) -> Setup:
        """The client's first message; there is one before anything else is admitted."""
        assert self.conduct.setup is not None
        return self.conduct.setup

    def mood(self, kind: type[SomeMood], *, ahead: int = 0) -> SomeMood | None:
        """The mood of this kind that is due in this turn (or so many ahead), used up."""
        mood = self._house.mood(kind, self.record.number, self.turn + ahead)
        if mood is not None:
            self.note("mood", repr(mood))
        return mood

    def note(self, what: str, detail: str = "") -> None:
        """Log a moment."""
        self._house.note(self.record.number, what, detail)

    def ask(self, wish: ToolWish) -> str:
        """A new tool call: its id."""
        call_id = self._house.new_id("call")
        self.record.tool_calls.append(call_id)
        self.conduct.ask(call_id)
        self.note("tool_call", f"{wish.name} {call_id}")
        return call_id

    def ask_again(self, call_id: str) -> None:
        """The same call once more, under the same id."""
        self.conduct.ask(call_id)
        self.note("tool_call", f"again {call_id}")

    async def end(self, code: int, reason: str) -> None:
        """Close the connection with this code (1006: reset it); does not return."""
        # What was sent must be with the client before the end is: from the moment noted here hand-overs are counted.
        with trio.move_on_after(_FLUSH_S):
            await self.link.flush()
        self.note("cut", str(code))
        await self.link.close(code, "" if code == NO_CODE else reason)
        self.nursery.cancel_scope.cancel()
        await trio.sleep_forever()

    def usage(self, spoken: Spoken) -> Mapping[str, Any]:
        """What the turn cost, in the Developer API's names."""
        words = sum(len(said.text.split()) for said in self.record.history)
        told = usage_of(self.heard_ms, words, spoken.audio_ms)
        self.record.tokens_in += told["promptTokenCount"]
        self.record.tokens_out += told["responseTokenCount"]
        return told

    async def turn_over(self, spoken: Spoken) -> None:
        """The turn was completed or interrupted: what was sent of it is history, and there is a new handle."""
        if spoken.text:
            self.record.history.append(Said("model", spoken.text))
        if self.setup.resumption:
            handle = self._house.save(self.record.session_id, tuple(self.record.history))
            await self.link.send(frames.resumption(handle))
        if self._going is not None:
            going, self._going = self._going, None
            self.nursery.start_soon(self._go_away, going)

    async def take_turn_moods(self) -> None:
        """Moods that come with a turn as such, whatever the answer is (turn 0: with the set-up)."""
        if self.mood(Deaf) is not None:
            self.record.deaf = True
            while not self.link.is_gone:  # noqa: ASYNC110 - who does not read cannot be told
                await trio.sleep(_DEAF_LOOK_S)
            self.nursery.cancel_scope.cancel()  # the reader below may wait for ever for somebody to take what it has
            await trio.sleep_forever()
        if self.turn == 0 and (cut := self.mood(Cut)) is not None:
            await self.end(cut.code, cut.reason)
        if (going := self.mood(GoAway)) is not None:
            if self.turn and going.quiet:
                self._going = going
            else:
                self.nursery.start_soon(self._go_away, going)
        if (silent := self.mood(Silent)) is not None:
            self._silent_turns = float("inf") if silent.turns is None else silent.turns

    def go_away_soon(self, mood: GoAway, after_s: float) -> None:
        """Say so in a while."""
        self.nursery.start_soon(self._go_away, mood, after_s)

    @property
    def silent(self) -> bool:
        """Whether nothing is said at all."""
        return self._silent_turns > 0

    def stay_silent(self) -> bool:
        """Whether nothing is said in the turn that was just committed."""
        self._silent_turns, was_silent = max(0.0, self._silent_turns - 1), self.silent
        return was_silent

    async def _go_away(self, mood: GoAway, after_s: float = 0.0) -> None:
        if after_s:
            await trio.sleep(after_s)
        self.note("go_away", str(mood.time_left_s))
        await self.link.send(frames.go_away(mood.time_left_s))
        await trio.sleep(mood.time_left_s if mood.closes_after_s is None else mood.closes_after_s)
        await self.end(1011, "Deadline expired before operation could complete.")


def usage_of(heard_ms: float, words: int, spoken_ms: float) -> Mapping[str, Any]:
    """What a turn cost, in the Developer API's names: of all that was heard and said before, and of what it said."""
    heard = round(heard_ms / 1000 * _TOKENS_PER_S) + round(words * _TOKENS_PER_WORD)
    said = round(spoken_ms / 1000 * _TOKENS_PER_S)
    return {
        "promptTokenCount": heard,
        "responseTokenCount": said,
        "totalTokenCount": heard + said,
        "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": said}],
    }
