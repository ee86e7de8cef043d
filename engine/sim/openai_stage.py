"""What a Realtime connection's reader and its responses share: the way out, moods of the turn, and the end of all."""

from typing import Any, Protocol

import trio

from engine.sim import openai_events as events
from engine.sim.ear import Ear
from engine.sim.link import NO_CODE, Link
from engine.sim.manner import Manner
from engine.sim.moods import QUOTA_SPENT, Cut, Deaf, GoAway, Silent, SomeMood
from engine.sim.openai_config import Config
from engine.sim.openai_items import Conversation
from engine.sim.openai_record import SessionRecord
from engine.sim.openai_schema import Refused

EXPIRED_CODE = 1001
_FLUSH_S = 1.0  # a client that takes nothing does not save itself from being cut
_DEAF_LOOK_S = 0.5


class House(Protocol):
    """What all sessions of one simulator share."""

    manner: Manner
    ear: Ear
    transcribe_s: float
    limit_s: float

    def mood(self, kind: type[SomeMood], connection: int, turn: int) -> SomeMood | None:
        """See ``MoodSchedule.take``."""

    def note(self, session: int, what: str, detail: str = "") -> None:
        """Log a moment."""

    def fault(self, session: int, refused: Refused) -> None:
        """Log what the service would have refused."""

    def new_id(self, kind: str) -> str:
        """A fresh identifier."""


class OpenStage:
    """One connection.

    Attributes:
        turn: how many turns the model was asked to answer.
        has_spoken: there is assistant sound in the conversation.
    """

    def __init__(self, house: House, link: Link, record: SessionRecord, nursery: trio.Nursery, config: Config) -> None:
        self.house = house
        self.link = link
        self.record = record
        self.nursery = nursery
        self.config = config
        self.conversation = Conversation()
        self.conversation_id = house.new_id("conv")
        self.turn = 0
        self.has_spoken = False
        self._events = 0
        self._silent_turns = 0.0
        self._going: GoAway | None = None

    async def emit(self, event: events.Event) -> None:
        """Send an event under an id of its own; nothing while silent."""
        if self.silent:
            return
        self._events += 1
        named = {"event_id": f"event_{self.record.number}_{self._events}", **event}
        await self.link.send(events.frame(named))

    async def refuse(self, refused: Refused, client_event_id: Any) -> None:
        """Tell the client, and log it."""
        self.house.fault(self.record.number, refused)
        await self.emit(events.error(refused, client_event_id if isinstance(client_event_id, str) else None))

    def mood(self, kind: type[SomeMood], *, ahead: int = 0) -> SomeMood | None:
        """The mood of this kind that is due in this turn (or so many ahead), used up."""
        mood = self.house.mood(kind, self.record.number, self.turn + ahead)
        if mood is not None:
            self.note("mood", repr(mood))
        return mood

    def note(self, what: str, detail: str = "") -> None:
        """Log a moment."""
        self.house.note(self.record.number, what, detail)

    def new_id(self, kind: str) -> str:
        """A fresh identifier."""
        return self.house.new_id(kind)

    async def end(self, code: int, reason: str) -> None:
        """Close the connection with this code (1006: reset it); does not return."""
        # What was sent must be with the client before the end is: from the moment noted here hand-overs are counted.
        with trio.move_on_after(_FLUSH_S):
            await self.link.flush()
        self.note("cut", str(code))
        await self.link.close(code, "" if code == NO_CODE else reason)
        self.nursery.cancel_scope.cancel()
        await trio.sleep_forever()

    async def expire(self, after_s: float, minutes: float) -> None:
        """After so long the session has lasted as long as it may."""
        await trio.sleep(after_s)
        reason = f"Your session hit the maximum duration of {minutes:g} minutes."
        await self.emit(events.error(Refused(reason, "session_expired"), None))
        await self.end(EXPIRED_CODE, reason)

    async def take_turn_moods(self) -> None:
        """Moods that come with a turn as such, whatever the answer is (turn 0: with the first update)."""
        if self.mood(Deaf) is not None:
            self.record.deaf = True
            while not self.link.is_gone:  # noqa: ASYNC110 - who does not read cannot be told
                await trio.sleep(_DEAF_LOOK_S)
            self.nursery.cancel_scope.cancel()  # the reader below may wait for ever for somebody to take what it has
            await trio.sleep_forever()
        if self.turn == 0 and (cut := self.mood(Cut)) is not None:
            await self.end(cut.code, cut.reason)
        if (going := self.mood(GoAway)) is not None:
            self._going = going
            if not (self.turn and going.quiet):
                self.go_if_due()
        if (silent := self.mood(Silent)) is not None:
            self._silent_turns = float("inf") if silent.turns is None else silent.turns

    def go_if_due(self) -> None:
        """A session that is to end between turns may begin to, now."""
        if self._going is not None:
            going, self._going = self._going, None
            self.note("go_away", str(going.time_left_s))
            after_s = going.time_left_s if going.closes_after_s is None else going.closes_after_s
            self.nursery.start_soon(self.expire, after_s, self.house.limit_s / 60)

    @property
    def silent(self) -> bool:
        """Whether nothing is said at all."""
        return self._silent_turns > 0

    def stay_silent(self) -> bool:
        """Whether nothing is said in the turn that was just asked about."""
        self._silent_turns, was_silent = max(0.0, self._silent_turns - 1), self.silent
        return was_silent


def out_of_quota(reason: str) -> Refused | None:
    """The error that goes with a connection that ends for want of money; None for any other reason."""
    if reason != QUOTA_SPENT:
        return None
    return Refused(reason, "insufficient_quota", kind="insufficient_quota", blame=False)
