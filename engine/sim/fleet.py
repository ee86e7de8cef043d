"""The engine as it is run for real, ``frontdesk serve --workers N`` in processes of its own; everybody else is here.

    sim.caller ══ HTTP, Media Streams ══ N workers ══ Gemini Live ══ sim.gemini
    carrier REST stub, calendar ◄── HTTP ──┘

In real time: what is asked of a fleet is how it bears being killed, and no virtual clock reaches into a process.
"""

import itertools
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import trio

from engine.sim.caller import CallOptions, place_call
from engine.sim.carrier_rest import CarrierRest
from engine.sim.carrier_web import CarrierAccount
from engine.sim.gemini import SimGemini
from engine.sim.hearing import BYTES_PER_MS, loud_span
from engine.sim.network import NullNetwork
from engine.sim.report import PhoneReport
from engine.sim.scenario import Moment
from engine.sim.serving import environment, free_ports
from engine.sim.world import ACCOUNT_SID, API_KEY, AUTH_TOKEN, CALLER, STATUS_URL
from engine.store.database import DatabaseConfig, open_database
from engine.store.interface import CallEnd, Store
from engine.store.postgres_store import PostgresStore
from engine.telephony.plane import MediaPlane
from engine.tenants.tenant import Tenant

STARTING_S = 120.0  # prompts are rendered first, where they never were
ENDING_S = 60.0
KEPT_S = 15.0  # longer than a caller who hung up may still come back


@dataclass(slots=True)
class Fleet:
    """A running service, seen from outside.

    Attributes:
        supervisor: the process that was started.
        logged: every line that it and its workers have logged.
        store: what calls have left, read from the service's own database.
    """

    tenant: Tenant
    model: SimGemini
    account: CarrierAccount
    rest: CarrierRest
    plane: MediaPlane
    http: httpx.AsyncClient
    ops_ports: Sequence[int]
    supervisor: trio.Process
    store: Store | None = None
    logged: list[dict[str, Any]] = field(default_factory=list)

    async def call(
        self, scenario: Sequence[Moment], *, caller: str = CALLER, options: CallOptions | None = None
    ) -> PhoneReport:
        """Place one call and measure it."""
        return await place_call(
            line=self.account,
            caller=caller,
            called=self.tenant.numbers[0],
            scenario=scenario,
            plane=self.plane,
            network=NullNetwork(),
            rest=self.rest,
            http=self.http,
            options=options or CallOptions(status_url=STATUS_URL),
        )

    async def ends(self, call_sid: str) -> list[CallEnd]:
        """What that call has left in the database, as soon as there is anything; one end, if all is well."""
        assert self.store is not None, "within open_fleet"
        ends: list[CallEnd] = []
        with trio.move_on_after(KEPT_S):
            while not ends:
                await trio.sleep(0.1)
                ends = [end for end in await self.store.calls(self.tenant.id) if end.call_sid == call_sid]
        return ends

    async def health(self) -> list[dict[str, Any]]:
        """The page of each worker that answers."""
        found = []
        for port in self.ops_ports:
            try:
                found.append((await self.http.get(f"http://127.0.0.1:{port}/health", timeout=2.0)).json())
            except httpx.HTTPError:
                continue
        return found

    async def calls_of_workers(self) -> Mapping[str, list[str]]:
        """Who serves whom: worker -> call sids."""
        return {page["worker"]: [call["call_sid"] for call in page["calls"]["shown"]] for page in await self.health()}

    def pid(self, worker: str) -> int:
        """Of a worker that was started."""
        return int(next(line["pid"] for line in self.logged if line["event"] == "started" and line["worker"] == worker))

    def ready(self) -> list[str]:
        """Which workers serve, as the supervisor last said; the stand-in is none."""
        said = [line["ready"] for line in self.logged if line["event"] == "workers"]
        return [name for name in said[-1] if name.startswith("worker-")] if said else []

    async def wait_ready(self, count: int, *, but: Sequence[str] = ()) -> None:
        """Wait until so many serve, and none of those."""
        with trio.fail_after(STARTING_S):
            while len(ready := self.ready()) < count or set(ready) & set(but):
                if self.supervisor.returncode is not None:
                    raise RuntimeError(f"the service has ended: {self.logged[-3:]}")
                await trio.sleep(0.02)

    async def wait_settled(self, count: int) -> None:
        """Wait until so many serve, nobody else lives, and nobody is on the line any more."""
        await self.wait_ready(count)
        with trio.fail_after(STARTING_S):
            while any((await self.calls_of_workers()).values()) or self._others():  # noqa: ASYNC110 - of other processes
                await trio.sleep(0.1)
        await self.wait_ready(count)

    def _others(self) -> list[str]:
        said = [line["others"] for line in self.logged if line["event"] == "workers"]
        return list(said[-1]) if said else []

    def signal(self, number: signal.Signals) -> None:
        """To the supervisor."""
        self.supervisor.send_signal(number)


