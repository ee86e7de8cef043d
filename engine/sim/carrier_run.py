"""Runs TwiML: one document after the other, until one ends the call or an order does."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias
from urllib.parse import urljoin

import trio

from engine.sim.carrier_call import HowEnded, LiveCall, NewDocument
from engine.sim.carrier_stream import connect
from engine.sim.carrier_twiml import Unreadable, Verb, read_twiml
from engine.sim.carrier_verbs import dial, gather, pause, play, record, say
from engine.sim.carrier_web import Document

MOST_DOCUMENTS = 50  # a server that sends its caller round and round is cut off here

VerbRunner: TypeAlias = Callable[[LiveCall, Verb, Document], Awaitable[Document | HowEnded | None]]


async def run_twiml(call: LiveCall, first: Document) -> HowEnded:
    """Run this document and all that follow from it; returns how the call ended (and sets it on the call)."""
    step: Document | NewDocument = first
    for _ in range(MOST_DOCUMENTS):
        call.scope = trio.CancelScope()
        following: Document | NewDocument | HowEnded | None = None
        if call.order is None:
            with call.scope:
                following = await _run_step(call, step)
        if call.order is not None:
            following, call.order = call.order, None
        assert following is not None, "cancelled without an order"
        if isinstance(following, HowEnded):
            call.how_ended = following
            return following
        step = following
    call.debugger.note(11215, f"more than {MOST_DOCUMENTS} documents", trio.current_time())
    call.how_ended = HowEnded.APPLICATION_ERROR
    return call.how_ended


async def _run_step(call: LiveCall, step: Document | NewDocument) -> Document | HowEnded:
    document = step if isinstance(step, Document) else await _obtain(call, step)
    if document is None:
        return HowEnded.APPLICATION_ERROR
    for verb in document.twiml.verbs:
        following = await _VERBS[verb.name](call, verb, document)
        if following is not None:
            return following
    return HowEnded.TWIML_ENDED


async def _obtain(call: LiveCall, new: NewDocument) -> Document | None:
    if new.twiml is None:
        return await call.web.fetch(new.url or "", new.method)
    twiml = read_twiml(new.twiml.encode(), "text/xml")
    now = trio.current_time()
    if isinstance(twiml, Unreadable):
        call.debugger.note(twiml.code, f"TwiML of an update: {twiml.detail}", now)
        return None
    for code, detail in twiml.warnings:
        call.debugger.note(code, f"TwiML of an update: {detail}", now)
    return Document(twiml, "")


async def _redirect(call: LiveCall, verb: Verb, document: Document) -> Document | HowEnded:
    url = urljoin(document.url, verb.text)
    return await call.web.fetch(url, verb.attributes.get("method", "POST")) or HowEnded.APPLICATION_ERROR


async def _hang_up(call: LiveCall, verb: Verb, document: Document) -> HowEnded:
    del call, verb, document
    return HowEnded.TWIML_ENDED


async def _reject(call: LiveCall, verb: Verb, document: Document) -> HowEnded:
    del call, verb, document
    return HowEnded.REJECTED


_VERBS: dict[str, VerbRunner] = {
    "Connect": connect,
    "Say": say,
    "Play": play,
    "Pause": pause,
    "Gather": gather,
    "Record": record,
    "Dial": dial,
    "Redirect": _redirect,
    "Hangup": _hang_up,
    "Reject": _reject,
}
