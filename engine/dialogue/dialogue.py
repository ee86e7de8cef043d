"""One caller's conversation with the offline voice."""

from collections.abc import Mapping, Sequence
from typing import Any

from engine.dialogue.acts import Act, Say
from engine.dialogue.answering import ask
from engine.dialogue.filling import fill, question_again
from engine.dialogue.intents import Intent, intent_of
from engine.dialogue.outcomes import came_of
from engine.dialogue.people import person_meant
from engine.dialogue.replies import asks_strongly, is_no, is_yes
from engine.dialogue.resume import resume
from engine.dialogue.spoken import sayable
from engine.dialogue.state import FIND_TOOL, MESSAGE_TOOL, SLOTS_TOOL, Acts, Offer, State, new_state
from engine.dialogue.wishes import begin, booking_tool, put_through, say_goodbye, talk_to, tool_wanted
from engine.messages import Passage
from engine.tenants.tenant import Person, Tenant

_LONGEST_HEARD = 1200  # characters: more than a minute of speech without a pause
_PATIENCE = 3  # times in a row that nothing was understood, before something else is offered


class Dialogue:
    """Remembers what is being asked for and what is still missing for it.

    English only. Answers are sentences of the turn's passages, and what tools say; nothing is made up. A ``writes``
    tool is called after the caller said yes to what was read back, once for each yes; putting the caller through and
    ending the call need no more than being asked for it.

    Args:
        caller: their number; empty where it is withheld.
        history: what was said before this dialogue began, oldest first: ("caller" or "agent", text).
    """

    def __init__(self, tenant: Tenant, *, caller: str = "", history: Sequence[tuple[str, str]] = ()) -> None:
        self._state = new_state(tenant, caller, len(history))
        resume(self._state, history)

    def hear(self, text: str, passages: Sequence[Passage]) -> tuple[Act, ...]:
        """The caller has said this (empty: something that was not understood); the turn's passages, best first."""
        state, text = self._state, text[:_LONGEST_HEARD]
        state.turn += 1
        if not any(char.isalnum() for char in text):
            return self._said(_not_understood(state))
        state.misses = 0
        if state.form is not None:
            return self._said(fill(state, state.form, text, passages))
        offer, person = state.offer, state.person
        state.offering(None)
        if offer is not None and (acts := _to_offer(state, offer, person, text)) is not None:
            return self._said(acts)
        return self._said(_general(state, text, passages))

    def tool_result(self, call_id: str, response: Mapping[str, Any]) -> tuple[Act, ...]:
        """What came of a ``CallTool``. Never more than a few acts; none where nothing is to be said."""
        pending = self._state.pending.pop(call_id, None)
        return () if pending is None else self._said(came_of(self._state, pending, response))

    def told_to_say(self, text: str) -> tuple[Act, ...]:
        """Words decided elsewhere (the greeting): said as they are."""
        return self._said((Say(text),) if text else ())

    def cut(self, heard: str) -> None:
        """The caller cut the last answer off, having heard only this of it."""
        if self._state.form is not None and self._state.last:
            self._state.form.heard = min(1.0, len(heard) / len(self._state.last))

    def _said(self, acts: Acts) -> Acts:
        words = " ".join(act.text for act in acts if isinstance(act, Say))
        if words:
            self._state.last = words
        return acts


def _not_understood(state: State) -> Acts:
    state.misses += 1
    if state.misses < _PATIENCE:
        return state.words(state.phrase("not_caught") if state.form is None else _sorry_and_again(state))
    state.misses = 0
    state.form = None
    return state.words(state.phrase("hard_of_hearing"), state.offer_message())


def _sorry_and_again(state: State) -> str:
    return f"{state.phrase('not_fitting')} {question_again(state)}"


def _to_offer(state: State, offer: Offer, person: Person | None, text: str) -> Acts | None:
    """The answer to what was offered; None where the caller says something else altogether."""
    if is_yes(text):
        if offer is Offer.MESSAGE:
            return begin(state, MESSAGE_TOOL, "")
        if offer is Offer.PERSON and person is not None:
            return put_through(state, person)
        return state.say("what_else") if offer is Offer.ANYTHING_ELSE else None
    intent = intent_of(text)
    if offer is Offer.PERSON and intent in (Intent.QUESTION, Intent.PERSON) and not asks_strongly(text):
        meant = person_meant(text, state.tenant.people)
        if meant is not None and meant.named:
            return put_through(state, meant.person)
    if intent is not Intent.NO and not (is_no(text) and intent in (Intent.THANKS, Intent.GOODBYE)):
        return None
    if offer is Offer.ANYTHING_ELSE:
        return say_goodbye(state)
    state.offering(Offer.ANYTHING_ELSE)
    return state.say("acknowledged")


def _general(state: State, text: str, passages: Sequence[Passage]) -> Acts:
    """Nothing is being filled in and nothing was offered: take it by what it is about."""
    intent = intent_of(text)
    if (acts := _wish(state, intent, text)) is not None:
        return acts
    if (acts := _manners(state, intent)) is not None:
        return acts
    if intent is Intent.QUESTION and (tool := tool_wanted(state, text)) and not asks_strongly(text):
        return begin(state, tool, text)
    return ask(state, text, passages)


def _wish(state: State, intent: Intent, text: str) -> Acts | None:
    match intent:
        case Intent.GOODBYE:
            return say_goodbye(state)
        case Intent.PERSON:
            return talk_to(state, text)
        case Intent.MESSAGE:
            return begin(state, MESSAGE_TOOL, text)
        case Intent.BOOK | Intent.FREE_SLOTS if tool := booking_tool(state, text):
            return begin(state, tool, text)
        case Intent.FREE_SLOTS if SLOTS_TOOL in state.tools:
            return begin(state, SLOTS_TOOL, text)
        case Intent.FIND_BOOKING if FIND_TOOL in state.tools:
            return begin(state, FIND_TOOL, text)
        case _:
            return None


def _manners(state: State, intent: Intent) -> Acts | None:
    """Small talk and talk about the talk; None where it is neither."""
    name = sayable(state.tenant.name)
    match intent:
        case Intent.GREETING:
            return state.say("hello")
        case Intent.HOW_ARE_YOU:
            return state.say("how_are_you")
        case Intent.WAIT:
            return state.say("wait")
        case Intent.WHO_ARE_YOU:
            return state.say("who", name=name)
        case Intent.WHICH_BUSINESS:
            return state.say("business", name=name)
        case Intent.COMPLAINT:
            return state.say("complaint")
        case Intent.REPEAT:
            return state.words(state.phrase("again", text=state.last)) if state.last else state.say("nothing_to_repeat")
        case Intent.THANKS | Intent.NEVER_MIND | Intent.YES | Intent.NO:
            if state.pending and intent is not Intent.NEVER_MIND:
                return state.say("working")
            state.offering(Offer.ANYTHING_ELSE)
            kind = {Intent.THANKS: "welcome", Intent.NEVER_MIND: "never_mind"}.get(intent, "acknowledged")
            return state.say(kind)
        case _:
            return None
