"""A successor for the session that holds the floor, opened beside it before the provider closes it: nobody hears of it.

The provider says that it will close the session, or our own clock does. From then on a fresh session is opened at the
first moment at which nothing is owed, seeded with the conversation so far. (Resuming by handle would need the old
connection to be closed first, which is what is not to happen.) If by the time it is ready an answer has been asked
for, it does not know of that and is let go; else it serves from that instant, and is told what the caller has said of
a turn that is open. A session that ends before a successor was found is lost like any other.
"""

from collections.abc import Callable
from itertools import cycle

import trio

from engine.call.context import CallContext
from engine.call.conversation import Conversation
from engine.call.seat import PAUSES_S, Seat
from engine.call.seating import note_refusal, take_seat

MARGIN_S = 60.0  # as much as the provider leaves itself when it says so
SHORTEST_S = 5.0  # a provider that wants every session to end at once is not followed faster than this


class Chair:
    """The seat that serves a tenure of the floor; another one takes over in mid-conversation."""

    def __init__(self, seat: Seat, on_slow: Callable[[], None]) -> None:
        self.seat = seat
        self._on_slow = on_slow
        seat.on_slow = on_slow

    def pass_to(self, seat: Seat) -> None:
        """The one who sat here leaves."""
        self.leave()
        self.seat = seat
        seat.on_slow = self._on_slow

    def leave(self) -> None:
        """Nobody is served any more."""
        self.seat.on_slow = None
        self.seat.leave()

    async def wait_lost(self) -> None:
        """Until whoever sits here then is over without having been followed."""
        while not self.seat.over.is_set():
            await self.seat.over.wait()


async def keep_renewed(call: CallContext, seats: trio.Nursery, chair: Chair, conversation: Conversation) -> None:
    """Give the chair to a successor whenever a session's time is nearly over. Runs for a tenure, until cancelled."""
    while True:
        opened_at = chair.seat.opened_at
        lasts_s = chair.seat.provider.capabilities.connection_limit_s - MARGIN_S
        await trio.sleep_until(opened_at + SHORTEST_S)
        with trio.move_on_at(opened_at + lasts_s):
            await conversation.expiring.wait()
        await _renew(call, seats, chair, conversation)


async def _renew(call: CallContext, seats: trio.Nursery, chair: Chair, conversation: Conversation) -> None:
    began_at = trio.current_time()
    first = call.providers.index(chair.seat.provider)
    in_order = cycle(call.providers[first:] + call.providers[:first])
    refusals = 0
    while True:
        await conversation.wait_owes_nothing()
        asked = conversation.link.answers_asked
        seat = take_seat(call, seats, next(in_order), None, but_turn=conversation.open_turn)
        if not await seat.wait_settled():
            note_refusal(call, seat, resumed=False)
            refusals += 1
            await trio.sleep(PAUSES_S[min(refusals, len(PAUSES_S) - 1)])
        elif conversation.owes_nothing and conversation.link.answers_asked == asked:
            conversation.go_on_with(seat.uplink)
            _note_renewed(call, chair.seat, seat, began_at)
            chair.pass_to(seat)
            return
        else:
            seat.leave()
            call.record.handle = None  # it may have been this one's; the session that serves will say its own again
            in_order = cycle(call.providers[first:] + call.providers[:first])


def _note_renewed(call: CallContext, old: Seat, new: Seat, began_at: float) -> None:
    call.record.sessions += 1
    call.record.provider = new.provider.name
    call.record.handle = None  # the old session's; the new one will say its own
    took_ms = round(1000 * (trio.current_time() - began_at))
    call.note("handover", "next session", source=old.provider.name, target=new.provider.name, took_ms=took_ms)
    call.services.metrics.handovers.labels("model", "model", "expiring").inc()
