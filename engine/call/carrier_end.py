"""What a call asks of the carrier when we let go of it: put the caller through, or end the call.

Decided first, asked then: the outcome is on record before the carrier is told, because the stream's stop may come
before its answer, and must not look like a loss to the recovery endpoint.
"""

import trio

from engine.call.channels import Filler
from engine.call.context import CallContext
from engine.call.outcome import Outcome, Reason
from engine.errors import CarrierError
from engine.log import get_logger
from engine.tenants.tenant import Person
from engine.wire import twiml

COMPANY_AFTER_S = 1.2  # of a carrier that does not answer: the caller has heard that they are being put through
COMPANY_EVERY_S = 3.0
TRANSFER_PATIENCE_S = 10.0  # then somebody else must serve them
GOODBYE_PATIENCE_S = 3.0  # then the stream is closed: the carrier asks for a recovery, and is told to hang up

log = get_logger("call.carrier_end")


async def put_through(call: CallContext, person: Person) -> Outcome | None:
    """Put the caller through; None where the carrier would not, and the caller is still with us."""
    carrier = call.services.carrier
    call.note("transfer", person.name)
    if carrier is None:
        return None
    call.record.outcome = outcome = Outcome.of(Reason.TRANSFERRED, person.name)
    document = twiml.dial(number=person.number, action_url=call.services.dial_done_url)
    failed = f"no answer within {TRANSFER_PATIENCE_S:g} s"
    with trio.move_on_after(TRANSFER_PATIENCE_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_keep_company, call)
            try:
                await carrier.redirect_call(call.record.call_sid, document)
            except CarrierError as error:
                failed = str(error)
            else:
                failed = ""
            nursery.cancel_scope.cancel()
    if not failed:
        return outcome
    log.warning("the transfer failed", detail=failed)
    call.note("transfer_failed", failed)
    call.record.outcome = None
    return None


async def _keep_company(call: CallContext) -> None:
    filler = Filler(call.ends, call.record, call.services.metrics)
    prompts = call.services.prompts.for_tenant(call.tenant)
    await trio.sleep(COMPANY_AFTER_S)
    for text, mulaw in zip(call.tenant.script.company, prompts.company, strict=True):
        filler.say(text, mulaw)
        await trio.sleep(len(mulaw) / 8000 + COMPANY_EVERY_S)


async def end_at_carrier(call: CallContext, outcome: Outcome) -> None:
    """End the call there; where that cannot be had, the end of our stream does it."""
    carrier = call.services.carrier
    if carrier is None or outcome.reason is Reason.TRANSFERRED:
        return
    try:
        with trio.fail_after(GOODBYE_PATIENCE_S):
            await carrier.end_call(call.record.call_sid)
    except (CarrierError, trio.TooSlowError) as error:
        log.warning("the carrier did not end the call", detail=str(error) or "no answer in time")
