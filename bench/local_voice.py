"""Over whole calls with the local voice: how soon does it answer, how well does it understand, how often is it right?

    python -m bench.local_voice [--each N] [--at-once N] [--out FILE]

Each question of ``bench/questions`` (of each tenant's, evenly, as many as asked for) is one call: a synthetic caller
says it on a simulated line to the real gateway, in real time; a real speech process understands and speaks; knowledge
is in embedded PostgreSQL. Nothing is simulated but the caller and the line.

    response_ms   from the caller's last sound to the agent's first at the caller's playback head, endpointing included
    right         shares of questions whose answer says what ``bench/answers`` asks for: on the telephone, and the same
                  questions given to search and dialogue in writing. What lies between is the price of hearing.
    word_errors   of what was understood, whole calls, clean line, synthetic caller: people are harder to understand
    split         shares of questions that a pause cut in two, so that the first part was answered as if it were all

On a machine that does other things meanwhile the times are too long: the load average goes into the report.
Fails (status 1) where the answers on the telephone fall short of those in writing by more than ``PRICE``.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import trio

from bench.local_answers import read_facts, says
from bench.local_speech_words import word_error_rate
from bench.retrieval_quality import LIMIT, Question, read_questions
from engine import log
from engine.dialogue.acts import Say as SayWords
from engine.dialogue.dialogue import Dialogue
from engine.server.keeping import keep_in_postgres
from engine.sim.brain import GroundedBrain
from engine.sim.ear import PhraseEar
from engine.sim.gemini import SimGemini
from engine.sim.report import PhoneReport, Spread
from engine.sim.scenario import Clip, Listen, Say
from engine.sim.showcase_checks import likeness
from engine.sim.stories import served_by
from engine.sim.world import World, open_world
from engine.speech.pool import open_speech
from engine.store.interface import CallEnd
from engine.tenants import examples
from engine.tenants.tenant import Tenant
from engine.voice.cache import VoiceCache

PITCH = 0.86
PRICE = 0.15
KEPT_S = 15.0
SETTLE_S = 2.0  # the gateway's own start is over, and it takes calls
ANSWER_QUIET_MS = 1500  # longer than what lies between "Let me see." and the answer
HALF = 0.75  # what was understood first is less like the question than this: it is a part of it
REFERENCE = Path(__file__).parent / "reference" / "local_voice.json"


@dataclass(frozen=True, slots=True)
class Asked:
    """One question, and what came of it."""

    tenant: str
    ask: str
    understood: str
    answer: str
    response_ms: float | None
    right: bool
    right_in_writing: bool
    split: bool


def chosen(each: int) -> list[Question]:
    """So many of each tenant's questions, spread evenly over all that it has."""
    asked, foreign = read_questions()
    found: list[Question] = []
    for tenant_id in foreign:
        own = [question for question in asked if question.tenant == tenant_id]
        found += [own[index * len(own) // each] for index in range(min(each, len(own)))]
    return found


def caller_of(tenant: Tenant) -> Tenant:
    """The tenant as it is asked here: by the local voice alone, with a short greeting to spare time."""
    return served_by(tenant, "local").model_copy(update={"greeting": "Hello, how can I help?"})


async def ask(world: World, clip: Clip, question: Question, fact: str) -> Asked:
    tenant = next(tenant for tenant in world.composed.tenants if tenant.id == question.tenant)
    phone = await world.call(
        [Listen(quiet_ms=600), Say(clip), Listen(quiet_ms=ANSWER_QUIET_MS)], called=tenant.numbers[0]
    )
    if not phone.answered:
        print(f"not answered: {phone.how_ended}, {phone.debugger}", file=sys.stderr)
    end = await end_of(world, tenant, phone)
    lines = end.document["transcript"] if end is not None else []
    heard = [line["text"] for line in lines if line["role"] == "caller"]
    answer = " ".join(line["text"] for line in lines[1:] if line["role"] == "agent")
    found = await world.composed.services.search.search(tenant.id, question.ask, limit=LIMIT)
    written = " ".join(act.text for act in Dialogue(tenant).hear(question.ask, found) if isinstance(act, SayWords))
    return Asked(
        tenant.id,
        question.ask,
        " ".join(heard),
        answer,
        phone.responses[0] if phone.responses else None,
        says(answer, fact),
        says(written, fact),
        len(heard) > 1 and likeness(question.ask, heard[0]) < HALF,
    )


async def end_of(world: World, tenant: Tenant, phone: PhoneReport) -> CallEnd | None:
    with trio.move_on_after(KEPT_S):
        while True:
            for end in await world.composed.store.calls(tenant.id):
                if end.call_sid == phone.call_sid:
                    return end
            await trio.sleep(0.1)
    return None


async def measure(each: int, at_once: int, data_dir: Path) -> list[Asked]:
    questions, facts = chosen(each), read_facts()
    cache = VoiceCache(data_dir / "callers")
    tenants = [caller_of(examples.load(tenant_id)) for tenant_id in dict.fromkeys(q.tenant for q in questions)]
    # Before anything is served: the voice takes a second to load, and nobody's call is to wait for that.
    clips = [Clip(question.ask, cache.mulaw(question.ask, pitch=PITCH)) for question in questions]
    asked: list[Asked] = []
    async with (
        open_speech(data_dir) as speech,
        open_world(
            data_dir=data_dir,
            keep=keep_in_postgres,
            tenants=tenants,
            model=SimGemini(ear=PhraseEar({}), brain=GroundedBrain()),  # nobody's: the tenants do not list it
            speech=speech,
            gemini_api_key=None,
        ) as world,
        trio.open_nursery() as nursery,
    ):
        lines = trio.CapacityLimiter(at_once)

        async def one(question: Question, clip: Clip) -> None:
            async with lines:
                result = await ask(world, clip, question, facts[question.tenant, question.ask])
            asked.append(result)
            print(f"{len(asked):3} {'right' if result.right else '-':5} {result.ask[:70]}", file=sys.stderr)

        await trio.sleep(SETTLE_S)
        for question, clip in zip(questions, clips, strict=True):
            nursery.start_soon(one, question, clip)
    return asked


def report(asked: Sequence[Asked], at_once: int) -> dict[str, Any]:
    responses = [one.response_ms for one in asked if one.response_ms is not None]
    spread = Spread.of(responses)
    assert spread is not None, "somebody was answered"
    count = len(asked)
    return {
        "questions": count,
        "at_once": at_once,
        "response_ms": {name: round(value, 1) for name, value in asdict(spread).items()},
        "unanswered": count - len(responses),
        "right": {
            "on_the_telephone": round(sum(one.right for one in asked) / count, 4),
            "in_writing": round(sum(one.right_in_writing for one in asked) / count, 4),
        },
        "word_errors": round(word_error_rate([one.ask for one in asked], [one.understood for one in asked]), 4),
        "split": round(sum(one.split for one in asked) / count, 4),
        "right_in_writing_only": [
            {"ask": one.ask, "understood": one.understood, "answer": one.answer}
            for one in asked
            if one.right_in_writing and not one.right
        ],
        "machine": {
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "load_average": [round(load, 1) for load in os.getloadavg()],
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=20, help="questions of each tenant (default: 20)")
    parser.add_argument("--at-once", type=int, default=3, help="calls at once (default: 3)")
    parser.add_argument("--data-dir", type=Path, help="keeps rendered lines and weights (default: a temporary one)")
    parser.add_argument("--out", type=Path, default=REFERENCE, help="where the figures go")
    told = parser.parse_args()
    log.configure("ERROR")
    with tempfile.TemporaryDirectory() as temporary:
        asked = trio.run(measure, told.each, told.at_once, told.data_dir or Path(temporary))
    found = report(asked, told.at_once)
    told.out.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    print(json.dumps({name: figure for name, figure in found.items() if name != "right_in_writing_only"}, indent=2))
    right = found["right"]
    sys.exit(0 if right["on_the_telephone"] >= right["in_writing"] - PRICE else 1)


if __name__ == "__main__":
    main()
