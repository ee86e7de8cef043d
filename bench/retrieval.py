"""Retrieval as callers have it: is the right note there, and does anybody wait for it?

    python -m bench.retrieval [--json] [--out FILE]

First ``bench.retrieval_quality``: which notes are found for the committed questions as they are written. Then the same
questions, spoken: each is asked out loud in a call of its own to a gateway over embedded PostgreSQL with the shipped
embedder, several callers at a time, in real time. Their words come from a simulated transcribe model in a process of
its own, ``bench.transcriber``, as late as words come back from a service. *Hold* is what a turn's answer was held back
for its notes once the caller was done (``held_ms`` of the timeline): 0 where the search on the text so far had already
answered. Fails (status 1) where hit@3 on written or spoken questions, or the hold's p50 or p99, misses its goal.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import trio
from numpy.typing import NDArray

from bench.retrieval_quality import GOAL, LIMIT, Question, measure, place_of, read_questions, show
from bench.transcriber import LATE_MS, SPREAD_MS, clips
from engine import log
from engine.call.record import Moment
from engine.server.keeping import keep_in_postgres
from engine.sim.brain import EchoBrain
from engine.sim.gemini import SimGemini
from engine.sim.report import Spread
from engine.sim.scenario import Clip, HangUp, Listen, Say
from engine.sim.scenario import Moment as ToDo
from engine.sim.world import World, open_world
from engine.tenants import examples
from engine.tenants.tenant import Tenant

P50_GOAL_MS, P99_GOAL_MS = 1.0, 250.0
WAITED_MS = 1.0  # a hold below it is the time in which our own code runs
ANSWER_S = 0.6
LISTEN = Listen(quiet_ms=300, timeout_s=10)
OUTCOMES = ("Notes", "NothingFound", "TimedOut", "Skipped")


class Deaf:
    """The speaking model's ear: it answers whatever was said; the words come from the listener."""

    def hear(self, pcm: NDArray[np.int16], rate: int = 16000) -> str | None:  # noqa: ARG002
        return None

    def partial(self, pcm: NDArray[np.int16], rate: int = 16000) -> str | None:  # noqa: ARG002
        return None


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of one spoken question: its turns' retrieval, in order."""

    question: Question
    retrieved: tuple[Moment, ...]

    @property
    def place(self) -> int | None:
        """Where the right note stands in the best of what was committed."""
        places = [place_of(sources(moment), self.question.expect) for moment in self.retrieved]
        return min((place for place in places if place is not None), default=None)


@dataclass(frozen=True, slots=True)
class Spoken:
    """What all of them come to.

    Attributes:
        hold_ms: over all turns.
        waited: the share of turns that were held at all.
        by_outcome: turns.
        heard_whole: the share of questions that were committed with all of their words.
        unanswered: questions for which no turn was committed.
        clock_late_ms: p99 of how late this process's own ticks were: far above 5, the machine was too busy to measure.
    """

    questions: int
    turns: int
    hold_ms: dict[str, float]
    waited: float
    by_outcome: dict[str, int]
    hit1: float
    hit3: float
    heard_whole: float
    unanswered: int
    clock_late_ms: float
    missed: list[str] = field(default_factory=list)


def sources(moment: Moment) -> list[str]:
    """Of the passages that this turn was committed with, best first."""
    return [source for source, _ in moment.facts.get("passages", ())]


def summary(asked: Sequence[Asked], clock_late_ms: float = 0.0) -> Spoken:
    """PURE: what all of them come to."""
    turns = [moment for one in asked for moment in one.retrieved]
    held = [float(moment.facts["held_ms"]) for moment in turns]
    spread = Spread.of(held)
    counted = Counter(str(moment.facts["outcome"]) for moment in turns)
    places = [one.place for one in asked]
    return Spoken(
        questions=len(asked),
        turns=len(turns),
        hold_ms={} if spread is None else {name: round(value, 1) for name, value in asdict(spread).items()},
        waited=sum(ms >= WAITED_MS for ms in held) / max(1, len(held)),
        by_outcome={outcome: counted[outcome] for outcome in OUTCOMES},
        hit1=sum(place == 1 for place in places) / max(1, len(places)),
        hit3=sum(place is not None and place <= LIMIT for place in places) / max(1, len(places)),
        heard_whole=sum(any(moment.text == one.question.ask for moment in one.retrieved) for one in asked)
        / max(1, len(asked)),
        clock_late_ms=round(clock_late_ms, 1),
        unanswered=sum(not one.retrieved for one in asked),
        missed=[missed(one) for one in asked if one.place is None],
    )


def missed(one: Asked) -> str:
    last = one.retrieved[-1] if one.retrieved else None
    got = "no turn" if last is None else f"{last.facts['outcome']} for {last.text!r}: {'; '.join(sources(last))}"
    return f"{one.question.tenant}: {one.question.ask} (wanted {one.question.expect[0]}; got {got})"


@asynccontextmanager
async def transcriber(voice: Path, seed: int) -> AsyncIterator[str]:
    """Its URL, while it runs."""
    command = [sys.executable, "-m", "bench.transcriber", str(voice), "--seed", str(seed)]
    process = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        said = b""
        while not said.endswith(b"\n"):
            more = await process.stdout.receive_some()
            if not more:
                raise SystemExit("the transcribe model did not start; what it said is above")
            said += more
        yield said.decode().strip()
    finally:
        with trio.move_on_after(5, shield=True):
            await process.stdin.aclose()
            await process.wait()
        if process.returncode is None:
            process.kill()


