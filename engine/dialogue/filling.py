"""While a form is being filled in: answers to what was asked, corrections, side questions, second thoughts. PURE."""

from collections.abc import Sequence

from engine.dialogue.acts import CallTool
from engine.dialogue.answering import answered, hours
from engine.dialogue.days import cannot_be_counted
from engine.dialogue.forms import Form
from engine.dialogue.intents import Intent, intent_of
from engine.dialogue.replies import asks, asks_strongly, is_no, is_yes
from engine.dialogue.slots import Kind
from engine.dialogue.state import BOOK_TOOL, MESSAGE_TOOL, Acts, Offer, State
from engine.dialogue.wishes import begin, go_on, have_done, say_goodbye, take_soonest, talk_to
from engine.dialogue.words import plain
from engine.messages import Passage

_PATIENCE = 3  # answers that do not fit, before something else is offered
_SHORT = 5  # words; what is longer is the text that was asked for, whatever else it sounds like


def fill(state: State, form: Form, text: str, passages: Sequence[Passage]) -> Acts:
    """What to say or do now that the caller has said this."""
    intent = intent_of(text)
    if (acts := _second_thoughts(state, form, intent, text)) is not None:
        return acts
    if form.confirming:
        return _to_confirm(state, form, text, intent, passages)
    if (acts := _other_wish(state, form, intent, text)) is not None:
        return acts
    if _is_side_question(form, intent, text):
        return _aside(state, text, passages, intent)
    known = dict(form.values)
    if form.take(text):
        return go_on(state, "noted") if form.values != known else go_on(state)
    if form.asking is not None and form.asking.kind is Kind.DAY and take_soonest(state, form, text):
        return go_on(state)
    if form.asking is None and (slot := form.named(text)) is not None:
        return state.words(form.ask(slot, state.turn))
    if form.asking is None and not form.changing:
        return go_on(state)  # taken up from another voice: nothing was asked yet
    if asks(text) and (found := answered(state, text, passages)) is not None:
        return state.words(found.text, _question_again(state, form))
    return _missed(state, form, text)


def _second_thoughts(state: State, form: Form, intent: Intent, text: str) -> Acts | None:
    """What means the same at any point; None where it is none of that."""
    if _dictates(form) and len(plain(text)) > _SHORT:
        return None
    match intent:
        case Intent.NEVER_MIND:
            state.form = None
            state.offering(Offer.ANYTHING_ELSE)
            return state.say("cancelled")
        case Intent.GOODBYE:
            return say_goodbye(state)
        case Intent.REPEAT:
            return state.words(state.phrase("again", text=state.last))
        case Intent.WAIT:
            return state.say("wait")
        case Intent.COMPLAINT:
            return state.words(state.phrase("hard_of_hearing"), _question_again(state, form))
        case Intent.WHO_ARE_YOU:
            who = state.phrase("who", name=state.tenant.name)
            return state.words(who, _question_again(state, form))
        case _:
            return None


def _other_wish(state: State, form: Form, intent: Intent, text: str) -> Acts | None:
    """Another wish instead of this one; None where it is none."""
    if _dictates(form):
        return None
    if intent is Intent.PERSON:
        state.form = None
        return talk_to(state, text)
    other = {Intent.MESSAGE: MESSAGE_TOOL, Intent.BOOK: BOOK_TOOL}.get(intent)
    if other and other != form.spec.name and other in state.tools:
        return begin(state, other, text)
    return None


def _dictates(form: Form) -> bool:
    """Whether a text is asked for, which may hold any words at all."""
    return form.asking is not None and form.asking.kind is Kind.TEXT and form.asking.required


def _is_side_question(form: Form, intent: Intent, text: str) -> bool:
    if _dictates(form):
        return False
    if intent is Intent.HOURS:
        return True
    dated = form.asking is not None and form.asking.kind in (Kind.DAY, Kind.TIME)
    return asks_strongly(text) and intent is Intent.QUESTION and not (dated and _brings_a_day(form, text))


def _brings_a_day(form: Form, text: str) -> bool:
    """``is Tuesday at ten okay`` answers, though it asks; ``how much is it on Tuesdays`` does not."""
    words = plain(text)
    return len(words) <= 8 and not {"much", "cost", "many"} & set(words) and _trial(form).take(text)


def _trial(form: Form) -> Form:
    trial = Form(form.spec, form.week, form.caller, dict(form.values))
    trial.asking = form.asking
    return trial


def _aside(state: State, text: str, passages: Sequence[Passage], intent: Intent) -> Acts:
    """Answer, then ask again for what was missing."""
    form = state.form
    assert form is not None
    if intent is Intent.HOURS:
        acts = hours(state, text)
        # Where a tool is asked for them, its answer comes first and brings the question with it.
        return (
            acts
            if any(isinstance(act, CallTool) for act in acts)
            else (*acts, *state.words(_question_again(state, form)))
        )
    found = answered(state, text, passages)
    return state.words(found.text if found else state.phrase("unknown_here"), _question_again(state, form))


def _question_again(state: State, form: Form) -> str:
    if form.asking is not None:
        return form.ask(form.asking, state.turn)
    return state.phrase("confirm_again") if form.confirming else state.phrase("what_to_change") if form.changing else ""


def question_again(state: State) -> str:
    """What the caller still owes an answer to; empty where nothing."""
    return "" if state.form is None else _question_again(state, state.form)


def _to_confirm(state: State, form: Form, text: str, intent: Intent, passages: Sequence[Passage]) -> Acts:
    """After the read-back: only a plain yes has it done; whatever is new in the answer is read back again."""
    if form.confirmed_by(text):
        return have_done(state)
    if intent is Intent.HOURS or (asks_strongly(text) and intent is Intent.QUESTION):
        return _aside(state, text, passages, intent)
    if form.take(text):
        return go_on(state)
    if is_yes(text):
        return state.words(form.read_back(state.turn))  # they had not heard it all
    if (acts := _other_wish(state, form, intent, text)) is not None:
        return acts
    if asks(text) and not is_no(text) and (found := answered(state, text, passages)) is not None:
        return state.words(found.text, _question_again(state, form))
    if is_no(text) and (slot := form.named(text)) is not None:
        return state.words(form.ask(slot, state.turn))
    if is_no(text) or "change" in plain(text):
        form.confirming, form.changing = False, True
        return state.say("what_to_change")
    return _missed(state, form, text)


def _missed(state: State, form: Form, text: str) -> Acts:
    form.misses += 1
    if cannot_be_counted(text) and form.misses < _PATIENCE and (slot := form.slot(Kind.DAY)) is not None:
        form.asking = slot
        return state.words(state.phrase("day_needs_date"))
    if form.asking is not None and not form.asking.required and form.misses > 1:
        form.decline(form.asking)
        return go_on(state, "noted")
    if form.misses < _PATIENCE:
        sorry = state.phrase("confirm_please") if form.confirming else ""
        return state.words(sorry or state.phrase("not_fitting"), "" if sorry else _question_again(state, form))
    state.form = None
    offered = "" if form.spec.name == MESSAGE_TOOL else state.offer_message()
    return state.words(state.phrase("hard_of_hearing"), offered or state.phrase("no_offer"))
