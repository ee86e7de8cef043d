"""Things to be done: from a wish to a tool's call, by way of its form. PURE.

A ``writes`` tool is called after a plain yes to what was read back, and once for it: the form is put away with the
call.
"""

from engine.dialogue.acts import CallTool, Say
from engine.dialogue.days import is_soonest
from engine.dialogue.forms import Form
from engine.dialogue.people import names_of, person_meant
from engine.dialogue.phrases import listed
from engine.dialogue.slots import Kind
from engine.dialogue.spoken import sayable
from engine.dialogue.state import (
    BOOK_TOOL,
    END_TOOL,
    MESSAGE_TOOL,
    OWN_TOOLS,
    SLOTS_TOOL,
    TRANSFER_TOOL,
    Acts,
    Offer,
    State,
)
from engine.dialogue.words import terms
from engine.messages import Effect
from engine.tenants.schema import violations
from engine.tenants.tenant import Person, ToolSpec

# What can be booked, where a business has it: a plumber lays no table.
_THINGS = frozenset(terms("table room plumber cleaning check checkup consultation flight ticket taxi haircut massage"))
_VERBS = frozenset(terms("get make do request create add new set update submit start place"))


def begin(state: State, tool: str, text: str, *, opening: str = "begin") -> Acts:
    """Start filling in what this tool needs; what was being filled in before is dropped."""
    spec = state.tools.get(tool)
    form = None if spec is None else Form(spec, state.week, state.caller)
    if form is None or not form.possible:
        state.form = None
        return state.words(state.phrase("cannot_do"), "" if tool == MESSAGE_TOOL else state.offer_message())
    form.begin(text)
    take_soonest(state, form, text)
    state.form = form
    state.offering(None)
    return go_on(state, opening)


def take_soonest(state: State, form: Form, text: str) -> bool:
    """Where any day will do, take the first free one: looked up from today on. False where it is not so."""
    slot = form.slot(Kind.DAY)
    known = slot is None or slot.name in form.values
    if known or slot is None or form.spec.name != BOOK_TOOL or SLOTS_TOOL not in state.tools or not is_soonest(text):
        return False
    if not slot.fits("today"):
        return False
    form.values[slot.name] = "today"
    return True


def go_on(state: State, opening: str = "") -> Acts:
    """The form's next step: look up free times, ask for what is missing, read it all back, or have it done.

    Args:
        opening: the phrase that goes before it; none where empty.
    """
    form = state.form
    if form is None:
        return ()
    said = state.phrase(opening) if opening else ""
    slot = form.missing()
    if slot is None:
        return _filled(state, form)
    if slot.kind is Kind.TIME and (lookup := _look_up(state, form)) is not None:
        form.ask(slot, state.turn)
        return (lookup,)
    return state.words(said, form.ask(slot, state.turn))


def _filled(state: State, form: Form) -> Acts:
    if form.arguments() is None:
        # Every value fits by itself, so it is the tool's schema that nothing said can satisfy.
        state.form = None
        return state.words(state.phrase("cannot_do"), state.offer_message())
    if form.writes:
        return state.words(form.read_back(state.turn))
    return have_done(state)


def have_done(state: State) -> Acts:
    """Call the form's tool, and put the form away so that nothing calls it again."""
    form, state.form = state.form, None
    arguments = None if form is None else form.arguments()
    if form is None or arguments is None:
        return ()
    return (state.call(form.spec.name, dict(arguments), form=form),)


def _look_up(state: State, form: Form) -> CallTool | None:
    """Ask once for the free times of a day, before the caller is asked to guess one."""
    spec, day = state.tools.get(SLOTS_TOOL), form.value(Kind.DAY)
    if spec is None or form.spec.name != BOOK_TOOL or day is None or form.looked_up == day:
        return None
    arguments = {"day": day}
    if next(violations(spec.parameters, arguments), None) is not None:
        return None
    form.looked_up = day
    return state.call(SLOTS_TOOL, arguments, form=form, text=day)


def booking_tool(state: State, text: str) -> str | None:
    """The tool for a booking, unless it is of something that this business does not have."""
    things = set(terms(text)) & _THINGS
    ours = all(state.weights.known(thing) or thing in terms(_described(state, BOOK_TOOL)) for thing in things)
    return BOOK_TOOL if BOOK_TOOL in state.tools and ours else None


def _described(state: State, tool: str) -> str:
    spec = state.tools.get(tool)
    return "" if spec is None else f"{spec.description} {spec.parameters}"


def tool_wanted(state: State, text: str) -> str | None:
    """The tenant's own tool that the words point to: all of its name, or some of it and of its description."""
    said = set(terms(text))
    ranked = sorted(
        ((_fit(said, spec), name) for name, spec in state.tools.items() if name not in OWN_TOOLS), reverse=True
    )
    return ranked[0][1] if ranked and ranked[0][0] >= 1.0 else None


def _fit(said: set[str], spec: ToolSpec) -> float:
    name = set(terms(spec.name.replace("_", " "))) - _VERBS
    met = len(said & name) / len(name) if name else 0.0
    told = len(said & (set(terms(spec.description)) - name))
    return met + min(told, 2) * 0.3 if met else 0.0


def talk_to(state: State, text: str) -> Acts:
    """Put through to whoever was named; one who was only described is offered, and of several one is asked for."""
    people, spec = state.tenant.people, state.tools.get(TRANSFER_TOOL)
    if not people or spec is None:
        return state.words(state.phrase("no_person"), state.offer_message())
    meant = person_meant(text, people)
    if meant is None:
        state.offering(Offer.PERSON)
        return state.say("which_person", people=listed([sayable(name) for name in names_of(people)]))
    if meant.named:
        return put_through(state, meant.person)
    state.offering(Offer.PERSON, meant.person)
    return state.say("offer_person", person=sayable(meant.person.name))


def put_through(state: State, person: Person) -> Acts:
    """Say so, and have it done once it is said."""
    spec = state.tools.get(TRANSFER_TOOL)
    arguments = {"to": person.name}
    if spec is None or next(violations(spec.parameters, arguments), None) is not None:
        return state.words(state.phrase("no_person"), state.offer_message())
    state.form = None
    state.offering(None)
    said = state.words(state.phrase("put_through", person=sayable(person.name)))
    return (*said, state.call(TRANSFER_TOOL, arguments))


def say_goodbye(state: State) -> Acts:
    """Say goodbye, and let the call end once it is said."""
    key = "goodbye" if state.form is None or state.form.spec.effect is Effect.READS else "bye_undone"
    state.form = None
    state.offering(None)
    said = Say(state.phrase(key, name=sayable(state.tenant.name)))
    spec = state.tools.get(END_TOOL)
    if spec is None or next(violations(spec.parameters, {}), None) is not None:
        return (said,)
    return (said, state.call(END_TOOL, {}))
