"""PostgreSQL goes away under calls, in real time: they go on, new ones are answered, and nothing is lost or doubled."""

import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio

from engine.audio import g711
from engine.call.record import Moment as CallMoment
from engine.metrics import Metrics
from engine.server.keeping import keep_in_postgres
from engine.sim.brain import GroundedBrain, ToolWish
from engine.sim.ear import PhraseEar
from engine.sim.gemini import SimGemini
from engine.sim.report import PhoneReport
from engine.sim.scenario import Clip, HangUp, Listen, Moment, Press, Say, SayOver, Wait
from engine.sim.showcase import CachedVoice
from engine.sim.world import CALLER, World, open_world
from engine.store.embedded import EmbeddedServer
from engine.store.interface import CallEnd
from engine.store.pghome import Home
from engine.store.spool import SpooledStore
from engine.tenants import examples
from engine.tenants.tenant import KnowledgeNote, Script, Tenant
from engine.voice.cache import VoiceCache
from tests.postgres.conftest import copied
from tests.postgres.test_spool import control, sockets

pytestmark = pytest.mark.real_time

BY_MODEL = tuple(f"gemini-live-{kind}" for kind in ("audio-in-seconds", "audio-out-seconds", "tokens-in", "tokens-out"))
USED = ("line-seconds", *BY_MODEL)
SPOOLED = 3 + 1 + (len(USED) + 1) + len(USED) + 2  # ends, a task; and of the calls: one with a tool, one in the script
PARK = "Where can I park?"
NOTE_IT = "Please take a message."
PHRASES = (PARK, NOTE_IT)
PARKING = "Park behind the house."
GREETING = "Hello."
WISH = ToolWish("take_message", {"name": "Robin Lee", "message": "Call me back.", "phone": CALLER})
DENTAL = examples.load("harbor-dental")
LINES = Script(apology="Hello.", offer="Press one.", message_prompt="Speak.", message_kept="Thanks.", goodbye="Bye.")
SIMPLE = DENTAL.model_copy(update={"greeting": GREETING, "script": LINES, "people": ()})
ASKED = SIMPLE.model_copy(update={"knowledge": (KnowledgeNote(source="parking", text=PARKING),)})
SCRIPTED = SIMPLE.model_copy(update={"id": "scripted", "numbers": ("+15550100900",), "models": ()})
SOON_S = 15.0
LISTEN = Listen(quiet_ms=300, timeout_s=10)
ENOUGH = Wait(1.5)  # of a longer answer


class Stage:
    """A world over PostgreSQL, and what its calls have come to."""

    def __init__(self, world: World, said: dict[str, Clip], timeline: list[tuple[str, CallMoment]]) -> None:
        self.world, self.said, self.timeline = world, said, timeline

    @property
    def store(self) -> SpooledStore:
        assert isinstance(self.world.composed.store, SpooledStore)
        return self.world.composed.store

    async def until(self, what: Callable[[], bool]) -> None:
        with trio.fail_after(SOON_S):
            while not what():
                await trio.sleep(0.01)

    def seen(self, kind: str) -> int:
        """How many moments of that kind there have been, in all calls."""
        return sum(moment.kind == kind for _, moment in self.timeline)

    def crashes(self) -> float:
        return Metrics.total(self.world.composed.gateway.metrics.crashes)

    async def kept(self, tenant: Tenant, reports: list[PhoneReport]) -> dict[str, CallEnd]:
        """The ends of exactly these calls, each there once, as soon as all are in the database."""
        wanted = sorted(report.call_sid for report in reports)
        ends: list[CallEnd] = []
        with trio.move_on_after(SOON_S):
            while len(ends) < len(wanted) or self.store.statistics().waiting:
                await trio.sleep(0.05)
                ends = await self.store.calls(tenant.id)
        assert sorted(end.call_sid for end in ends) == wanted
        return {end.call_sid: end for end in ends}


@asynccontextmanager
async def stage(
    tmp_path: Path, speech: VoiceCache, *, tenants: Sequence[Tenant] = (ASKED, SCRIPTED), **settings: Any
) -> AsyncIterator[Stage]:
    """What is kept is this test's own; speech is the run's."""
    data = tmp_path / "data"
    speech.mulaw(GREETING)
    if not data.exists():
        data.mkdir()
        (data / "voice").symlink_to(speech._directory)
    said = {text: Clip(text, speech.mulaw(text, pitch=0.86)) for text in PHRASES}
    model = SimGemini(
        ear=PhraseEar({text: g711.decode(clip.mulaw) for text, clip in said.items()}),
        brain=GroundedBrain(wishes={"take a message": WISH}),
        voice=CachedVoice(speech),
        pace=20,
        think_ms=10,
    )
    timeline: list[tuple[str, CallMoment]] = []
    async with open_world(
        data_dir=data,
        keep=keep_in_postgres,
        tenants=tenants,
        model=model,
        observe=lambda sid, moment: timeline.append((sid, moment)),
        **settings,
    ) as world:
        yield Stage(world, said, timeline)
        assert model.protocol_faults == []


@contextmanager
def external(home: Home) -> Iterator[str]:
    """A server of somebody else's: nobody but the test stops and starts it."""
    with EmbeddedServer(home):
        pass  # which makes the database
    control(home, "start")
    url = f"postgresql://postgres@/frontdesk?host={sockets(home)}"
    try:
        yield url
    finally:
        with suppress(subprocess.CalledProcessError):  # a test that failed has left it stopped
            control(home, "stop")


