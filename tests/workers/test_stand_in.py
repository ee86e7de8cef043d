"""While no worker serves: everybody who calls hears the static script, and what they leave is not lost."""

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import orjson
import pytest
import trio

from engine.config import Settings
from engine.server.tenant_copy import keep_copy
from engine.wire.twilio_signature import sign
from engine.workers.link import Order, send
from engine.workers.stand_in import NOBODY_KNOWN, stand_in
from tests.server.carrier import ACCOUNT, AUTH_TOKEN, CALL, PUBLIC_URL, verbs
from tests.server.world import BAKERY, NUMBER
from tests.workers.conftest import Place

pytestmark = pytest.mark.real_time


@dataclass
class Standing:
    place: Place
    http: httpx.AsyncClient
    ended: trio.Event

    async def post(self, name: str, **params: str) -> httpx.Response:
        form = {"CallSid": CALL, "AccountSid": ACCOUNT, "From": "+15005550006", "To": NUMBER} | params
        signature = sign(AUTH_TOKEN, f"{PUBLIC_URL}/twilio/{name}", form.items())
        return await self.http.post(f"/twilio/{name}", data=form, headers={"X-Twilio-Signature": signature})


def settings_in(folder: Path) -> Settings:
    return Settings(public_url=PUBLIC_URL, twilio_auth_token=AUTH_TOKEN, data_dir=folder)  # type: ignore[arg-type]


@asynccontextmanager
async def standing(place: Place, tmp_path: Path) -> AsyncIterator[Standing]:
    settings, ended = settings_in(tmp_path), trio.Event()
    keep_copy(settings, [BAKERY])

    async def child() -> None:
        await stand_in(settings, place.station)
        ended.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(child)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{place.port}", trust_env=False) as http:
            with trio.fail_after(10):
                yield Standing(place, http, ended)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("path", ["voice", "recover"])
async def test_whoever_calls_or_comes_back_hears_the_static_script(path: str, place: Place, tmp_path: Path) -> None:
    async with standing(place, tmp_path) as there:
        assert verbs((await there.post(path)).text) == ["Say", "Dial"]


async def test_it_is_not_ready_for_anything_else(place: Place, tmp_path: Path) -> None:
    async with standing(place, tmp_path) as there:
        ready = await there.http.get("/health/ready")
        assert (ready.status_code, ready.json()["status"]) == (503, "draining")


async def test_a_recorded_message_waits_in_the_spool_for_the_next_worker(place: Place, tmp_path: Path) -> None:
    spool = trio.Path(tmp_path) / "spool"
    async with standing(place, tmp_path) as there:
        await there.post("recording", RecordingUrl="https://api.example.com/RE1", RecordingSid="RE1")
        while not (await spool.exists() and [path async for path in _records(spool)]):
            await trio.sleep(0.01)
        (record,) = [orjson.loads(await path.read_bytes()) async for path in _records(spool)]
    assert record["what"] == "follow_up"
    assert "https://api.example.com/RE1" in record["document"]


async def _records(spool: trio.Path) -> AsyncIterator[trio.Path]:
    for path in await spool.glob("*.json"):
        if not path.name.startswith("."):  # still being written
            yield path


async def test_it_leaves_when_somebody_serves_again(place: Place, tmp_path: Path) -> None:
    async with standing(place, tmp_path) as there:
        await there.post("voice")
        send(place.parent, Order.LEAVE.value)
        await there.ended.wait()


async def test_where_no_tenant_is_known_it_answers_nobody(place: Place, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        await stand_in(settings_in(tmp_path), place.station)
    assert ended.value.code == NOBODY_KNOWN


def test_it_needs_neither_models_nor_databases() -> None:
    """Whatever keeps the workers from starting may be one of those."""
    heavy = ("onnxruntime", "google.genai", "asyncpg", "engine.store.database", "engine.model.session")
    check = f"import sys, engine.workers.stand_in; print([name for name in {heavy!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", check], check=True, capture_output=True, text=True)
    assert ran.stdout == "[]\n"
