"""What is going to happen in one run, as a value: made from a seed by a row, carried out by ``play``."""

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from bench.adversity.cast import BOOKING, BYE, PARKING, TENANT, WHITENING, brain
from engine.sim.brain import Brain
from engine.sim.caller import CallOptions
from engine.sim.carrier_rest import Mood as RestMood
from engine.sim.hearing import Interval
from engine.sim.moods import GoAway, Rule
from engine.sim.network import NullNetwork, Route
from engine.sim.report import PhoneReport
from engine.sim.scenario import HangUp, Listen, Moment, Wait
from engine.sim.tool_moods import ToolMood
from engine.sim.world import STATUS_URL, World
from engine.tenants.tenant import Tenant

USUAL = CallOptions(status_url=STATUS_URL)
PATIENT = Listen(quiet_ms=2200.0)  # longer than any silence that is allowed: such a caller hears all that comes
BRISK = Listen(quiet_ms=700.0)
GREETING, QUESTION, BOOKS, SECOND, GOODBYE = range(1, 6)  # the model's turns in an undisturbed conversation


@dataclass(frozen=True, slots=True)
class Line:
    """Something to say, by its text: sound comes from the cast."""

    text: str


@dataclass(frozen=True, slots=True)
class Over:
    """Something to say once the agent has been speaking for ``after_ms``, by its text."""

    text: str
    after_ms: float


Step: TypeAlias = Moment | Line | Over


@dataclass(frozen=True, slots=True)
class EndpointPlan:
    """Bookings are made at a tenant's own endpoint, which behaves like this."""

    moods: tuple[ToolMood, ...] = ()
    idempotent: bool = True
    works_s: float = 0.0
    port_closed: bool = False


Check: TypeAlias = Callable[[PhoneReport, Sequence[Mapping[str, Any]]], tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Plan:
    """One run.

    Attributes:
        steps: what the caller does.
        rules, ear_rules: moods of the speaking model, and of the one that writes down the caller's words.
        backup: moods of the model's other endpoint; None: it has none.
        pace: times real time at which the model sends.
        network: the way from the caller to us; made when the call begins.
        rest: what becomes of the gateway's requests at the carrier, in order.
        booking_takes_s: of the gateway's own diary.
        meanwhile: beside the call; cancelled when it is over.
        books: bookings that must have come true; None where the caller may go before (then one at the most).
        script_may_end: the scripted voice may end this call by its own decision.
        line_down: when the line carried nothing, ms of the call.
        check: what else must have been so: from the report and the timeline's entries to what was not.
    """

    steps: tuple[Step, ...]
    rules: tuple[Rule, ...] = ()
    ear_rules: tuple[Rule, ...] = ()
    backup: tuple[Rule, ...] | None = None
    pace: float = 3.0
    think_ms: int = 250
    tenant: Tenant = TENANT
    brain: Brain = field(default_factory=brain)
    options: CallOptions = USUAL
    network: Callable[[], Route] = NullNetwork
    rest: tuple[RestMood, ...] = ()
    endpoint: EndpointPlan | None = None
    booking_takes_s: float = 0.0
    meanwhile: Callable[[World], Awaitable[None]] | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    books: int | None = 1
    script_may_end: bool = False
    line_down: tuple[Interval, ...] = ()
    check: Check | None = None


_PLAIN = (Listen, Wait, Line, HangUp)

Planner: TypeAlias = Callable[[random.Random], Plan]


def conversation(
    *, patient_from: int = GREETING, turns: int = GOODBYE, rng: random.Random | None = None
) -> tuple[Step, ...]:
    """Greeting, question, booking, question, goodbye.

    Args:
        patient_from: from that turn of the model's on the caller hears all that comes.
        turns: the model's last one; then the caller hangs up.
        rng: callers take their own time before they speak.
    """
    steps: list[Step] = []
    for turn, text in enumerate((PARKING, BOOKING, WHITENING, BYE)[: turns - 1], start=GREETING):
        steps.append(PATIENT if turn >= patient_from else BRISK)
        if rng is not None:
            steps.append(Wait(rng.uniform(0.0, 0.6)))
        steps.append(Line(text))
    return (*steps, PATIENT, HangUp())


def any_turn(rng: random.Random, turns: Sequence[int] = (GREETING, QUESTION, BOOKS, SECOND)) -> int:
    """One of the model's turns."""
    return rng.choice(turns)


def shortened(plan: Plan) -> Plan:
    """As much of the plan's conversation as its fault needs, for a short form; where that is not known, all of it."""
    turns = [rule.turn for rule in plan.rules if rule.turn]
    going = any(isinstance(rule.mood, GoAway) for rule in plan.rules)
    lines = max(1, max(turns, default=1) - (0 if going else 1), 2 if plan.endpoint is not None else 0)
    spoken = [at for at, step in enumerate(plan.steps) if isinstance(step, Line)]
    if len(spoken) <= lines or plan.steps[-1] != HangUp() or not all(isinstance(step, _PLAIN) for step in plan.steps):
        return plan
    steps = (*plan.steps[: spoken[lines - 1] + 1], PATIENT, HangUp())
    return replace(plan, steps=steps, books=plan.books if Line(BOOKING) in steps else 0)
