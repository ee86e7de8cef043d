"""What was said with another voice before this dialogue began -> where this one takes up. PURE.

A caller who was in the middle of a booking should not begin again. What they said is read over as if it had been said
to us; whatever comes of that is read back before anything is done, so that a misreading costs a question and no more.
"""

import re
from collections.abc import Sequence

from engine.dialogue.forms import Form
from engine.dialogue.intents import Intent, intent_of
from engine.dialogue.slots import Kind
from engine.dialogue.state import BOOK_TOOL, MESSAGE_TOOL, State

_RECENT = 12  # things said; a wish before that is done or forgotten
_DONE = re.compile(
    r"\b(?:booked|reserved you|scheduled|all set|confirmed|wr(?:itten|ote) (?:it|that|you)|(?:it|that)'s done|"
    r"passed (?:it|that)|put you (?:down|through)|kept your message|goodbye|anything else)\b",
    re.IGNORECASE,
)
_ASKED_FOR = (
    (Kind.NAME, re.compile(r"\bname\b", re.IGNORECASE)),
    (Kind.PHONE, re.compile(r"\b(?:number|reach you|call you back)\b", re.IGNORECASE)),
    (Kind.TIME, re.compile(r"\b(?:what|which) time\b|\btime (?:works|suits|would)\b", re.IGNORECASE)),
    (Kind.DAY, re.compile(r"\b(?:what|which) (?:day|date)\b|\bwhen\b", re.IGNORECASE)),
    (Kind.TEXT, re.compile(r"\b(?:message|what is it (?:for|about)|tell (?:them|the team))\b", re.IGNORECASE)),
)


def resume(state: State, history: Sequence[tuple[str, str]]) -> None:
    """Take up what was being asked for when another voice fell silent, and what it had said last."""
    said = [text for role, text in history if role == "agent" and text]
    state.last = said[-1] if said else ""
    form: Form | None = None
    asked = ""
    for role, text in history[-_RECENT:]:
        if role == "agent":
            form = None if _DONE.search(text) else form
            asked = text
        elif text:
            form = _after(state, form, asked, text)
    if form is not None:
        form.asking, form.confirming = None, False
        state.form = form


def _after(state: State, form: Form | None, asked: str, text: str) -> Form | None:
    intent = intent_of(text)
    tool = {Intent.BOOK: BOOK_TOOL, Intent.MESSAGE: MESSAGE_TOOL}.get(intent)
    if form is None:
        spec = state.tools.get(tool or "")
        if spec is None:
            return None
        form = Form(spec, state.week, state.caller)
        form.begin(text)
        return form if form.possible else None
    if intent in (Intent.NEVER_MIND, Intent.GOODBYE, Intent.PERSON):
        return None
    kind = next((kind for kind, pattern in _ASKED_FOR if pattern.search(asked)), None)
    form.asking = None if kind is None else form.slot(kind)
    form.take(text)
    return form
