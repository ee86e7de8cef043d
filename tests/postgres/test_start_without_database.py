"""A gateway whose database is away when it starts, and tenants in it that nobody can read. In real time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from pydantic import SecretStr

from engine.config import Settings
from engine.errors import ConfigurationError, StoreUnavailable
from engine.messages import Effect
from engine.server import database_opening
from engine.server.keeping import Keeping, keep_in_postgres
from engine.server.shelf import open_shelf
from engine.server.tenant_copy import read_cached_tenants
from engine.sim.report import PhoneReport
from engine.sim.scenario import HangUp, Moment, Say
from engine.store.ledger import Claimed, ClaimRequest, EffectKey
from engine.store.pghome import Home
from engine.store.sql import Connection
from engine.tenants.tenant import Tenant
from engine.voice.cache import VoiceCache
from tests.postgres.conftest import copied
from tests.postgres.test_calls_outage import (
    ASKED,
    ENOUGH,
    GREETING,
    LISTEN,
    NOTE_IT,
    PARK,
    PARKING,
    SOON_S,
    USED,
    Stage,
    external,
    outcomes,
    stage,
)
from tests.postgres.test_spool import control

pytestmark = pytest.mark.real_time

NEW = Tenant(id="new", name="New", greeting=GREETING, numbers=("+15550100901",))
KEY = EffectKey(ASKED.id, "CA1", "take_message", "digest", "call")
OTHER = NEW.model_copy(update={"id": "other", "numbers": ("+15550100902",)})


async def test_what_calls_left_before_the_database_came_is_there_once(
    made: Home, tmp_path: Path, speech: VoiceCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_opening, "PAUSES_S", (0.3,))
    home = copied(made, tmp_path / "server")
    with external(home) as url:
        async with stage(tmp_path, speech, tenants=[ASKED], database_url=url):
            pass
        await trio.to_thread.run_sync(control, home, "stop")
        async with stage(tmp_path, speech, tenants=[], database_url=url) as on:
            assert on.world.composed.tenants == (ASKED,)
            assert await ready(on) == (200, "away")
            first = await talk(on, Say(on.said[PARK]), LISTEN, Say(on.said[NOTE_IT]), ENOUGH)
            await on.until(lambda: on.store.statistics().waiting == 3 + len(USED))  # its end, a task, and what it used
            await trio.to_thread.run_sync(control, home, "start")

            with trio.fail_after(SOON_S):
                while await ready(on) != (200, "ok"):
                    await trio.sleep(0.05)
            (end,) = (await on.kept(ASKED, [first])).values()
            await on.until(lambda: on.store.statistics().waiting == 0)
            follow_ups = await on.store.follow_ups(ASKED.id)
            usage = await on.store.usage(ASKED.id)

            services = on.world.composed.services
            claim = await services.ledger.claim(KEY, ClaimRequest("one", "attempt", Effect.WRITES, lease_s=10))
            passages = await services.search.search(ASKED.id, "somewhere for my vehicle", limit=3)
            async with open_shelf(on.world.settings) as shelf:
                await shelf.put(NEW)
            directory = on.world.composed.gateway.directory
            await on.until(lambda: directory.tenant_for_number(NEW.numbers[0]) == NEW)
            assert on.crashes() == 0
    assert outcomes(end)[0] == "Notes", "what the copy knows is found by words"
    assert any(PARKING in line["text"] for line in end.document["transcript"] if line["role"] == "agent")
    assert [item.kind for item in follow_ups] == ["task"], "nobody could claim the effect, so a person does it"
    assert sorted(record.kind for record in usage) == sorted([*USED, "tool-calls"])
    assert claim == Claimed(KEY), "and now somebody can"
    assert [passage.text for passage in passages] == [PARKING], "and what is known is found by meaning"
    assert {tenant.id for tenant in read_cached_tenants(on.world.settings)} == {ASKED.id, NEW.id}


async def test_without_a_copy_a_database_that_is_away_refuses_the_start(tmp_path: Path) -> None:
    nowhere = f"postgresql://postgres@/frontdesk?host={tmp_path}"
    with pytest.raises(StoreUnavailable, match="cannot be reached"):
        async with keep_in_postgres(settings(tmp_path, nowhere), [NEW]):
            raise AssertionError("it started")


async def test_an_unreadable_tenant_costs_nobody_else_the_start(url: str, tmp_path: Path) -> None:
    told = settings(tmp_path, url)
    async with keeping(told, [NEW, OTHER]) as kept:
        assert {tenant.id for tenant in kept.tenants} == {"new", "other"}
        assert kept.shelf is not None
        await kept.shelf.database.as_owner(spoil, "other")
        now = {tenant.id: tenant for tenant in await kept.shelf.tenants()}
        assert now["other"] == OTHER, "it goes on as it was known"
    async with keeping(told) as kept:
        assert [tenant.id for tenant in kept.tenants] == ["new"]
    assert [tenant.id for tenant in read_cached_tenants(told)] == ["new"]
    async with open_shelf(told) as shelf:
        with pytest.raises(ConfigurationError, match=r"tenant other in the database.*import it again"):
            await shelf.tenants()


def settings(tmp_path: Path, url: str) -> Settings:
    return Settings(data_dir=tmp_path, database_url=SecretStr(url), embeddings="offline")


@asynccontextmanager
async def keeping(told: Settings, documents: list[Tenant] | None = None) -> AsyncIterator[Keeping]:
    async with keep_in_postgres(told, documents or []) as kept:
        yield kept


async def talk(on: Stage, *moments: Moment) -> PhoneReport:
    report = await on.world.call([LISTEN, *moments, HangUp()], called=ASKED.numbers[0])
    assert report.answered
    assert not report.unanswered
    return report


async def ready(on: Stage) -> tuple[int, str]:
    answer = await on.world.http.get(f"{on.world.account.gateway_url}/health/ready")
    return answer.status_code, answer.json()["parts"]["database"]


async def spoil(connection: Connection, tenant_id: str) -> None:
    await connection.execute("update tenant set document = '{\"id\": 7}' where tenant_id = $1", tenant_id)
