"""Two tenants in one process, a secret each in every place that a tenant has, and many calls at once: none is mixed up.

The model is as bad as can be: in every turn it wants the other tenant's tools, and tools under the other's names.
"""

import io
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from engine import log
from engine.audio import g711
from engine.call.record import Moment as CallMoment
from engine.messages import Effect
from engine.metrics import Metrics
from engine.server.keeping import keep_in_memory, keep_in_postgres
from engine.sim.brain import GroundedBrain, HeardTurn, Reply, ToolWish
from engine.sim.ear import PhraseEar
from engine.sim.gemini import SimGemini
from engine.sim.gemini_record import SessionRecord
from engine.sim.report import PhoneReport
from engine.sim.scenario import Clip, HangUp, Listen, Moment, Say
from engine.sim.tool_endpoint import ToolEndpoint
from engine.sim.tool_requests import Verifier
from engine.sim.world import Keep, World, open_world
from engine.store.interface import CallEnd
from engine.tenants.tenant import KnowledgeNote, Person, Tenant, ToolSpec
from engine.tenants.tenant import ToolEndpoint as EndpointOfDocument
from engine.tools.http_signing import ToolSecrets
from engine.voice.cache import VoiceCache
from tests.calls import InlineVoice
from tests.postgres.clock import held_while_threads_work

PARK = "Where can I park?"
CHECK = "Please check that for me."
PHRASES = (PARK, CHECK)
SECRET_KEY = "the operator's own"
IDS = ("north", "south")
# One word for each place, that nothing else says.
PLACES = ("persona", "passage", "answer", "person")
CANARIES = {
    "north": {"persona": "quokka", "passage": "narwhal", "answer": "axolotl", "person": "Pangolin"},
    "south": {"persona": "ocelot", "passage": "wombat", "answer": "gecko", "person": "Tapir"},
}
SECRETS = ToolSecrets({}, secret_key=SECRET_KEY)
VERIFIER = Verifier({tenant_id: SECRETS.signing_text(tenant_id) or "" for tenant_id in IDS})


def other(tenant_id: str) -> str:
    return IDS[1 - IDS.index(tenant_id)]


