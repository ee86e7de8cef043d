"""Rows: the carrier's REST interface loses answers, refuses or dawdles, when we hang up and when we put through."""

import random
from collections.abc import Callable

from bench.adversity.cast import BYE, HOLD_ON, PARKING, TRANSFER, brain
from bench.adversity.plan import BRISK, PATIENT, Line, Plan
from bench.adversity.play import call_row
from bench.adversity.types import Row
from engine.sim.brain import ToolWish
from engine.sim.carrier_rest import Mood
from engine.sim.scenario import HangUp, StayOn, Wait

END = ToolWish("end_call", {"reason": "the caller said goodbye"})
MOODS: tuple[tuple[Mood, str], ...] = (
    (Mood.LOST, "the answer is lost"),
    (Mood.NOT_FOUND, "404"),
    (Mood.TOO_MANY, "429"),
    (Mood.UNAVAILABLE, "503"),
    (Mood.SLOW, "slow"),
)


def on_hang_up(mood: Mood) -> Callable[[random.Random], Plan]:
    """The agent says goodbye and ends the call."""

    def plan(rng: random.Random) -> Plan:
        steps = (BRISK, Line(PARKING), BRISK, Line(BYE), StayOn(timeout_s=40.0))
        return Plan(
            steps,
            brain=brain(("goodbye", END)),
            rest=(mood,) * rng.randint(1, 4),
            pace=rng.choice((1.0, 3.0)),
            books=0,
            script_may_end=True,
        )

    return plan


def on_transfer(mood: Mood) -> Callable[[random.Random], Plan]:
    """The agent puts the caller through; where that fails, they are told, and go when all has been said."""

    def plan(rng: random.Random) -> Plan:
        return Plan(
            (BRISK, Wait(rng.uniform(0.0, 0.6)), Line(HOLD_ON), PATIENT, HangUp()),
            brain=brain(("one question about the prices", TRANSFER)),
            rest=(mood,) * rng.randint(1, 4),
            pace=rng.choice((1.0, 3.0)),
            books=0,
            script_may_end=True,
        )

    return plan


def _name(mood: Mood) -> str:
    return mood.value.replace("_", "-")


ROWS: tuple[Row, ...] = (
    *(call_row(f"hang-up-{_name(mood)}", "rest", f"on hang-up: {said}", on_hang_up(mood)) for mood, said in MOODS),
    *(call_row(f"transfer-{_name(mood)}", "rest", f"on transfer: {said}", on_transfer(mood)) for mood, said in MOODS),
)
