"""Did the demo's call do all it should? What it promises, checked one by one on what came of it."""

import itertools
from collections.abc import Mapping
from difflib import SequenceMatcher

from engine.sim.carrier_call import HowEnded
from engine.sim.showcase import BOOKING, Shown
from engine.sim.stories import TO_ANYBODY

HANDOVER_BAR_MS = 500.0
SILENCE_BAR_MS = 2000.0
UNDERSTOOD_BAR = 0.8  # of its letters; a synthetic caller on a clean line is understood better than that

_GOOD_ENDS = {HowEnded.CALLER_HUNG_UP, HowEnded.COMPLETED_BY_REST, HowEnded.TWIML_ENDED}

SAYS = {
    "Do I have to climb any stairs to get to you?": "no steps",
    "How much is a check-up for a small child?": "85 dollars",
    "I might be running a bit late, is that a problem?": "15 minutes",
    "Are you open on Saturday?": "closed",
    "Can I come to you by bus?": "number 4 bus",
}
"""What the answer to each question has in it, as the practice's own notes have."""


def failures(shown: Shown) -> tuple[str, ...]:
    """What the call should have done and did not; empty where it did all."""
    checks = _of_any_call(shown)
    if shown.story.is_simulated:
        checks = {**checks, **_of_the_tour(shown)}
    return tuple(failure for failure, fine in checks.items() if not fine)


def likeness(said: str, understood: str) -> float:
    """How much of what was said was understood, 0 to 1, by letters: "good-bye" is as good as "goodbye"."""
    return SequenceMatcher(None, _letters(said), _letters(understood), autojunk=False).ratio()


def _of_any_call(shown: Shown) -> Mapping[str, object]:
    phone, report = shown.phone, shown.report
    silence = report["longest_silence_ms"]
    asked = len(shown.story.asks)
    return {
        "the call was not answered": phone.answered,
        "the call did not end as it should": phone.how_ended in _GOOD_ENDS,
        f"not every one of the {asked} questions got an answer": not phone.unanswered and len(phone.responses) == asked,
        f"the caller heard more than {SILENCE_BAR_MS:.0f} ms of silence": silence and silence["max"] <= SILENCE_BAR_MS,
        "the stream broke": phone.streams == 1,
        "code of ours crashed": not shown.metrics.total(shown.metrics.crashes),
        "the audio ran dry": not phone.underruns,
        "there is not exactly one outcome": len(shown.ends) == 1,
        "the engine broke a protocol": not report["protocol_faults"] and not shown.model.protocol_faults,
        "tasks outlived the call": report["tasks_left"] == 0,
        "sockets outlived the call": report["sockets_left"] == 0,
    }


def _of_the_tour(shown: Shown) -> Mapping[str, object]:
    handover = shown.report["handover_ms"]
    booked = [moment for moment in shown.moments("tool_call") if moment["text"] == BOOKING.name]
    sessions = [moment["text"] for moment in shown.moments("model")]
    checks: dict[str, object] = {
        "the model was not cut off": any(moment.what == "cut" for moment in shown.model.moments),
        "the script did not take the line": handover is not None,
        f"the hand-over took longer than {HANDOVER_BAR_MS:.0f} ms": handover and handover["max"] <= HANDOVER_BAR_MS,
        "the local voice did not take the line over": sessions == ["gemini-live", "local"],
        "the model did not ask for the appointment twice": len(booked) == 2,
        "the appointment was not booked exactly once": shown.report["effects"]["done"] == 1,
        "the calendar refused a request": not shown.calendar.faults,
    }
    return {**checks, **_of_answers(shown)}


def _of_answers(shown: Shown) -> Mapping[str, object]:
    """Of the local voice: was each question understood, and answered from the notes?"""
    lines = shown.end.document["transcript"] if shown.end else []
    spoken = [at for at, line in enumerate(lines) if line["role"] == "caller"]
    checks: dict[str, object] = {}
    for text in TO_ANYBODY:
        at = max(spoken, key=lambda at: likeness(text, lines[at]["text"]), default=None)
        understood = "" if at is None else lines[at]["text"]
        checks[f"{text!r} was understood as {understood!r}"] = likeness(text, understood) >= UNDERSTOOD_BAR
        if at is not None and text in SAYS:
            after = itertools.takewhile(lambda line: line["role"] == "agent", lines[at + 1 :])
            answer = " ".join(line["text"] for line in after)
            checks[f"the answer to {text!r} did not say {SAYS[text]!r}"] = SAYS[text] in answer.lower()
    return checks


def _letters(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())
