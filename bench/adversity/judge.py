"""From what one call's caller heard, and what it left, to a ``RunResult``. PURE but for reading finished records."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bench.adversity.keep import Kept
from bench.adversity.plan import Plan
from bench.adversity.silence import Announced, Turn, longest_silence, turns_of
from bench.adversity.types import RunResult
from engine.fallback.prompts import Prompts
from engine.sim.carrier_call import HowEnded
from engine.sim.figures import Effects
from engine.sim.gemini import SimGemini
from engine.sim.hearing import BYTES_PER_MS, Interval, loud_span, sound_intervals
from engine.sim.recognise import find_clip
from engine.sim.report import PhoneReport
from engine.store.interface import CallEnd
from engine.tenants.tenant import Tenant

_OWN_DECISION = frozenset({"agent_ended", "transferred", "message_taken", "script_ended"})
_WAITS_MS = {"apology": 3660.0, "company": 3660.0, "offer": 4360.0, "offer_person": 4360.0}
"""Lines after which a pause is announced, or the caller is asked for something: the script's own pause, and what it
takes until the line was reported as heard (a mark may be read with the frames of 60 ms) and the next one sounds.
"""
_NO_ANSWER = frozenset({"apology", "company", "back", "filler"})


class Heard(NamedTuple):
    """A prompt that reached the ear: its name in the tenant's document, and when it sounded, in ms of the call."""

    name: str
    at: float
    until: float


@dataclass(frozen=True, slots=True)
class Finished:
    """All that is known of one call that is over. ``began_at`` and ``now`` are of trio's clock."""

    seed: int
    plan: Plan
    report: PhoneReport
    began_at: float
    kept: Kept
    models: tuple[SimGemini, ...]
    prompts: Prompts
    effects_at_endpoint: int | None
    left: tuple[str, ...]
    faults: tuple[str, ...]


def judge(run: Finished) -> RunResult:
    """What came of it."""
    ends = [end for end in run.kept.store.ends if end.call_sid == run.report.call_sid]
    end = ends[0] if ends else CallEnd("", run.report.call_sid, "", "no end was kept")
    lines = heard_lines(run.report, end, prompts_by_text(run.plan.tenant, run.prompts))
    turns = caller_turns(run, lines, end)
    report, timeline = run.report, end.document.get("timeline", ())
    sounds = [*agent_sounds(report), *((one.voiced_at, one.voiced_until) for one in report.said)]
    return RunResult(
        seed=run.seed,
        kept=was_kept(run, end),
        outcome=end.outcome_reason,
        silence_ms=longest_silence(
            turns,
            sounds,
            announced=[Announced(line.until, _WAITS_MS[line.name]) for line in lines if line.name in _WAITS_MS],
            line_down=run.plan.line_down,
        ),
        effects=effects(run),
        left=(*run.left, *(() if len(ends) == 1 else (f"{len(ends)} ends",))),
        faults=(*run.faults, *(run.plan.check(report, timeline) if run.plan.check else ())),
        return_ms=returns(report),
        barge_in_ms=report.barge_in_ms,
        answered=sum(turn.settled for turn in turns),
        asked=len(turns),
        events=tuple(f"{moment['kind']} {moment['text']}".strip() for moment in timeline),
    )


def agent_sounds(report: PhoneReport) -> list[Interval]:
    """All that was not the caller's own: agent, script, and what the carrier itself let them hear."""
    return [*report.agent_sound, *((one.at, one.until) for one in report.said_by_static_verbs)]


def was_kept(run: Finished, end: CallEnd) -> bool:
    """Ended by the caller; or by a decision of the scripted voice, where the row allows that."""
    match run.report.how_ended:
        case HowEnded.CALLER_HUNG_UP:
            return run.report.answered
        case HowEnded.TWIML_ENDED | HowEnded.COMPLETED_BY_REST:
            told = end.outcome_reason in _OWN_DECISION or bool(run.report.said_by_static_verbs)
            return told and run.plan.script_may_end
        case _:
            return False


def effects(run: Finished) -> Effects:
    """Bookings: what was to come true, and what did. A task for a person stands for one that could not be made."""
    done = len(run.kept.diary.booked) if run.effects_at_endpoint is None else run.effects_at_endpoint
    for_people = len([task for task in run.kept.store.tasks if task.details.get("tool") == "book_appointment"])
    expected = run.plan.books if run.plan.books is not None else min(done, 1)
    return Effects(
        expected=expected,
        done=done,
        duplicated=max(0, done - max(expected, 1)),
        lost=max(0, expected - done - for_people),
    )


def returns(report: PhoneReport) -> tuple[float, ...]:
    """For each stream that ended while the caller stayed: how long until the next sound of ours."""
    # Finer than the report's own intervals, which join what is less than 400 ms apart.
    sounds = sound_intervals(report.right, merge_ms=60.0)
    sounds += [(one.at, one.until) for one in report.said_by_static_verbs]
    found = []
    for _, ended in report.stream_spans:
        if ended >= report.duration_ms - 50:
            continue
        nexts = [max(start, ended) - ended for start, until in sounds if until > ended + 1]
        found.append(min(nexts, default=math.inf))
    return tuple(found)


def heard_lines(report: PhoneReport, end: CallEnd, known: Mapping[str, tuple[str, bytes]]) -> list[Heard]:
    """The prompts that reached the ear, in order: sent by the timeline, sounding by the recording."""
    found: list[Heard] = []
    after_ms: dict[str, float] = {}
    for moment in end.document.get("timeline", ()):
        text = moment["text"]
        if moment["kind"] not in {"script", "filler"} or text not in known:
            continue
        name, sound = known[text]
        span, at = loud_span(sound), find_clip(report.right, sound, after_ms=after_ms.get(text, 0.0))
        if at is not None and span is not None:
            after_ms[text] = at + 1
            found.append(Heard(name, at, at + (span[1] - span[0]) / BYTES_PER_MS))
    return found


def prompts_by_text(tenant: Tenant, prompts: Prompts) -> dict[str, tuple[str, bytes]]:
    """Every prompt's name and sound, by what it says. A tool's filler announces a wait, as company does."""
    found = {text: ("company", sound) for text, sound in prompts.fillers.items()}
    found |= {text: ("company", sound) for text, sound in zip(tenant.script.company, prompts.company, strict=True)}
    for name in ("apology", "offer", "offer_person", "message_prompt", "message_kept", "message_empty", "connecting"):
        found[getattr(tenant.script, name)] = (name, getattr(prompts, name))
    for name in ("no_person", "goodbye", "back", "filler"):
        found[getattr(tenant.script, name)] = (name, getattr(prompts, name))
    found[tenant.greeting] = ("greeting", prompts.greeting)
    return found


def caller_turns(run: Finished, lines: Sequence[Heard], end: CallEnd) -> list[Turn]:
    """What the caller waited for, turn by turn, and whether it came: judged by the model's own record and the ear."""
    report = run.report
    answers: list[Interval] = [(line.at, line.until) for line in lines if line.name not in _NO_ANSWER]
    answers += [(one.at, one.until) for one in report.said_by_static_verbs]
    for spoken in (spoken for model in run.models for session in model.sessions for spoken in session.spoken):
        if spoken.complete and spoken.first_audio_at is not None:
            began = 1000 * (spoken.first_audio_at - run.began_at)
            answers.append((began, began + spoken.audio_ms))
    return turns_of(
        [(one.voiced_at, one.voiced_until) for one in report.said],
        answers,
        until=report.duration_ms,
        asked_again=[one["at_ms"] for one in end.document.get("timeline", ()) if one["kind"] == "silence"],
    )
