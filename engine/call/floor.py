"""Who holds the floor of one call, one after the other: model, script, model again, until the call ends.

Plain sequential code. A model that is lost in mid-call never leaves a gap: what the carrier already holds plays out,
the script's first words are queued behind it in the same instant, and a successor is sought while the script speaks.
"""

from dataclasses import replace
from typing import TypeAlias

import trio

from engine.call.carrier_end import end_at_carrier, put_through
from engine.call.channels import FloorEnds
from engine.call.context import CallContext
from engine.call.conversation import Conversation
from engine.call.desk import AgentEnds, PersonWanted, Wish
from engine.call.opening import going_on, greeting
from engine.call.orders import Orders, announce
from engine.call.outcome import Outcome, Reason
from engine.call.recording import consent_owed
from engine.call.renewal import Chair, keep_renewed
from engine.call.seat import UPLINK_QUEUED, Seat
from engine.call.seating import Successor, first_seat, seek
from engine.errors import ModelLost, first_of_kind
from engine.fallback.responder import HandedBack, SaidGoodbye, ScriptEnd, WantsPerson, run_responder
from engine.fallback.steps import Opening
from engine.log import get_logger
from engine.messages import Cut, CutPlayout, Floor, Uplink
from engine.model.provider import ModelProvider

log = get_logger("call.floor")
"""Joins lines by call and tenant, bound by the switchboard."""


Tenure: TypeAlias = AgentEnds | PersonWanted | ModelLost


async def hold_floor(call: CallContext) -> Outcome:
    """Pass the floor on until the call is to end; returns why. Cancelled when the line ends first."""
    async with trio.open_nursery() as seats:
        outcome = await _hold_in_turn(call, seats)
        call.record.outcome = outcome
        seats.cancel_scope.cancel()
    await end_at_carrier(call, outcome)
    return outcome


async def _hold_in_turn(call: CallContext, seats: trio.Nursery) -> Outcome:
    seat = await first_seat(call, seats)
    opening = Opening.APOLOGISE if call.record.utterances else Opening.GREET
    while True:
        if seat is not None and seat.ready.is_set():
            tenure, seat = await _converse(call, seats, seat)
            match tenure:
                case AgentEnds(reason):
                    await announce(call, tenure)
                    return Outcome.of(Reason.AGENT_ENDED, reason)
                case PersonWanted(person):
                    await announce(call, tenure)
                    if (outcome := await put_through(call, person)) is not None:
                        return outcome
                    seat, opening = None, Opening.NO_PERSON
                case ModelLost() as lost:
                    _model_lost(call, seat, lost)
                    seat, opening = None, Opening.APOLOGISE
        elif seat is not None and seat.over.is_set():
            _model_lost(call, seat, seat.why())
            seat = None
        held = await _script(call, seats, opening, still_opening=seat)
        if isinstance(held, Outcome):
            return held
        seat = held


# --- the model holds the floor -----------------------------------------------------------------------------------


async def _converse(call: CallContext, seats: trio.Nursery, seat: Seat) -> tuple[Tenure, Seat]:
    """Give the floor to this seat, and to those who follow it in mid-conversation; returns why it ended, and the last.

    The seat that is returned has been left.
    """
    call.record.sessions += 1
    if call.record.provider != seat.provider.name:
        call.record.provider, call.record.handle = seat.provider.name, None  # a handle is its own provider's
    call.note("model", seat.provider.name, session=call.record.sessions, resumed=call.record.handle is not None)
    conversation = Conversation(
        tenant=call.tenant,
        record=call.record,
        ends=_ends_for(call, seat.provider),
        uplink=seat.uplink,
        prompts=call.services.prompts.for_tenant(call.tenant),
        desk=call.desk,
        metrics=call.services.metrics,
    )
    greets = not call.record.utterances
    instruction = greeting(call.tenant) if greets else going_on(call.record, consent_owed(call.tenant, call.record))
    call.ends.gate.route_to(seat.uplink, may_pause=True)
    chair = Chair(seat, conversation)
    tenure: Tenure | None = None
    try:
        async with trio.open_nursery() as nursery:

            async def until_lost() -> None:
                await chair.wait_lost(call)
                nursery.cancel_scope.cancel()

            nursery.start_soon(until_lost)
            nursery.start_soon(keep_renewed, call, seats, chair, conversation)
            tenure = await conversation.run(instruction)
            nursery.cancel_scope.cancel()
    except* ModelLost as group:
        tenure = first_of_kind(group, ModelLost)
    except* (trio.BrokenResourceError, trio.ClosedResourceError):
        # The seat's uplink closed under a command of ours: the seat is over and says why.
        await chair.wait_lost(call)
    finally:
        call.ends.gate.route_to(None)
        chair.leave()
        conversation.questions.keep_unanswered(conversation.open_turn)
    if tenure is None or (isinstance(tenure, ModelLost) and chair.seat.lost is not None):
        tenure = chair.seat.why()
    return tenure, chair.seat