def comebacks_ms(report: PhoneReport) -> list[float]:
    """For each stream that a call lost and got back: from the carrier's close to the first sound on the next one."""
    found = []
    for (_, closed), (began, ended) in itertools.pairwise(report.stream_spans):
        loud = loud_span(report.right[round(began) * BYTES_PER_MS : round(ended) * BYTES_PER_MS])
        if loud is not None:
            found.append(began - closed + loud[0] / BYTES_PER_MS)
    return found


@asynccontextmanager
async def open_fleet(
    *, data_dir: Path, tenant: Tenant, model: SimGemini, workers: int, **settings: object
) -> AsyncIterator[Fleet]:
    """Start everything; on the way out end the service, and see that nothing of it is left.

    Args:
        data_dir: of the service, with a database of its own.
        settings: more of them, or others.
    """
    port, *ops_ports = free_ports(1 + workers)
    account = CarrierAccount(ACCOUNT_SID, AUTH_TOKEN, f"http://127.0.0.1:{port}")
    rest, plane, ear = CarrierRest.of(account), MediaPlane(), SimGemini(ear=model.ear, brain=model.manner.brain)
    # As the proxy in deploy/README.md: a request on a connection kept alive to a worker that has just died is lost.
    no_rest = httpx.Limits(max_keepalive_connections=0)
    async with trio.open_nursery() as peers, httpx.AsyncClient(trust_env=False, limits=no_rest) as http:
        told = {
            "bind": f"127.0.0.1:{port}",
            "ops_bind": f"127.0.0.1:{ops_ports[0]}",
            "public_url": f"http://127.0.0.1:{port}",
            "data_dir": data_dir,
            "twilio_account_sid": ACCOUNT_SID,
            "twilio_auth_token": AUTH_TOKEN,
            "twilio_api_url": await peers.start(rest.serve),
            "gemini_api_key": API_KEY,
            "gemini_url": await peers.start(model.serve),
            "gemini_transcribe_url": await peers.start(ear.serve),
            "embeddings": "offline",
            "local_model": "false",
            **settings,
        }
        await peers.start(plane.run)
        document = trio.Path(data_dir) / "tenant.json"
        await document.write_text(tenant.model_dump_json(by_alias=True))
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "engine", "serve", "--workers", str(workers), "--tenants", str(document)],
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment(told),
        )
        fleet = Fleet(tenant, model, account, rest, plane, http, ops_ports, process)
        peers.start_soon(_read_log, fleet)
        try:
            await fleet.wait_ready(workers)
            async with open_database(DatabaseConfig(None, data_dir, max_connections=2)) as database:
                fleet.store = PostgresStore(database)
                yield fleet
        finally:
            with trio.CancelScope(shield=True):
                await _end(fleet)
        peers.cancel_scope.cancel()


async def _read_log(fleet: Fleet) -> None:
    assert fleet.supervisor.stderr is not None
    rest = b""
    async for data in fleet.supervisor.stderr:
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            try:
                fleet.logged.append(json.loads(line))
            except ValueError:  # a traceback: to be read by a person
                fleet.logged.append({"event": "raw", "line": line.decode("utf-8", "replace")})


async def _end(fleet: Fleet) -> None:
    """Politely, at once (nobody is on the line any more), or not politely."""
    for _ in range(2):
        fleet.signal(signal.SIGTERM)
        await trio.sleep(0.1)
    with trio.move_on_after(ENDING_S):
        await fleet.supervisor.wait()
        return
    fleet.supervisor.kill()
    await fleet.supervisor.wait()
