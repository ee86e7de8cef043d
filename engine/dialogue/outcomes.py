"""What came of a tool -> what the caller hears of it, and how it goes on. PURE.

Tools answer for models ("Ask for the number"), so sentences that tell one what to do are left out. Whatever came of it,
the tool is not called again for the same yes.
"""

import re
from collections.abc import Mapping
from typing import Any

from engine.dialogue.answering import unknown
from engine.dialogue.filling import question_again
from engine.dialogue.slots import Kind
from engine.dialogue.spoken import bounded, sayable, sentences
from engine.dialogue.state import (
    BOOK_TOOL,
    END_TOOL,
    HOURS_TOOL,
    MESSAGE_TOOL,
    SLOTS_TOOL,
    TRANSFER_TOOL,
    Acts,
    Offer,
    Pending,
    State,
)
from engine.dialogue.wishes import go_on

_LONGEST = 260  # characters of a tool's own words
_FOR_A_MODEL = re.compile(
    r"^(?:give|ask|say|offer|tell|do not|don't|if you|call this|use|the caller (?:is|should|has)|"
    r"it is (?:monday|tuesday|wednesday|thursday|friday|saturday|sunday), )", re.IGNORECASE)  # fmt: skip
_SOMEONE_CALLS = "have someone call you back"
_NOTHING_FREE = re.compile(r"^nothing is free", re.IGNORECASE)


def came_of(state: State, pending: Pending, response: Mapping[str, Any]) -> Acts:
    """What to say of it; nothing where nothing is to be said."""
    status, message = response.get("status"), response.get("message")
    text = message if isinstance(message, str) else ""
    if pending.name == END_TOOL:
        return ()
    if status == "ok":
        return _ok(state, pending, text, response)
    if status == "refused":
        return _refused(state, pending, text, response)
    return _failed(state, pending, text)


def _ok(state: State, pending: Pending, text: str, response: Mapping[str, Any]) -> Acts:
    match pending.name:
        case name if name == TRANSFER_TOOL:
            return ()  # said before, so that the line is silent when it is handed over
        case name if name == HOURS_TOOL:
            return state.words(_hours(state, pending, text, response), question_again(state))
        case name if name == SLOTS_TOOL and pending.form is not None and pending.form.spec.name == BOOK_TOOL:
            return _free(state, pending, text, response)
        case name if name == MESSAGE_TOOL:
            said = state.phrase("message_kept")
        case _:
            said = told(text) or state.phrase("done")
    return _closed(state, said)


def _closed(state: State, said: str) -> Acts:
    """Said, and asked what else; unless the caller is in the middle of something else by now."""
    if again := question_again(state):
        return state.words(said, again)
    state.offering(Offer.ANYTHING_ELSE)
    return state.words(said, state.phrase("anything_else"))


def _hours(state: State, pending: Pending, text: str, response: Mapping[str, Any]) -> str:
    said = told(text)
    if pending.text == "now" and isinstance(is_open := response.get("open_now"), bool):
        return f"{state.phrase('open_now' if is_open else 'closed_now')} {said}"
    return said or state.phrase("hours_unknown")


def _free(state: State, pending: Pending, text: str, response: Mapping[str, Any]) -> Acts:
    """Free times were looked up for a booking: say them, and ask for one."""
    form = state.form
    if form is None or form is not pending.form or form.confirming or form.value(Kind.TIME) is not None:
        return ()  # the caller has gone on meanwhile
    if form.value(Kind.DAY) != pending.text:
        return ()
    day, slot = response.get("date"), form.slot(Kind.DAY)
    if response.get("free") == []:
        form.forget(Kind.DAY)
    elif isinstance(day, str) and slot is not None and slot.fits(day):
        form.values[slot.name], form.looked_up = day, day
    return (*state.words(told(text)), *go_on(state))


def _refused(state: State, pending: Pending, text: str, response: Mapping[str, Any]) -> Acts:
    said = told(text) or state.phrase("refused")
    form = pending.form
    if form is None or state.form not in (None, form):
        if pending.name == HOURS_TOOL:
            said = state.phrase("hours_unknown")
        return state.words(said, question_again(state) or state.offer_message())
    if pending.name == SLOTS_TOOL and state.form is form:
        form.forget(Kind.DAY)
        return state.words(said, _next(state))
    if not response.get("retryable"):
        return state.words(said, state.offer_message())
    kinds = _doubted(text, response, phoneless=form.value(Kind.PHONE) is None)
    state.form = form
    form.forget(*kinds)
    if form.missing() is None and Kind.PHONE in kinds and (slot := form.slot(Kind.PHONE)) is not None:
        return state.words(said, form.ask(slot, state.turn))
    if form.missing() is None:
        # It cannot be told what was wrong with it, and the same again would be refused again.
        state.form = None
        return state.words(said, state.offer_message())
    return state.words(said, _next(state))


def _next(state: State) -> str:
    form = state.form
    slot = None if form is None else form.missing()
    return "" if form is None or slot is None else form.ask(slot, state.turn)


def _doubted(text: str, response: Mapping[str, Any], *, phoneless: bool) -> tuple[Kind, ...]:
    """What the refusal is about, so that it is asked for again."""
    first = text.split(".")[0].casefold()
    if "number" in first or (phoneless and "number" in text.casefold()):
        return (Kind.PHONE,)
    if "day" in first and "full" not in text and not response.get("free"):
        return (Kind.DAY,)
    if response.get("free") == [] or "day is full" in text:
        return (Kind.DAY, Kind.TIME)
    return (Kind.TIME,)


def _failed(state: State, pending: Pending, text: str) -> Acts:
    if pending.name == SLOTS_TOOL and state.form is not None and state.form is pending.form:
        return go_on(state)  # not knowing what is free, ask for a time all the same
    again = question_again(state)
    if pending.name == HOURS_TOOL:
        return state.words(state.phrase("hours_unknown"), again) if again else unknown(state)
    if pending.name == TRANSFER_TOOL:
        return state.words(state.phrase("not_put_through"), again or state.offer_message())
    if _SOMEONE_CALLS in text and "could not be told" not in text:
        return _closed(state, state.phrase("call_back"))
    offered = state.phrase("no_offer") if pending.name == MESSAGE_TOOL else state.offer_message()
    return state.words(state.phrase("failed"), again or offered)


def told(text: str) -> str:
    """A tool's message as a caller may hear it."""
    kept = [sayable(each) for each in sentences(" ".join(text.split())) if not _FOR_A_MODEL.match(each)]
    return bounded(" ".join(kept), _LONGEST) if kept else ""