def _ends_for(call: CallContext, provider: ModelProvider) -> FloorEnds:
    """With whom it is known by what time the caller's words are there: a listener, else the model itself."""
    within_s = provider.capabilities.transcripts_within_s
    if call.ends.listening or not within_s:
        return call.ends
    return replace(call.ends, listening=True, words_within_s=within_s)


def _model_lost(call: CallContext, seat: Seat, lost: ModelLost) -> None:
    if not seat.expiring:  # one that was announced says nothing about the model
        served_s = trio.current_time() - seat.opened_at if seat.ready.is_set() else 0.0
        call.lineup.lost(seat.provider.name, served_s=served_s)
    if not lost.resumable:
        call.record.handle = None
    call.services.metrics.model_lost.labels(seat.provider.name, lost.kind).inc()
    call.note("model_lost", str(lost), kind=lost.kind, code=lost.code, provider=seat.provider.name)
    log.warning("the model was lost", kind=lost.kind, code=lost.code, detail=str(lost), losses=call.lineup.losses)


# --- the script holds the floor ----------------------------------------------------------------------------------


async def _script(
    call: CallContext, seats: trio.Nursery, opening: Opening, *, still_opening: Seat | None = None
) -> Seat | Outcome:
    """Give the floor to the script; returns a seat to go on with, or the call's outcome."""
    # What the carrier holds plays out; everything later of the lost model is dropped, also what is still on its way.
    await call.ends.playout.send(CutPlayout(call.ends.next_generation(), Cut.SOON))
    call.record.floor = Floor.SCRIPT
    call.record.handovers += 1
    call.note("handover", opening.name.lower(), source="model", target="script")
    call.services.metrics.handovers.labels("model", "script", opening.name.lower()).inc()
    uplink, uplink_receive = trio.open_memory_channel[Uplink](UPLINK_QUEUED)
    call.ends.gate.route_to(uplink)
    call.ends.gate.open()
    seeking = not call.lineup.is_spent
    successor, orders = Successor(), Orders()
    end: ScriptEnd | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(orders.wait, call, nursery.cancel_scope)
        if seeking:
            nursery.start_soon(seek, call, seats, successor, still_opening)
        with uplink, uplink_receive:
            end = await run_responder(
                tenant=call.tenant,
                prompts=call.services.prompts.for_tenant(call.tenant),
                opening=opening,
                inbox=call.ends.inbox.clone(),
                uplink=uplink_receive.clone(),
                playout=call.ends.playout.clone(),
                next_generation=call.ends.next_generation,
                successor=successor.found if seeking else None,
                on_line=lambda name, text, number: call.record.script_said(trio.current_time(), name, text, number),
                on_message=call.record.keep_message,
            )
        nursery.cancel_scope.cancel()
    call.ends.gate.route_to(None)
    if orders.given is not None:
        return await _ordered(call, seats, orders.given, successor)
    assert end is not None, "only an order ends the script before its end"
    return await _after_script(call, end, successor)


async def _ordered(call: CallContext, seats: trio.Nursery, wish: Wish, successor: Successor) -> Seat | Outcome:
    """An operator wants something while the script has the floor."""
    if successor.seat is not None:
        successor.seat.leave()
    await announce(call, wish)
    match wish:
        case AgentEnds(reason):
            return Outcome.of(Reason.AGENT_ENDED, reason)
        case PersonWanted(person):
            if (outcome := await put_through(call, person)) is not None:
                return outcome
            return await _script(call, seats, Opening.NO_PERSON)


async def _after_script(call: CallContext, end: ScriptEnd, successor: Successor) -> Seat | Outcome:
    if successor.seat is not None and not isinstance(end, HandedBack):
        successor.seat.leave()
    match end:
        case HandedBack():
            assert successor.seat is not None, "the script hands back only to a successor"
            call.note("handover", "back to the model", source="script", target=successor.seat.provider.name)
            call.services.metrics.handovers.labels("script", "model", "recovered").inc()
            return successor.seat
        case SaidGoodbye(message):
            return Outcome.of(Reason.MESSAGE_TAKEN if message else Reason.SCRIPT_ENDED)
        case WantsPerson(person):
            if (outcome := await put_through(call, person)) is not None:
                return outcome
            # The caller chose a person over the model: do not go back to it, take a message.
            call.lineup.dismiss()
            async with trio.open_nursery() as no_seats:
                return await _script(call, no_seats, Opening.NO_PERSON)
