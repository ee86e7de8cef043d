"""Rows: a tenant's tool endpoint is down, slow, refuses, or answers with rubbish, once or always."""

import math
import random
from collections.abc import Callable

from bench.adversity.plan import BOOKS, SECOND, EndpointPlan, Plan, conversation
from bench.adversity.play import call_row
from bench.adversity.types import Row
from engine.sim.tool_moods import (
    EVERY_NONSENSE,
    Drops,
    Fails,
    Garbage,
    Huge,
    LosesAnswer,
    Redirects,
    Slow,
    ToolMood,
    TooMany,
)

ALWAYS = 12  # more requests than one call makes
PRIVATE = (
    "http://10.0.0.7/book",
    "http://169.254.169.254/latest/meta-data",
    "http://[fd00::7]/book",
    "http://127.0.0.1:1/",
)


def endpoint(make: Callable[[random.Random], ToolMood]) -> Callable[[random.Random], Plan]:
    """So many requests meet this mood; the endpoint does a key once, or does as it is told every time."""

    def plan(rng: random.Random) -> Plan:
        moods = (make(rng),) * rng.choice((1, 2, ALWAYS))
        return _plan(rng, EndpointPlan(moods, idempotent=rng.random() < 0.5, works_s=rng.choice((0.0, 0.0, 0.4))))

    return plan


def _plan(rng: random.Random, served: EndpointPlan) -> Plan:
    return Plan(conversation(patient_from=BOOKS, turns=SECOND, rng=rng), endpoint=served, pace=rng.choice((1.0, 3.0)))


def down(rng: random.Random) -> Plan:
    """Nobody listens at its port."""
    return _plan(rng, EndpointPlan(idempotent=rng.random() < 0.5, port_closed=True))


def works_long(rng: random.Random) -> Plan:
    """It does its work, and takes its time over it."""
    return _plan(rng, EndpointPlan(idempotent=rng.random() < 0.5, works_s=rng.uniform(0.5, 6.0)))


ROWS: tuple[Row, ...] = (
    call_row("endpoint-down", "tools", "endpoint down", down),
    call_row("endpoint-drops", "tools", "connection reset before the work", endpoint(lambda _: Drops())),
    call_row("endpoint-loses", "tools", "done, and the answer lost", endpoint(lambda _: LosesAnswer())),
    call_row("endpoint-works-long", "tools", "slow to do it", works_long),
    call_row(
        "endpoint-slow",
        "tools",
        "done, and answered late or never",
        endpoint(lambda rng: Slow(rng.choice((rng.uniform(0.5, 9.0), math.inf)))),
    ),
    call_row(
        "endpoint-500",
        "tools",
        "500 to 504, done or not",
        endpoint(lambda rng: Fails(rng.choice((500, 502, 503, 504)), done=rng.random() < 0.5)),
    ),
    call_row("endpoint-429", "tools", "429", endpoint(lambda rng: TooMany(rng.choice((None, "0", "1", "30", "soon"))))),
    call_row(
        "endpoint-garbage", "tools", "garbage for an answer", endpoint(lambda rng: Garbage(rng.choice(EVERY_NONSENSE)))
    ),
    call_row("endpoint-huge", "tools", "huge body", endpoint(lambda rng: Huge(2_000_000, declared=rng.random() < 0.5))),
    call_row(
        "endpoint-redirects",
        "tools",
        "redirect to a private address",
        endpoint(lambda rng: Redirects(rng.choice(PRIVATE), rng.choice((301, 302, 307, 308)))),
    ),
)