def tenant(tenant_id: str) -> Tenant:
    """The example, for as many callers as come."""
    example = examples.load(tenant_id)
    return example.model_copy(update={"quotas": example.quotas.model_copy(update={"concurrent_calls": 1000})})


async def ask_all(
    world: World, seen: Mapping[str, list[Moment]], said: Mapping[str, Clip], callers: int, seed: int
) -> list[Asked]:
    """Every question in a call of its own, ``callers`` at a time, in an order of the seed's."""
    waiting = read_questions()[0]
    random.Random(seed).shuffle(waiting)
    numbers = {tenant.id: tenant.numbers[0] for tenant in world.composed.tenants}
    asked: list[Asked] = []

    async def caller(number: int) -> None:
        await trio.sleep(number * 0.37)  # nobody in step with another
        while waiting:
            question = waiting.pop()
            scenario: list[ToDo] = [LISTEN, Say(said[question.ask]), LISTEN, HangUp()]
            report = await world.call(scenario, called=numbers[question.tenant], caller=f"+1555010{number:04d}")
            asked.append(Asked(question, tuple(seen.get(report.call_sid, ()))))

    async with trio.open_nursery() as nursery:
        for number in range(callers):
            nursery.start_soon(caller, number)
    return asked


async def speak(callers: int, seed: int) -> Spoken:
    """The spoken half; about two minutes."""
    tone = (6000 * np.sin(2 * np.pi * 440 * np.arange(int(24000 * ANSWER_S)) / 24000)).astype(np.int16)
    seen: dict[str, list[Moment]] = {}

    def observe(call_sid: str, moment: Moment) -> None:
        if moment.kind == "retrieved":
            seen.setdefault(call_sid, []).append(moment)

    with tempfile.TemporaryDirectory(prefix="frontdesk-retrieval-") as scratch:
        data = Path(scratch)
        said = await trio.to_thread.run_sync(clips, data / "voice")
        tenants = [tenant(tenant_id) for tenant_id in sorted({question.tenant for question in read_questions()[0]})]
        async with (
            transcriber(data / "voice", seed) as url,
            open_world(
                data_dir=data,
                keep=keep_in_postgres,
                tenants=tenants,
                model=SimGemini(ear=Deaf(), brain=EchoBrain(tone), seed=seed),
                observe=observe,
                gemini_transcribe_url=url,
            ) as world,
        ):
            asked = await ask_all(world, seen, said, callers, seed)
            return summary(asked, world.plane.statistics().lateness_p99_ms)


def show_spoken(spoken: Spoken) -> None:
    hold = spoken.hold_ms
    print(f"\nspoken: {spoken.questions} questions, {spoken.turns} turns      hit@1   hit@3")
    print(f"  {'right note committed':<33} {spoken.hit1:>8.3f}{spoken.hit3:>8.3f}")
    print(f"  {'committed with all of its words':<33} {spoken.heard_whole:>8.3f}")
    print("\nadded hold per turn, ms: " + ", ".join(f"{name} {hold.get(name)}" for name in hold))
    print(
        f"  held at all: {spoken.waited:.0%} of turns; " + ", ".join(f"{k} {v}" for k, v in spoken.by_outcome.items())
    )
    print(f"  this process's clock was late by {spoken.clock_late_ms} ms (p99)")
    print("\nmissed when spoken:")
    for line in spoken.missed:
        print(f"  {line}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Retrieval quality, written and spoken, and what callers wait for it.")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--out", type=Path, help="keep the report as JSON there")
    parser.add_argument("--callers", type=int, default=8, help="at a time")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    log.configure("ERROR")
    written = trio.run(measure)
    spoken = trio.run(speak, args.callers, args.seed)
    report: dict[str, Any] = {
        "seed": args.seed,
        "callers": args.callers,
        "words_late_ms": {"mean": LATE_MS, "deviation": SPREAD_MS},
        "written": {group: asdict(row) for group, row in written.search.items()},
        "spoken": asdict(spoken),
    }
    text = json.dumps(report, indent=2)
    if args.json:
        print(text)
    else:
        show(written)
        show_spoken(spoken)
    if args.out:
        args.out.write_text(text + "\n")
    goals = {
        f"hit@3 {written.search['all'].hit3:.3f} written (goal {GOAL})": written.search["all"].hit3 >= GOAL,
        f"hit@3 {spoken.hit3:.3f} spoken (goal {GOAL})": spoken.hit3 >= GOAL,
        f"hold p50 {spoken.hold_ms.get('p50')} ms (goal 0)": spoken.hold_ms.get("p50", 1e9) < P50_GOAL_MS,
        f"hold p99 {spoken.hold_ms.get('p99')} ms (goal {P99_GOAL_MS:.0f})": spoken.hold_ms.get("p99", 1e9)
        <= P99_GOAL_MS,
    }
    for goal, reached in goals.items():
        print(f"{goal}: {'reached' if reached else 'MISSED'}", file=sys.stderr)
    return 0 if all(goals.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