async def test_calls_outlive_an_outage_and_all_they_left_is_there_once(
    made: Home, tmp_path: Path, speech: VoiceCache
) -> None:
    home = copied(made, tmp_path / "server")
    with external(home) as url:
        async with stage(tmp_path, speech, database_url=url) as on:
            park = on.said[PARK]
            asked: list[PhoneReport] = []
            scripted: list[PhoneReport] = []

            async def talk(*moments: Moment) -> None:
                asked.append(await on.world.call([LISTEN, *moments, HangUp()], called=ASKED.numbers[0]))

            async def leave_a_message() -> None:
                moments: list[Moment] = [
                    Wait(1.5),
                    Press("1"),
                    Wait(2.5),
                    Say(on.said[NOTE_IT]),
                    Wait(0.3),
                    Press("#"),
                    LISTEN,
                ]
                scripted.append(await on.world.call(moments, called=SCRIPTED.numbers[0]))

            async with trio.open_nursery() as callers:
                note_it = SayOver(on.said[NOTE_IT], after_ms=800)
                callers.start_soon(talk, Say(park), LISTEN, Say(park), note_it, LISTEN, ENOUGH)
                await on.until(lambda: on.seen("retrieved") == 1)
                before = on.timeline[-1][0]
                await trio.to_thread.run_sync(control, home, "stop")
                # Of a tenant that is known: nobody asks the database who it is.
                callers.start_soon(talk, Say(park), ENOUGH)
                callers.start_soon(leave_a_message)
            await on.until(lambda: on.store.statistics().waiting == SPOOLED)
            assert on.crashes() == 0
            await trio.to_thread.run_sync(control, home, "start")

            ends = await on.kept(ASKED, asked)
            (left,) = (await on.kept(SCRIPTED, scripted)).values()
            follow_ups = await on.store.follow_ups(ASKED.id)
            await on.until(lambda: on.store.statistics().waiting == 0)
            usage = [*await on.store.usage(ASKED.id), *await on.store.usage(SCRIPTED.id)]
            statistics = on.store.statistics()

    during = next(end for end in ends.values() if end.call_sid == before)
    agent = " ".join(line["text"] for line in during.document["transcript"] if line["role"] == "agent")
    assert PARKING in agent
    assert outcomes(during) == ["Notes", "Skipped", "Skipped"], "it went on, and said that it could not look things up"
    assert outcomes(ends[asked[0].call_sid]) == ["Skipped"], "the new call, which ended first"
    assert all(report.answered and not report.unanswered and report.streams == 1 for report in asked)
    assert {end.outcome_reason for end in ends.values()} == {"caller_hung_up"}

    kinds = sorted((record.call_sid, record.kind) for record in usage)
    billed = [(report.call_sid, kind) for report in asked for kind in USED]
    billed += [(before, "tool-calls"), *((scripted[0].call_sid, kind) for kind in ("line-seconds", "messages"))]
    assert kinds == sorted(billed), "usage of every call, exactly once"

    (task,) = follow_ups
    assert (task.kind, task.call_sid, task.details["arguments"]) == ("task", before, dict(WISH.arguments))
    (message,) = left.messages
    assert (message.tenant_id, message.call_sid) == (SCRIPTED.id, scripted[0].call_sid)
    assert len(message.mulaw) > len(on.said[NOTE_IT].mulaw) // 2
    assert (statistics.spooled, statistics.replayed, statistics.set_aside) == (SPOOLED, SPOOLED, 0)


async def test_a_call_hardly_notices_that_the_embedded_server_was_killed(tmp_path: Path, speech: VoiceCache) -> None:
    async with stage(tmp_path, speech) as on:
        reports: list[PhoneReport] = []

        async def talk() -> None:
            # A second more before the question, and an answer heard before the end: a machine that has other tests to
            # run takes longer to start a server.
            ask: list[Moment] = [LISTEN, Wait(1.0), Say(on.said[PARK])]
            leave: list[Moment] = [LISTEN, Say(on.said[NOTE_IT]), LISTEN, ENOUGH, HangUp()]
            reports.append(await on.world.call([*ask, *leave], called=ASKED.numbers[0]))

        async with trio.open_nursery() as callers:
            callers.start_soon(talk)
            await on.until(lambda: on.seen("line") == 1)
            os.kill(postmaster(on.world.settings.data_dir), signal.SIGKILL)
            await on.until(lambda: on.seen("tool_call") == 1)
            os.kill(postmaster(on.world.settings.data_dir), signal.SIGKILL)
        (end,) = (await on.kept(ASKED, reports)).values()
        follow_ups = await on.store.follow_ups(ASKED.id)
        assert on.crashes() == 0
    assert outcomes(end)[0] == "Notes", "it was back before the caller had asked"
    assert end.outcome_reason == "caller_hung_up"
    (item,) = follow_ups
    # The message; or a task to call back, where the connection died with a claim of which nobody knows what became.
    assert item.call_sid == end.call_sid
    assert item.kind == ("message" if answered(end)["status"] == "ok" else "task")
    assert reports[0].answered
    assert not reports[0].unanswered


def outcomes(end: CallEnd) -> list[str]:
    """Of each turn's retrieval."""
    return [moment["facts"]["outcome"] for moment in end.document["timeline"] if moment["kind"] == "retrieved"]


def answered(end: CallEnd) -> dict[str, Any]:
    """What the one tool call was answered."""
    (result,) = [moment for moment in end.document["timeline"] if moment["kind"] == "tool_result"]
    response: dict[str, Any] = result["facts"]["response"]
    return response


def postmaster(data_dir: Path) -> int:
    """The process of the gateway's own server, at this moment."""
    (file,) = (data_dir / "postgres").rglob("postmaster.pid")
    return int(file.read_text("utf-8").splitlines()[0])
