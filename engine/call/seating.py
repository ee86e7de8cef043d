"""Who sits in the model's seat next: the first session of a call, the one after, and the one sought while the script
speaks.
"""

from dataclasses import dataclass, field

import trio

from engine.call.context import CallContext
from engine.call.seat import Seat, attempts
from engine.model.provider import ModelProvider, SessionSetup

OPENING_PATIENCE_S = 1.2  # a caller who just rang in waits no longer for a first word; then the script greets


@dataclass(slots=True)
class Successor:
    """A model session sought while the script speaks."""

    found: trio.Event = field(default_factory=trio.Event)
    seat: Seat | None = None


async def first_seat(call: CallContext, seats: trio.Nursery) -> Seat | None:
    """Open the first session of this line and wait for it a moment; None where the tenant has no model at all.

    A provider that refuses at once is followed by the next one. A call that comes back after its line broke is not
    made to wait: the script says so at once, while this opens.
    """
    seat = None
    with trio.move_on_after(0 if call.record.utterances else OPENING_PATIENCE_S):
        for provider in call.lineup.round(trio.current_time(), call.record.provider):
            if seat is not None:
                note_refusal(call, seat)
            seat = take_seat(call, seats, provider, _handle_for(call, provider))
            if await seat.wait_settled():
                break
    return seat


def _handle_for(call: CallContext, provider: ModelProvider) -> str | None:
    is_its_own = provider.capabilities.resume and provider.name == call.record.provider
    return call.record.handle if is_its_own else None


def take_seat(
    call: CallContext,
    seats: trio.Nursery,
    provider: ModelProvider,
    handle: str | None,
    *,
    but_turn: int | None = None,
) -> Seat:
    """Begin to open a session in a task of its own; see ``Seat`` for what becomes of it.

    Args:
        but_turn: this turn is left out of the history: the session will be told it as the caller said it.
    """
    seat = Seat(provider, resumes=handle is not None)
    trial = call.services.circuits.begin(provider.name, call.record.call_sid, trio.current_time())
    setup = SessionSetup(
        tenant=call.tenant,
        call_sid=call.record.call_sid,
        handle=handle,
        history=() if handle else call.record.history(but_turn=but_turn),
        caller=call.record.caller,
    )

    def next_generation() -> int:
        trial.spoke(trio.current_time())  # a session numbers what it says when it begins to sound
        return call.ends.next_generation()

    async def sit() -> None:
        try:
            await seat.run(
                setup,
                inbox=call.inbox_send.clone(),
                playout=call.ends.playout.clone(),
                next_generation=next_generation,
                use=call.record.use.of(provider.name),
            )
        finally:
            now = trio.current_time()
            trial.ended(seat.lost, now - seat.opened_at if seat.ready.is_set() else 0.0, now)

    seats.start_soon(sit, name=f"seat {provider.name}")
    return seat


async def seek(call: CallContext, seats: trio.Nursery, successor: Successor, first: Seat | None) -> None:
    """Open a session that can take the floor back, however often it takes; then let the script know."""
    if first is not None:
        if await first.wait_settled():
            successor.seat = first
            successor.found.set()
            return
        note_refusal(call, first)
    of = call.record.provider
    refused = first.provider.name if first is not None and not first.resumes else ""
    for attempt in attempts(call.lineup, trio.current_time, call.record.handle, of, refused=refused):
        await trio.sleep(attempt.pause_s)
        seat = take_seat(call, seats, attempt.provider, attempt.handle)
        if await seat.wait_settled():
            successor.seat = seat
            successor.found.set()
            return
        note_refusal(call, seat)


def note_refusal(call: CallContext, seat: Seat) -> None:
    """A provider would not open a session; a handle that it refuses for good is forgotten.

    Resuming is tried beside opening afresh: that it was refused says nothing of the next try.
    """
    lost = seat.why()
    call.note("model_refused", str(lost), provider=seat.provider.name, resumed=seat.resumes)
    if not seat.resumes:
        call.lineup.refused(seat.provider.name)
    elif not lost.resumable:
        call.record.handle = None
