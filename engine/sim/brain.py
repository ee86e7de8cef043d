"""What a simulated model answers. Two brains: one that answers from its notes, one that always says the same.

PURE.  A brain is asked once when a turn is committed, and again with all results so far when its tool calls have been
answered; it keeps nothing between turns, so one brain serves any number of calls.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import orjson
from numpy.typing import NDArray

_FENCE = re.compile(r"^\s*(\[[^\]]*\]|`{3,}\S*|~{3,}|<[^>]*>|<{2,}.*|>{2,}|[-=*]{3,}.*)\s*$")
_LABEL = re.compile(r"^\s*(\(?\[?\d+[\].):]*\s*)?(source\s*:.*|.*:)\s*$", re.IGNORECASE)
_BULLET = re.compile(r"^\s*(\[[^\]]*\]\s*|\(?\d+[.)]\s+|[-*•]\s+)+")
_NOTHING = re.compile(r"\b(no|none|nothing)\b.{0,40}\b(notes?|passages?|found|known?)\b|\bnone\b", re.IGNORECASE)
_QUOTED = re.compile(r"\"([^\"]+)\"|“([^”]+)”")
_SENTENCE = re.compile(r".+?[.!?](?=\s|$)|.+$", re.DOTALL)
_RELAYED = re.compile(r"\bcaller\b[^\"“]{0,30}\b(said|asked|says|asks|words were)\b", re.IGNORECASE)
_MARKER = re.compile(r"(\[[^\]\n]*\bnotes\b[^\]\n]*\])", re.IGNORECASE)

_RESULT = re.compile(r"^\[result of the tool [^\]]*\]\s*(\{.*\})\s*$", re.MULTILINE)

UNKNOWN = "I'm sorry, I don't have that written down. Shall I take a message?"
UNHEARD = "I'm sorry, I didn't catch that. Could you say it again?"
HELLO = "I'm here. How can I help?"
_LONGEST_ANSWER = 240  # characters: a receptionist speaks briefly


@dataclass(frozen=True, slots=True)
class Said:
    """One turn of the conversation; ``role`` is ``user`` or ``model``."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """A function's result. ``scheduling`` is empty where none was given."""

    call_id: str
    name: str
    response: Mapping[str, Any]
    scheduling: str = ""


@dataclass(frozen=True, slots=True)
class HeardTurn:
    """What a model has before it when it is to answer.

    Attributes:
        transcript: what the caller said; empty where it was not understood, None where the turn was text alone.
        notes: text that came inside the turn (or as a context update for it), joined; empty where there was none.
        history: everything said before, oldest first; notes of earlier turns are in it as the user's.
        results: answers to this turn's tool calls, oldest first.
        instruction: the system instruction in force.
        tools: names of the functions on offer.
    """

    transcript: str | None
    notes: str = ""
    history: tuple[Said, ...] = ()
    results: tuple[ToolAnswer, ...] = ()
    instruction: str = ""
    tools: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolWish:
    """A function that the model wants called."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model does next: say ``text``, then call ``tools`` (and be asked again with their results).

    Attributes:
        sound: 16 bit at 24 kHz to send instead of voicing the text.
    """

    text: str
    tools: tuple[ToolWish, ...] = ()
    sound: NDArray[np.int16] | None = None


class Brain(Protocol):
    """Decides what is said."""

    def reply(self, turn: HeardTurn) -> Reply:
        """The next thing to do in this turn."""


class EchoBrain:
    """Always the same answer, rendered once: for load."""

    def __init__(self, sound: NDArray[np.int16], text: str = "All right.") -> None:
        self.answer = Reply(text, sound=sound)

    def reply(self, turn: HeardTurn) -> Reply:  # noqa: ARG002 - whatever was said
        """The answer."""
        return self.answer


