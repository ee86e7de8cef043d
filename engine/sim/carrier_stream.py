"""``<Connect><Stream>``: one media stream, from dialling to whatever ended it."""

from datetime import UTC, datetime

import trio

from engine.sim.carrier_call import HowEnded, LiveCall
from engine.sim.carrier_dial import DialFailed, dial_stream, stream_address
from engine.sim.carrier_twiml import Verb, stream_problem
from engine.sim.carrier_web import Document
from engine.sim.carrier_wire import CarrierWire
from engine.sim.phone import Phone


async def connect(call: LiveCall, verb: Verb, document: Document) -> Document | HowEnded | None:
    """Hold the stream until it ends, then ask ``action``; nothing of the end's cause is told to it."""
    streams = [child for child in verb.children if child.name == "Stream"]
    if not streams:
        call.debugger.note(12200, "<Connect> without <Stream>", trio.current_time())
        return None
    failed = await _hold(call, streams[0], document)
    if failed is not None:
        call.debugger.note(failed.code, failed.detail, trio.current_time())
    return await call.follow(verb, document, {})


async def _hold(call: LiveCall, stream: Verb, document: Document) -> DialFailed | None:
    problem = stream_problem(stream)
    if problem is not None:
        return DialFailed(*problem)
    address = stream_address(call.account, stream.attributes["url"])
    if isinstance(address, DialFailed):
        return address
    url, dropped = address
    if dropped is not None:
        call.debugger.note(31920, dropped, trio.current_time())
    stream_sid = call.new_sid("MZ")
    about = {"StreamSid": stream_sid, "StreamName": stream.attributes.get("name", stream_sid)}
    started = {**about, "StreamEvent": "stream-started"}
    if call.options.callbacks_first:
        await _tell_first(call, stream, document, started)
    dialled = await dial_stream(call.account, url, call.options.handshake)
    if isinstance(dialled, DialFailed):
        _tell(call, stream, document, {**about, "StreamEvent": "stream-error", "StreamError": dialled.detail})
        return dialled
    phone = Phone(
        dialled.sock,
        wire=CarrierWire(account_sid=call.account.account_sid, call_sid=call.sid, stream_sid=stream_sid),
        parameters={child.attributes.get("name", ""): child.attributes.get("value", "") for child in stream.children},
        plane=call.plane,
        handset=call.handset,
        route=call.route,
        debugger=call.debugger,
        options=call.options.phone,
        leftover=dialled.leftover,
    )
    call.phones.append(phone)
    if not call.options.callbacks_first:
        _tell(call, stream, document, started)
    try:
        await phone.ended.wait()
    finally:
        # Reached by an order too (hang-up, REST): then the stream gets its end here; a half-open one lingers on
        # in the background while the call goes on or ends.
        phone.hang_up(call.ending)
        call.background.start_soon(phone.wait_gone)
        _tell(call, stream, document, {**about, "StreamEvent": "stream-stopped"})
    return None


def _tell(call: LiveCall, stream: Verb, document: Document, params: dict[str, str]) -> None:
    if call.options.stream_callbacks:
        call.callback(stream, "statusCallback", document, _stamped(params))


async def _tell_first(call: LiveCall, stream: Verb, document: Document, params: dict[str, str]) -> None:
    if call.options.stream_callbacks:
        await call.call_back(stream, "statusCallback", document, _stamped(params))


def _stamped(params: dict[str, str]) -> dict[str, str]:
    return {**params, "Timestamp": datetime.now(UTC).isoformat(timespec="milliseconds")}
