"""Who holds the floor of one call, one after the other: model, script, model again, until the call ends.

Plain sequential code. A model that is lost in mid-call never leaves a gap: what the carrier already holds plays out,
the script's first words are queued behind it in the same instant, and a successor is sought while the script speaks.
"""

from dataclasses import dataclass, field
from typing import TypeAlias

import trio

from engine.call.channels import FloorEnds
from engine.call.conversation import Conversation, SessionOver
from engine.call.desk import AgentEnds, CallDesk, PersonWanted
from engine.call.opening import going_on, greeting
from engine.call.outcome import Outcome, Reason
from engine.call.record import CallRecord
from engine.call.seat import UPLINK_QUEUED, Seat, attempts
from engine.call.services import Services
from engine.errors import CarrierError, ModelLost, first_of_kind
from engine.fallback.responder import HandedBack, SaidGoodbye, ScriptEnd, WantsPerson, run_responder
from engine.fallback.steps import Opening
from engine.log import get_logger
from engine.messages import Cut, CutPlayout, Floor, FloorEvent, Uplink
from engine.model.provider import ModelProvider, SessionSetup
from engine.tenants.tenant import Person, Tenant
from engine.tools.context import ToolContext
from engine.wire import twiml

OPENING_PATIENCE_S = 1.2  # a caller who just rang in waits no longer for a first word; then the script greets
LOSSES_TOLERATED = 4  # sessions lost in one call before the script keeps the floor to its end

log = get_logger("call.floor")
"""Joins lines by call and tenant, bound by the switchboard."""


@dataclass(slots=True)
class CallContext:
    """What the floor's holders of one call share."""

    tenant: Tenant
    record: CallRecord
    services: Services
    desk: CallDesk
    ends: FloorEnds
    inbox_send: trio.MemorySendChannel[FloorEvent]
    losses: int = 0
    providers: tuple[ModelProvider, ...] = field(default=())

    def __post_init__(self) -> None:
        offered = self.services.providers
        self.providers = tuple(offered[name] for name in self.tenant.models if name in offered)

    def note(self, what: str, text: str = "", **facts: object) -> None:
        """Add to the call's timeline, now."""
        self.record.note(trio.current_time(), what, text, **facts)

    def tool_context(self) -> ToolContext:
        """What this call's tools are given."""
        return ToolContext(
            tenant=self.tenant,
            call_sid=self.record.call_sid,
            caller=self.record.caller,
            control=self.desk,
            follow_ups=self.services.follow_ups,
            diary=self.services.diary,
            now=self.services.wall_clock,
        )


@dataclass(slots=True)
class Successor:
    """A model session sought while the script speaks."""

    found: trio.Event = field(default_factory=trio.Event)
    seat: Seat | None = None


Tenure: TypeAlias = AgentEnds | PersonWanted | SessionOver | ModelLost


async def hold_floor(call: CallContext) -> Outcome:
    """Pass the floor on until the call is to end; returns why. Cancelled when the line ends first."""
    async with trio.open_nursery() as seats:
        outcome = await _hold_in_turn(call, seats)
        call.record.outcome = outcome
        seats.cancel_scope.cancel()
    await _end_at_carrier(call, outcome)
    return outcome


async def _hold_in_turn(call: CallContext, seats: trio.Nursery) -> Outcome:
    seat = await _first_seat(call, seats)
    opening = Opening.APOLOGISE if call.record.sessions else Opening.GREET
    while True:
        if seat is not None and seat.ready.is_set():
            tenure = await _converse(call, seat)
            seat.leave()
            match tenure:
                case AgentEnds(reason):
                    return Outcome.of(Reason.AGENT_ENDED, reason)
                case SessionOver():
                    seat, opening = await _next_session(call, seats, seat), Opening.APOLOGISE
                    continue
                case PersonWanted(person):
                    if (outcome := await _transfer(call, person)) is not None:
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


async def _first_seat(call: CallContext, seats: trio.Nursery) -> Seat | None:
    if not call.providers:
        return None
    seat = _take_seat(call, seats, call.providers[0], call.record.handle)
    with trio.move_on_after(OPENING_PATIENCE_S):
        await seat.wait_settled()
    return seat


async def _next_session(call: CallContext, seats: trio.Nursery, old: Seat) -> Seat:
    """The provider wants this session to end, and nobody is speaking: go on with its successor."""
    # Resuming while the old connection is open is refused, so it must be gone first.
    await old.over.wait()
    call.note("handover", "next session", source=old.provider.name, target=old.provider.name)
    call.services.metrics.handovers.labels("model", "model", "expiring").inc()
    seat = _take_seat(call, seats, old.provider, call.record.handle)
    with trio.move_on_after(OPENING_PATIENCE_S):
        await seat.wait_settled()
    return seat