class GroundedBrain:
    """Answers from the notes of the turn and from nothing else; calls tools by phrase; greets when told to.

    Args:
        wishes: phrase -> what to call when the caller says it (a phrase matches when it is part of what was said,
            letters and digits compared). A tool that is not on offer is not called.
        answers: phrase -> fixed answer, for small talk ("thank you" -> "You're welcome.").
    """

    def __init__(
        self,
        wishes: Mapping[str, ToolWish | Sequence[ToolWish]] | None = None,
        answers: Mapping[str, str] | None = None,
    ) -> None:
        self._wishes = {
            _plain(phrase): (wish,) if isinstance(wish, ToolWish) else tuple(wish)
            for phrase, wish in (wishes or {}).items()
        }
        self._answers = {_plain(phrase): answer for phrase, answer in (answers or {}).items()}

    def reply(self, turn: HeardTurn) -> Reply:
        """See ``Brain``."""
        if turn.results:
            return Reply(" ".join(dict.fromkeys(map(_message_of, turn.results))))  # asked twice, told once
        if turn.transcript is None:
            return self._to_text(turn)
        return self._to_speech(turn.transcript, turn)

    def _to_text(self, turn: HeardTurn) -> Reply:
        """An instruction to speak (its quotation is voiced), the caller's words in writing, or what a tool says."""
        told = _outside_fences(turn.notes)
        if (results := _RESULT.findall(told)) and all(map(_is_object, results)):
            return Reply(" ".join(_message_of(ToolAnswer("", "", orjson.loads(result))) for result in results))
        relayed = _RELAYED.search(told)
        quoted = _QUOTED.search(told, relayed.end() if relayed else 0)
        if quoted is not None:
            words = quoted[1] or quoted[2]
            return self._to_speech(words, turn) if relayed else Reply(words)
        asked = [said for said in turn.history if said.role == "user"]
        if "answer" in told.lower() and asked:
            # A reminder: what it refers to, notes and words, came just before. What was answered is not done twice.
            notes = next((said.text for said in asked[-2:-1] if _is_fenced(said.text)), "")
            tools = turn.tools if turn.history[-1].role == "user" else ()
            return self._to_speech(asked[-1].text, HeardTurn(None, notes=notes, tools=tools))
        return Reply(HELLO)

    def _to_speech(self, said: str, turn: HeardTurn) -> Reply:
        if not said:
            return Reply(UNHEARD)
        plain = _plain(said)
        for phrase, wishes in self._wishes.items():
            if phrase in plain and (offered := tuple(wish for wish in wishes if wish.name in turn.tools)):
                return Reply("", offered)
        for phrase, answer in self._answers.items():
            if phrase in plain:
                return Reply(answer)
        return Reply(_first_sentences(best_passage(turn.notes)) or UNKNOWN)


def best_passage(notes: str) -> str:
    """The first passage inside a block of notes, without fences, labels and numbering; empty where there is none.

    Engines differ in how they fence notes. A fence is a line of brackets, dashes, backticks or tags; a label is a line
    that names a source or ends with a colon; a passage goes on until the next of either, or an empty line.
    """
    passage: list[str] = []
    lines = _lines(notes)
    inside = not _is_fenced(notes)
    for line in lines:
        if _FENCE.match(line):
            if passage:
                break
            inside = True
        elif _LABEL.match(line) or not line.strip():
            if passage:
                break
        elif inside:
            passage.append(_BULLET.sub("", line).strip())
    found = " ".join(passage)
    return "" if len(found) < 80 and _NOTHING.search(found) else found


def _is_fenced(text: str) -> bool:
    return any(_FENCE.match(line) for line in _lines(text))


def _outside_fences(text: str) -> str:
    """What is said beside the notes: the lines before the first fence, and after each that closes."""
    inside, outside = False, []
    for line in _lines(text):
        if _FENCE.match(line):
            inside = not inside
        elif not inside:
            outside.append(line)
    return "\n".join(outside)


def _lines(text: str) -> list[str]:
    # A marker that names notes is a fence wherever it stands.
    return _MARKER.sub(r"\n\1\n", text).splitlines()


def _first_sentences(passage: str) -> str:
    said = ""
    for sentence in _SENTENCE.findall(passage)[:2]:
        if said and len(said) + len(sentence) > _LONGEST_ANSWER:
            break
        said = f"{said} {sentence.strip()}".strip()
    return said


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False


def _message_of(result: ToolAnswer) -> str:
    message = result.response.get("message") or result.response.get("output") or result.response.get("error")
    return str(message) if message else "I couldn't get an answer for that. Shall I take a message?"


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))
