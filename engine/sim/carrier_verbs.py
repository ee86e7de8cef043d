"""The verbs that need no stream: what the carrier says, plays, gathers, records and dials by itself.

Each is ``async (call, verb, document) -> what comes next``: another document, the end of the call, or None for the
next verb. What they let the caller hear is noted with the handset as static sound; recordings hold none of it.
"""

from collections import deque

import trio

from engine.sim.carrier_call import HowEnded, LiveCall
from engine.sim.carrier_twiml import Verb
from engine.sim.carrier_web import Document

BEEP_S = 0.5
BRIDGED = {"completed", "answered"}


async def say(call: LiveCall, verb: Verb, document: Document) -> None:
    """``<Say>``: takes as long as a voice needs for so many letters."""
    del document
    times = _number(verb, "loop", 1) or 1000
    await _sound(call, "Say", verb.text, max(0.5, len(verb.text) / call.options.say_chars_per_s) * times)


async def play(call: LiveCall, verb: Verb, document: Document) -> None:
    """``<Play>``: a file lasts as long as the options say, digits as long as they do."""
    del document
    digits = verb.attributes.get("digits", "")
    seconds = sum({"w": 0.5, "W": 1.0}.get(digit, 0.25) for digit in digits) if digits else call.options.play_s
    await _sound(call, "Play", digits or verb.text, seconds)


async def pause(call: LiveCall, verb: Verb, document: Document) -> None:
    """``<Pause>``: dead air."""
    del call, document
    await trio.sleep(_number(verb, "length", 1))


async def gather(call: LiveCall, verb: Verb, document: Document) -> Document | HowEnded | None:
    """``<Gather>`` of keys; the first key ends the prompt inside. Nothing pressed: the next verb."""
    pressed = trio.Event()
    digits: deque[str] = deque()

    def key(digit: str) -> None:
        nonlocal pressed
        digits.append(digit)
        pressed.set()
        pressed = trio.Event()

    call.handset.gather(key)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_prompt, call, verb, document, nursery.cancel_scope)
            await pressed.wait()
            nursery.cancel_scope.cancel()
        finish, most = verb.attributes.get("finishOnKey", "#"), _number(verb, "numDigits", 0)
        with trio.move_on_after(_number(verb, "timeout", 5)) as patience:
            while digits and not (finish and finish in digits) and not (most and len(digits) >= most):
                await pressed.wait()
                patience.deadline = trio.current_time() + _number(verb, "timeout", 5)
    finally:
        call.handset.gather(None)
    entered = "".join(digits).partition(finish)[0] if finish else "".join(digits)
    if not entered:
        return None
    return await call.follow(verb, document, {"Digits": entered}, default=document.url)


async def record(call: LiveCall, verb: Verb, document: Document) -> Document | HowEnded | None:
    """``<Record>``: until silence, a key, or its full length; without ``action`` the same document again."""
    began = trio.current_time()
    keys: list[str] = []
    sid = call.new_sid("RE")
    about = {
        "RecordingSid": sid,
        "RecordingUrl": f"https://api.twilio.com/2010-04-01/Accounts/{call.account.account_sid}/Recordings/{sid}",
    }
    call.handset.hear_static("Record", "(beep)", BEEP_S)
    call.handset.record(listening=True)
    try:
        with trio.move_on_after(_number(verb, "maxLength", 3600)) as length:

            def key(digit: str) -> None:
                keys.append(digit)
                length.cancel()

            call.handset.gather(key)
            await _wait_silence(call, began + BEEP_S, _number(verb, "timeout", 5))
    finally:
        # Also on a hang-up, which is how most messages end.
        call.handset.gather(None)
        call.handset.record(listening=False)
        call.handset.hush_static()
        about["RecordingDuration"] = str(round(trio.current_time() - began))
        call.callback(verb, "recordingStatusCallback", document, {**about, "RecordingStatus": "completed"})
    return await call.follow(verb, document, {**about, "Digits": "".join(keys)}, default=document.url)


async def dial(call: LiveCall, verb: Verb, document: Document) -> Document | HowEnded | None:
    """``<Dial>``: rings or connects as scripted."""
    outcome = call.next_dial()
    number = verb.text or next((child.text for child in verb.children), "")
    bridged = outcome.status in BRIDGED
    seconds = outcome.seconds if bridged else min(outcome.seconds, _number(verb, "timeout", 30))
    call.handset.record(listening=bridged)
    try:
        await _sound(call, "Dial", number, seconds)
    finally:
        call.handset.record(listening=False)
    about = {"DialCallStatus": outcome.status, "DialCallSid": call.new_sid("CA"), "DialBridged": str(bridged).lower()}
    if bridged:
        about["DialCallDuration"] = str(round(seconds))
    return await call.follow(verb, document, about)


async def _sound(call: LiveCall, verb: str, text: str, seconds: float) -> None:
    call.handset.hear_static(verb, text, seconds)
    try:
        await trio.sleep(seconds)
    finally:
        call.handset.hush_static()


async def _prompt(call: LiveCall, verb: Verb, document: Document, enough: trio.CancelScope) -> None:
    for child in verb.children:
        await _PROMPTS[child.name](call, child, document)
    await trio.sleep(_number(verb, "timeout", 5))
    enough.cancel()


async def _wait_silence(call: LiveCall, since: float, quiet_s: float) -> None:
    while True:
        voiced = call.handset.said[-1].voiced_until if call.handset.said else since
        due = max(since, voiced) + quiet_s
        if trio.current_time() >= due:
            return
        await trio.sleep_until(due)


def _number(verb: Verb, name: str, default: int) -> int:
    value = verb.attributes.get(name, "")
    return int(value) if value.isdigit() else default


_PROMPTS = {"Say": say, "Play": play, "Pause": pause}
