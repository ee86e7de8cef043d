"""The turn-keeper's way up to the session that serves it; it can be tied to a successor between two answers."""

import math

import trio

from engine.call.opening import NUDGE, Instruction
from engine.errors import ModelStalled
from engine.messages import CallerAudio, CommitTurn, OpenTurn, ReportHeard, ToolResult, Uplink
from engine.model.passing import pass_on
from engine.shortcut import SendEnd
from engine.telephony.jitter import CallerAudioGate

PIECE_BYTES = 8000  # of a turn that is told again: a second in one message is what every provider takes


class SessionLink:
    """Turn commands up, in order; the caller's windows follow the same way, past the turn-keeper."""

    def __init__(self, uplink: SendEnd[Uplink], gate: CallerAudioGate) -> None:
        self._uplink = uplink
        self._gate = gate
        self._nudged = False
        self.expiring, self.closes_at = trio.Event(), math.inf
        self.answers_asked = 0  # a successor that was told the conversation before the last of these is out of date

    async def open_turn(self, turn_id: int) -> None:
        """The caller begins; their windows follow, the pre-roll first."""
        await self._uplink.send(OpenTurn(turn_id))
        self._gate.open(turn_id)

    async def commit(self, commit: CommitTurn) -> None:
        """Let the model answer."""
        self._gate.close()
        self._nudged = False
        self.answers_asked += 1
        await pass_on(self._uplink, commit)

    async def speak(self, turn_id: int, instruction: Instruction) -> None:
        """Let the model speak without a turn of the caller's."""
        self.answers_asked += 1
        await self._uplink.send(instruction.speak(turn_id))

    async def nudge(self, turn_id: int) -> None:
        """The model ended its turn without a sound: ask once more.

        Raises:
            ModelStalled: it had been asked twice already.
        """
        if self._nudged:
            raise ModelStalled("the model ended its turn twice without a sound")
        self._nudged = True
        await self.speak(turn_id, NUDGE)

    def answered(self) -> None:
        """The model has begun to answer."""
        self._nudged = False
        self._gate.forget_turn()

    async def send(self, message: ToolResult | ReportHeard) -> None:
        """Something that the session was waiting for, or should know."""
        await self._uplink.send(message)

    def expires_at(self, closes_at: float) -> None:
        """The provider says that it will close the session then."""
        self.closes_at = closes_at
        self.expiring.set()

    def speak_at_once(self, turn_id: int, instruction: Instruction) -> None:
        """As ``speak``, to a session that has just been tied to: there is room. A plain call."""
        self.answers_asked += 1
        self._uplink.send_nowait(instruction.speak(turn_id))

    def tie_to(self, uplink: SendEnd[Uplink], *, open_turn: int | None) -> None:
        """From now on this session serves; it is told what the caller has said of a turn that is open.

        A plain call, so that no window can come between the turn told again and the rest of it. ``uplink`` is fresh:
        it has room for the longest turn.
        """
        self._uplink = uplink
        self.expiring, self.closes_at = trio.Event(), math.inf
        if open_turn is not None:
            uplink.send_nowait(OpenTurn(open_turn))
            told = self._gate.turn_so_far()
            for at in range(0, len(told), PIECE_BYTES):
                uplink.send_nowait(CallerAudio(told[at : at + PIECE_BYTES]))
        self._gate.reroute_to(uplink)