def _take_seat(call: CallContext, seats: trio.Nursery, provider: ModelProvider, handle: str | None) -> Seat:
    seat = Seat(provider)
    setup = SessionSetup(
        tenant=call.tenant,
        call_sid=call.record.call_sid,
        handle=handle,
        history=() if handle else call.record.history(),
    )

    async def sit() -> None:
        await seat.run(
            setup,
            inbox=call.inbox_send.clone(),
            playout=call.ends.playout.clone(),
            next_generation=call.ends.next_generation,
        )

    seats.start_soon(sit, name=f"seat {provider.name}")
    return seat


async def _converse(call: CallContext, seat: Seat) -> Tenure:
    """Give the floor to this seat until the call or the session ends."""
    call.record.sessions += 1
    call.note("model", seat.provider.name, session=call.record.sessions, resumed=call.record.handle is not None)
    conversation = Conversation(
        tenant=call.tenant,
        record=call.record,
        ends=call.ends,
        uplink=seat.uplink,
        prompts=call.services.prompts.for_tenant(call.tenant),
        desk=call.desk,
        metrics=call.services.metrics,
    )
    instruction = greeting(call.tenant) if call.record.sessions == 1 else going_on(call.record)
    call.ends.gate.route_to(seat.uplink)
    seat.on_slow = conversation.say_filler
    tenure: Tenure = seat.why()
    try:
        async with trio.open_nursery() as nursery:

            async def until_lost() -> None:
                await seat.over.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(until_lost)
            tenure = await conversation.run(instruction)
            nursery.cancel_scope.cancel()
    except* ModelLost as group:
        tenure = first_of_kind(group, ModelLost)
    except* (trio.BrokenResourceError, trio.ClosedResourceError):
        # The seat's uplink closed under a command of ours: the seat is over and says why.
        await seat.over.wait()
        tenure = seat.why()
    finally:
        seat.on_slow = None
        call.ends.gate.route_to(None)
    return tenure if not seat.over.is_set() or not isinstance(tenure, ModelLost) else seat.lost or tenure


def _model_lost(call: CallContext, seat: Seat, lost: ModelLost) -> None:
    call.losses += 1
    if not lost.resumable:
        call.record.handle = None
    call.services.metrics.model_lost.labels(seat.provider.name, lost.kind).inc()
    call.note("model_lost", str(lost), kind=lost.kind, code=lost.code, provider=seat.provider.name)
    log.warning("the model was lost", kind=lost.kind, code=lost.code, detail=str(lost), losses=call.losses)


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
    seeking = bool(call.providers) and call.losses < LOSSES_TOLERATED
    successor = Successor()
    async with trio.open_nursery() as nursery:
        if seeking:
            nursery.start_soon(_seek, call, seats, successor, still_opening)
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
                on_line=lambda name, text: call.record.script_said(trio.current_time(), name, text),
                on_message=call.record.keep_message,
            )
        nursery.cancel_scope.cancel()
    call.ends.gate.route_to(None)
    return await _after_script(call, end, successor)


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
            if (outcome := await _transfer(call, person)) is not None:
                return outcome
            # The caller chose a person over the model: do not go back to it, take a message.
            call.losses = LOSSES_TOLERATED
            async with trio.open_nursery() as no_seats:
                return await _script(call, no_seats, Opening.NO_PERSON)


async def _seek(call: CallContext, seats: trio.Nursery, successor: Successor, first: Seat | None) -> None:
    """Open a session that can take the floor back, however often it takes; then let the script know."""
    if first is not None and not first.over.is_set() and await first.wait_settled():
        successor.seat = first
        successor.found.set()
        return
    for attempt in attempts(call.providers, call.record.handle):
        await trio.sleep(attempt.pause_s)
        seat = _take_seat(call, seats, attempt.provider, attempt.handle)
        if await seat.wait_settled():
            successor.seat = seat
            successor.found.set()
            return
        lost = seat.why()
        call.note("model_refused", str(lost), provider=attempt.provider.name, resumed=attempt.handle is not None)
        if attempt.handle is not None and not lost.resumable:
            call.record.handle = None


# --- the end -----------------------------------------------------------------------------------------------------


async def _transfer(call: CallContext, person: Person) -> Outcome | None:
    """Put the caller through; None where the carrier would not, and the caller is still with us."""
    carrier = call.services.carrier
    call.note("transfer", person.name)
    if carrier is None:
        return None
    outcome = Outcome.of(Reason.TRANSFERRED, person.name)
    document = twiml.dial(number=person.number, action_url=call.services.dial_done_url)
    try:
        # Decided first: the stream's stop may come before the answer to our request.
        call.record.outcome = outcome
        await carrier.redirect_call(call.record.call_sid, document)
    except CarrierError as error:
        log.warning("the transfer failed", detail=str(error))
        call.record.outcome = None
        return None
    return outcome


async def _end_at_carrier(call: CallContext, outcome: Outcome) -> None:
    # The outcome is on record by now: the stream's end must not look like a loss to the recovery endpoint.
    carrier = call.services.carrier
    if carrier is None or outcome.reason is Reason.TRANSFERRED:
        return
    try:
        await carrier.end_call(call.record.call_sid)
    except CarrierError as error:
        # Closing the stream makes the carrier ask for recovery, which is answered with a hang-up.
        log.warning("the carrier did not end the call", detail=str(error))
