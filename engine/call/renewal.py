"""A successor for the session that holds the floor, opened beside it before the provider closes it: nobody hears of it.

The provider says that it will close the session, or our own clock does. From then on a fresh session is opened at the
first moment at which nothing is owed, seeded with the conversation so far. (Resuming by handle would need the old
connection to be closed first, which is what is not to happen.) If by the time it is ready an answer has been asked
for, it does not know of that and is let go; else it serves from that instant, and is told what the caller has said of
a turn that is open.

An answer may take longer than the session has left. Then a successor is opened all the same, shortly before the end,
and stands by: if the session ends in mid-answer, it says the rest while what there is of the answer still sounds. Only
a session that ends before a successor was found is lost like any other.
"""

import trio

from engine.call.context import CallContext
from engine.call.conversation import Conversation
from engine.call.seat import PAUSES_S, Seat, attempts
from engine.call.seating import note_refusal, take_seat

MARGIN_S = 60.0  # as much as the provider leaves itself when it says so
STAND_BY_S = 3.0  # before the end: as long as opening a session may well take
SHORTEST_S = 5.0  # a provider that wants every session to end at once is not followed faster than this


class Chair:
    """The seat that serves a tenure of the floor; another one takes over in mid-conversation."""

    def __init__(self, seat: Seat, conversation: Conversation) -> None:
        self.seat = seat
        self.standby: Seat | None = None
        self._conversation = conversation
        seat.on_slow = conversation.say_filler

    def pass_to(self, seat: Seat) -> None:
        """The one who sat here leaves."""
        self.seat.on_slow = None
        self.seat.leave()
        self.seat, self.standby = seat, None
        seat.on_slow = self._conversation.say_filler

    def leave(self) -> None:
        """Nobody is served any more."""
        for seat in (self.seat, self.standby):
            if seat is not None:
                seat.on_slow = None
                seat.leave()

    async def wait_lost(self, call: CallContext) -> None:
        """Until whoever sits here then is over, and nobody can go on in their place."""
        while True:
            seat = self.seat
            await seat.over.wait()
            if self.seat is seat and not self._rescue(call):
                return

    def _rescue(self, call: CallContext) -> bool:
        standby = self.standby
        if standby is None or not standby.ready.is_set() or standby.over.is_set() or self._conversation.tools.pending:
            return False
        self._conversation.go_on_with(standby.uplink)
        _note_renewed(call, self.seat, standby, "in mid-answer")
        self.pass_to(standby)
        self._conversation.say_filler()  # its watch begins anew, and the caller's wait does not
        return True


async def keep_renewed(call: CallContext, seats: trio.Nursery, chair: Chair, conversation: Conversation) -> None:
    """Give the chair to a successor whenever a session's time is nearly over. Runs for a tenure, until cancelled."""
    while True:
        seat = chair.seat
        closes_at = seat.opened_at + seat.provider.capabilities.connection_limit_s
        await trio.sleep_until(seat.opened_at + SHORTEST_S)
        with trio.move_on_at(closes_at - MARGIN_S):
            await conversation.link.expiring.wait()
        seat.expiring = True
        await _renew(call, seats, chair, conversation, min(closes_at, conversation.link.closes_at))


async def _renew(
    call: CallContext, seats: trio.Nursery, chair: Chair, conversation: Conversation, closes_at: float
) -> None:
    old = chair.seat
    tries = attempts(call.lineup, trio.current_time, of=old.provider.name)
    refusals = 0
    while chair.seat is old:
        with trio.move_on_at(closes_at - STAND_BY_S):
            await conversation.wait_owes_nothing()
        asked = conversation.link.answers_asked
        chair.standby = seat = take_seat(call, seats, next(tries).provider, None, but_turn=conversation.open_turn)
        if not await seat.wait_settled():
            note_refusal(call, seat)
            refusals += 1
            await trio.sleep(PAUSES_S[min(refusals, len(PAUSES_S) - 1)])
            continue
        await conversation.wait_owes_nothing()
        if chair.seat is not old:
            return  # it was needed in mid-answer
        if conversation.link.answers_asked == asked:
            conversation.go_on_with(seat.uplink)
            _note_renewed(call, old, seat, "next session")
            chair.pass_to(seat)
        else:
            chair.standby = None
            seat.leave()
            call.record.handle = None  # it may have been this one's; the session that serves will say its own again
            tries = attempts(call.lineup, trio.current_time, of=old.provider.name)


def _note_renewed(call: CallContext, old: Seat, new: Seat, how: str) -> None:
    call.record.sessions += 1
    call.record.provider = new.provider.name
    call.record.handle = None  # the old session's; the new one will say its own
    call.note("handover", how, source=old.provider.name, target=new.provider.name)
    call.services.metrics.handovers.labels("model", "model", "expiring").inc()
