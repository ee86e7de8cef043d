"""PURE: how long a caller waits in silence for something that is owed to them, in milliseconds of the call's clock.

A caller is owed something from the moment they have done their part: when the call begins, and when the last sound of
something they said is out. It is theirs until the answer has been heard to its end; where it never was (the agent fell
silent in mid-sentence, or said no more than "one moment"), until they speak again or the call is over. What they then
take for thinking is nobody's silence. A caller who has been answered and says nothing more is asked, after a while,
whether they are still there: that is a turn of its own, and what came before it was their own silence. Inside that
stretch, silence is whatever neither agent, script, carrier nor the caller's own voice fills, but for two exceptions:

* a wait that was announced ("one moment, please", "press one") may last as long as it was meant to; one that lasts
  longer counts whole;
* while the line itself carries nothing (its own fault, not ours), nobody is heard: that time is taken out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.sim.hearing import SAME_UTTERANCE_MS, Interval, union


@dataclass(frozen=True, slots=True)
class Announced:
    """A wait that the caller was told of: from when, and for how long at the most."""

    at: float
    for_ms: float


@dataclass(frozen=True, slots=True)
class Turn:
    """From the end of what the caller did to the next thing they do (or the call's end); ``settled``: answered."""

    since: float
    until: float
    settled: bool


def turns_of(
    said: Sequence[Interval], answers: Sequence[Interval], *, until: float, asked_again: Sequence[float] = ()
) -> list[Turn]:
    """A call's turns; one that holds something of an answer is settled.

    Args:
        said: when the caller spoke, in order.
        until: the end of the call.
        asked_again: when the agent, by itself, set about asking a caller who said nothing.
    """
    turns, since = [], 0.0
    for begins, goes_on in sorted([*said, *((at, at) for at in asked_again if at < until), (until, math.inf)]):
        turns.append(Turn(since, begins, any(at <= begins and end > since for at, end in answers)))
        since = goes_on
    return turns


def owed(turns: Sequence[Turn], sounds: Sequence[Interval]) -> list[Interval]:
    """When the caller had something coming: of a settled turn only as far as its last sound."""
    spans = []
    for turn in turns:
        until = turn.until
        if turn.settled:
            until = max((min(end, turn.until) for start, end in sounds if start < turn.until), default=turn.since)
        if until > turn.since:
            spans.append((turn.since, until))
    return spans


def longest_silence(
    turns: Sequence[Turn],
    sounds: Sequence[Interval],
    *,
    announced: Sequence[Announced] = (),
    line_down: Sequence[Interval] = (),
) -> float:
    """The longest unexplained silence; 0 where nothing was owed.

    Args:
        turns: in order; they do not overlap.
        sounds: all that the caller heard, and what they said.
        announced: the waits that were announced.
        line_down: when the line carried nothing, through no fault of the engine.
    """
    longest = 0.0
    for span in owed(turns, sounds):
        for start, end in _silences(span, union([*sounds, *line_down])):
            if not any(
                abs(wait.at - start) <= SAME_UTTERANCE_MS and end - wait.at <= wait.for_ms for wait in announced
            ):
                longest = max(longest, end - start)
    return longest


def _silences(span: Interval, covered: Sequence[Interval]) -> list[Interval]:
    at, until = span
    found = []
    for start, end in covered:
        if end <= at:
            continue
        if start >= until:
            break
        if start > at:
            found.append((at, start))
        at = end
    if at < until:
        found.append((at, until))
    return found