def a_tenant(tenant_id: str, endpoint_url: str) -> Tenant:
    """Both have a tool ``check``, and each one that the other has not."""
    word = CANARIES[tenant_id]
    number = 100 * (IDS.index(tenant_id) + 1)
    tools = tuple(
        ToolSpec(
            name=name,
            description="Checks.",
            parameters={"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]},
            effect=Effect.WRITES,
            timeout_s=20,
            endpoint=EndpointOfDocument(url=endpoint_url),
        )
        for name in ("check", f"only_{tenant_id}")
    )
    return Tenant(
        id=tenant_id,
        name=f"The {tenant_id} house",
        numbers=(f"+15550100{number}",),
        greeting="Hello.",
        persona=f"Your favourite animal is the {word['persona']}.",
        knowledge=(KnowledgeNote(source="parking", text=f"You can park at the {word['passage']} fountain."),),
        tools=tools,
        people=(Person.model_validate({"name": word["person"], "number": f"+1555010{number}9"}),),
    )


class GreedyBrain:
    """Answers from notes; asked to check, it calls its own tools, the other tenant's, and one that nobody has."""

    def __init__(self) -> None:
        self._grounded = GroundedBrain()

    def reply(self, turn: HeardTurn) -> Reply:
        """See ``Brain``."""
        if turn.results or turn.transcript != CHECK:
            return self._grounded.reply(turn)
        names = ("check", *(f"only_{tenant_id}" for tenant_id in IDS), "nobodys")
        return Reply("", tuple(ToolWish(name, {"what": "the same thing"}) for name in names))


@dataclass
class House:
    """A world of both, and all that came of it."""

    world: World
    model: SimGemini
    said: dict[str, Clip]
    endpoints: dict[str, ToolEndpoint]
    tenants: dict[str, Tenant]
    timeline: list[tuple[str, CallMoment]]
    reports: dict[str, list[PhoneReport]] = field(default_factory=lambda: {tenant_id: [] for tenant_id in IDS})

    async def call(self, tenant_id: str, caller: str) -> None:
        moments: list[Moment] = [Listen(), Say(self.said[PARK]), Listen(), Say(self.said[CHECK]), Listen(), HangUp()]
        number = self.tenants[tenant_id].numbers[0]
        self.reports[tenant_id].append(await self.world.call(moments, called=number, caller=caller))

    async def ends(self, tenant_id: str) -> list[CallEnd]:
        """All ends of this tenant's, as soon as there are enough."""
        ends: list[CallEnd] = []
        for _ in range(1000):
            ends = await self.world.composed.store.calls(tenant_id)
            if len(ends) >= len(self.reports[tenant_id]):
                break
            await trio.to_thread.run_sync(time.sleep, 0.01)  # kept by a thread, for which the clock does not wait
        return ends


@asynccontextmanager
async def house(tmp_path: Path, speech: VoiceCache, keep: Keep, **settings: Any) -> AsyncIterator[House]:
    data = tmp_path / "data"
    data.mkdir()
    (data / "voice").symlink_to(speech._directory)
    said = {text: Clip(text, speech.mulaw(text, pitch=0.86)) for text in PHRASES}
    model = SimGemini(
        ear=PhraseEar({text: g711.decode(clip.mulaw) for text, clip in said.items()}),
        brain=GreedyBrain(),
        voice=InlineVoice(speech),
    )
    timeline: list[tuple[str, CallMoment]] = []
    async with trio.open_nursery() as peers:
        endpoints = {tenant_id: an_endpoint(tenant_id) for tenant_id in IDS}
        urls = {tenant_id: await peers.start(endpoint.serve) for tenant_id, endpoint in endpoints.items()}
        tenants = {tenant_id: a_tenant(tenant_id, urls[tenant_id]) for tenant_id in IDS}
        async with open_world(
            data_dir=data,
            keep=keep,
            tenants=list(tenants.values()),
            model=model,
            observe=lambda sid, moment: timeline.append((sid, moment)),
            secret_key=SECRET_KEY,
            tools_allow_private=True,
            **settings,
        ) as world:
            yield House(world, model, said, endpoints, tenants, timeline)
        peers.cancel_scope.cancel()


def an_endpoint(tenant_id: str) -> ToolEndpoint:
    """It answers with its tenant's word, whoever asks."""
    word = CANARIES[tenant_id]["answer"]
    return ToolEndpoint(VERIFIER, idempotent=False, answer=lambda _: {"status": "ok", "message": f"It is a {word}."})


@contextmanager
def product_logs() -> Iterator[io.StringIO]:
    """Every line as the product would write it."""
    lines = io.StringIO()
    log.configure("DEBUG", stream=lines)
    try:
        yield lines
    finally:
        log.configure("CRITICAL")


def named(tenant_id: str, text: object) -> set[str]:
    """Which places' words of this tenant are in it."""
    low = str(text).lower()
    return {place for place in PLACES if CANARIES[tenant_id][place].lower() in low}


def of_whom(session: SessionRecord) -> str:
    """Which tenant's session this is, by what it was told at first."""
    assert session.setup is not None
    (tenant_id,) = [one for one in IDS if f"The {one} house" in session.setup.instruction]
    return tenant_id


async def hammer(on: House, calls: int) -> None:
    """All at once, by turns."""
    async with trio.open_nursery() as callers:
        for number in range(calls):
            callers.start_soon(on.call, IDS[number % 2], f"+1555020{number:04}")


async def judge(on: House, lines: str, calls: int) -> None:
    """Nothing of one tenant is anywhere near the other's calls; and the words were really there to be leaked."""
    sids: dict[str, str] = {}
    for tenant_id in IDS:
        away = other(tenant_id)
        ends = await on.ends(tenant_id)
        assert sorted(end.call_sid for end in ends) == sorted(report.call_sid for report in on.reports[tenant_id])
        assert len(ends) == calls // 2
        for end in ends:
            sids[end.call_sid] = tenant_id
            assert end.document["tenant_id"] == tenant_id
            assert named(tenant_id, end.document) >= {"passage", "answer"}
            assert named(away, end.document) == set()
            assert f"only_{away}" not in str(refusals(end)[f"only_{away}"]["message"])
            assert {name: said["status"] for name, said in refusals(end).items()} == {
                "check": "ok",
                f"only_{tenant_id}": "ok",
                f"only_{away}": "refused",
                "nobodys": "refused",
            }

        endpoint = on.endpoints[tenant_id]
        assert endpoint.faults == []
        assert {request.tenant for request in endpoint.requests} == {tenant_id}
        assert {sids[request.call] for request in endpoint.requests} == {tenant_id}
        assert len(endpoint.requests) == calls  # two tools in each of half of the calls
        assert set(endpoint.effects.values()) == {1}
        assert await on.world.composed.store.follow_ups(tenant_id) == []  # type: ignore[attr-defined]

    sessions = [session for session in on.model.sessions if session.setup is not None]
    assert len(sessions) >= calls
    for session in sessions:
        tenant_id = of_whom(session)
        assert named(other(tenant_id), session) == set()
        assert f"only_{other(tenant_id)}" not in session.setup.tools  # type: ignore[union-attr]
        notes = [note for commit in session.commits for note in commit.notes]
        assert "passage" in named(tenant_id, notes)
    assert not any(named(tenant_id, session) for tenant_id in IDS for session in on.world.ear.sessions)

    for sid, moment in on.timeline:
        assert named(other(sids[sid]), moment) == set()
    logged = [json.loads(line) for line in lines.splitlines()]
    assert sum(told["event"] == "call ended" for told in logged) == calls
    for told in logged:
        line = json.dumps(told)
        if "call_sid" in told:
            assert named(other(sids[told["call_sid"]]), line) == set()
            assert told["tenant_id"] == sids[told["call_sid"]]
        if "tenant_id" in told:
            assert named(other(told["tenant_id"]), line) == set()
    assert Metrics.total(on.world.composed.gateway.metrics.crashes) == 0


def refusals(end: CallEnd) -> dict[str, dict[str, Any]]:
    """What each tool answered."""
    return {
        moment["text"]: moment["facts"]["response"]
        for moment in end.document["timeline"]
        if moment["kind"] == "tool_result"
    }


async def test_twenty_calls_at_once_of_two_tenants_never_meet(
    tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    def keep(_: object, known: Any) -> Any:
        return keep_in_memory(known, tmp_path / "calls")

    with product_logs() as lines:
        async with house(tmp_path, speech, keep) as on:
            await hammer(on, 20)
            await judge(on, lines.getvalue(), 20)


async def test_nor_do_they_in_postgresql(
    url: str,
    tmp_path: Path,
    speech: VoiceCache,
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with held_while_threads_work(autojump_clock, monkeypatch), product_logs() as lines:
        async with house(tmp_path, speech, keep_in_postgres, database_url=url) as on:
            await hammer(on, 6)
            await judge(on, lines.getvalue(), 6)
