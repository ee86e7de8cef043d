"""What a model is told when it is given the floor: greet, or go on where the call stands. Pure."""

from dataclasses import dataclass, replace

from engine.call.record import CallRecord
from engine.messages import Speak
from engine.tenants.tenant import Tenant


@dataclass(frozen=True, slots=True)
class Instruction:
    """What to say next; see ``Speak`` for the parts."""

    text: str
    say: str = ""
    answer: str = ""
    notes: str = ""

    def speak(self, turn_id: int) -> Speak:
        """As the session is told it. Notes are lines of their own: their fence must stand alone to be seen as one."""
        text = f"{self.text}\n{self.notes}" if self.notes else self.text
        return Speak(turn_id, text, self.say, self.answer, self.notes)


STILL_THERE = Instruction(
    "The caller has been silent for a while. Ask briefly whether they are still there.", "Are you still there?"
)
TIME_IS_UP = Instruction(
    "This call has lasted as long as a call may. Tell the caller kindly that it has to end now; say goodbye.",
    "I'm sorry, but this call has to end now. Thank you for calling, and goodbye.",
)
NUDGE = Instruction("Please answer the caller's last words now.", "Sorry, could you say that once more?")


def rest_of_answer(record: CallRecord) -> Instruction:
    """For a session that takes over in the middle of an answer, which the caller is still hearing."""
    # It may have been opened before the question was asked, so the question goes along.
    asked = next((one.text.strip() for one in reversed(record.utterances) if one.role == "caller"), "")
    last = record.utterances[-1] if record.utterances else None
    told = f'The caller\'s last words were: "{asked}" ' if asked else ""
    if last is None or last.role != "agent" or last.complete:
        told += "They have not been answered. Answer them now; do not greet."
    else:
        told += f'You were cut off while you were saying: "{last.text.strip()}" Say only the rest, from there on.'
    return Instruction(told, answer=asked, notes=record.notes_text)


def greeting(tenant: Tenant) -> Instruction:
    """For the first session of a call."""
    told = f'The call has just been answered. Greet the caller with exactly these words: "{tenant.opening_words}"'
    return Instruction(told, tenant.opening_words)


def going_on(record: CallRecord, owed: str = "") -> Instruction:
    """For a session that takes the floor over in mid-call. ``owed``: a sentence that the caller has yet to hear.

    The caller has heard that there was a short interruption. If their last words were not answered to the end, the
    model answers them; otherwise it asks how to go on. The reference notes of that turn go along: no answer is given
    without what was retrieved for it.
    """
    said = [utterance for utterance in record.utterances if utterance.role != "script"]
    last = said[-1] if said else None
    asked = next((utterance for utterance in reversed(said) if utterance.role == "caller"), None)
    if last is None or asked is None:
        told = "The line was interrupted for a moment and is back. Ask the caller briefly how you can help."
        return _owing(owed, Instruction(told, "How can I help you?"))
    say, answer = "", asked.text.strip()
    parts = ["The line was interrupted for a moment and is back; the caller knows. Do not greet again."]
    if last is asked:
        parts.append(f'The caller\'s last words were: "{asked.text.strip()}" They were not answered. Answer them now.')
    elif last.heard_share < 1.0 or not last.complete:
        parts.append(
            f'The caller had asked: "{asked.text.strip()}" and heard you say: "{last.heard}" Go on from there.'
        )
    else:
        parts.append("Everything said so far was heard. Ask the caller briefly what else you can do.")
        say, answer = "What else can I do for you?", ""
    return _owing(owed, Instruction(" ".join(parts), say, answer, record.notes_text))


def _owing(owed: str, instruction: Instruction) -> Instruction:
    if not owed:
        return instruction
    told = f'{instruction.text} Before that, tell the caller in exactly these words: "{owed}"'
    return replace(instruction, text=told, say=f"{owed} {instruction.say}".strip())
