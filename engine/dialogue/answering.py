"""Questions: from the turn's passages, from what was spoken about before, or from the tenant's own facts. PURE."""

from collections.abc import Sequence

from engine.dialogue.acts import Say
from engine.dialogue.answers import Answer, answer
from engine.dialogue.days import find_day
from engine.dialogue.intents import Intent, intent_of
from engine.dialogue.replies import follows_on, parted, points_back
from engine.dialogue.state import HOURS_TOOL, MESSAGE_TOOL, Acts, Offer, State, Topic
from engine.dialogue.words import plain, terms
from engine.messages import Passage
from engine.tenants.hours import DAYS, spoken_periods, spoken_week
from engine.tenants.schema import violations

# Words that ask for a side of something, and so name no new thing themselves: "what does that cost".
_SIDES = frozenset(
    terms("cost costs price prices pay charge time times long day days extra more again "
          "today tomorrow tonight week weekend weekends monday tuesday wednesday thursday friday saturday sunday "
          "mondays "
          "tuesdays wednesdays thursdays fridays saturdays sundays")
)  # fmt: skip


def ask(state: State, text: str, passages: Sequence[Passage]) -> Acts:
    """Answer what was asked; of two things asked at once one may be for a tool and one for the passages."""
    parts = parted(text)
    by_hours = [intent_of(part) is Intent.HOURS for part in parts]
    if len(parts) == 2 and any(by_hours) and not all(by_hours):
        other, about_hours = (parts[1], parts[0]) if by_hours[0] else (parts[0], parts[1])
        found = answered(state, other, passages, in_words=True)
        # The passages were looked up for both at once: without a word in common they may bear on neither.
        said = found.text if found else state.phrase("one_by_one")
        return (*state.words(said), *hours(state, about_hours))
    if any(by_hours) or _asks_for_hours_again(state, text):
        return hours(state, text)
    found = answered(state, text, passages)
    return state.words(found.text) if found else unknown(state)


def answered(state: State, text: str, passages: Sequence[Passage], *, in_words: bool = False) -> Answer | None:
    """The answer that the passages give, which then is what further questions lean on; None where they give none.

    Args:
        in_words: only where it shares a word with the question.
    """
    own = tuple(passage for passage in passages if passage.tenant_id == state.tenant.id)
    leans = follows_on(text) and state.topic is Topic.PASSAGES
    if leans and not set(terms(text)) - _SIDES and (points_back(text) or terms(text)):
        found = answer(text, state.topic_passages, state.weights, about=state.topic_text)
        found = found if found and found.of_kind else None
    else:
        found = answer(text, own, state.weights)
        if leans and (found is None or not found.sure):
            found = answer(text, state.topic_passages, state.weights, about=state.topic_text) or found
    if found is None or not found.sure or (in_words and not found.in_words):
        return None
    if not leans or found.passages[0] not in state.topic_passages:
        state.topic_text = text
    state.topic, state.topic_passages = Topic.PASSAGES, found.passages
    return found


def unknown(state: State) -> Acts:
    """Nothing fits: say so, and offer what can be done about it."""
    if MESSAGE_TOOL not in state.tools:
        return state.say("unknown_alone")
    state.offering(Offer.MESSAGE)
    return state.say("unknown")


def _asks_for_hours_again(state: State, text: str) -> bool:
    """``and on Saturdays?``, after the hours were asked for."""
    return state.topic is Topic.HOURS and find_day(text) is not None and not set(terms(text)) - _SIDES


def hours(state: State, text: str) -> Acts:
    """When the business is open: by its tool if it has one, else from its document."""
    state.topic, state.topic_passages = Topic.HOURS, ()
    day = find_day(text)
    tool = state.tools.get(HOURS_TOOL)
    if tool is None:
        return _hours_from_document(state, day)
    now = "now" in plain(text) or text.casefold().rstrip(" ?.!").endswith("are you open")
    arguments = {"day": day} if day and not now and "day" in tool.parameters.get("properties", {}) else {}
    if next(violations(tool.parameters, arguments), None) is not None:
        return _hours_from_document(state, day)
    return (state.call(HOURS_TOOL, arguments, text="now" if now else ""),)


def _hours_from_document(state: State, day: str | None) -> Acts:
    if not state.week:
        return (Say(f"{state.phrase('hours_unknown')} {state.offer_message()}"),)
    if day in DAYS:
        return state.words(_ended(f"{str(day).capitalize()}: {spoken_periods(state.week[DAYS.index(str(day))])}"))
    return state.words(_ended(spoken_week(state.week)))


def _ended(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
