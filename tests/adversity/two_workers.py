"""Two gateways over one store in one process, behind one address: a worker that dies, and one that takes its calls.

A switch passes connections on to whichever worker the test points it at. A worker is *killed* as the kernel does it:
its connections are reset, nothing that it still tries to write arrives anywhere, and then its tasks are cancelled.
"""

import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
import trio

from engine.audio import g711
from engine.call.record import Moment as CallMoment
from engine.config import Settings
from engine.errors import StoreUnavailable
from engine.metrics import Metrics
from engine.retrieval.lexical import MemorySearch
from engine.server.app import Serving, listen, serve_gateway
from engine.server.compose import Composed, open_gateway
from engine.server.keeping import Keeping
from engine.sim.brain import GroundedBrain
from engine.sim.caller import CallOptions, place_call
from engine.sim.carrier_rest import CarrierRest
from engine.sim.carrier_web import CarrierAccount
from engine.sim.ear import PhraseEar
from engine.sim.gemini import SimGemini
from engine.sim.moods import Rule
from engine.sim.network import NullNetwork
from engine.sim.report import PhoneReport
from engine.sim.scenario import Clip, Moment
from engine.sim.world import ACCOUNT_SID, API_KEY, AUTH_TOKEN, CALLER, STATUS_URL
from engine.store.diary import MemoryDiary
from engine.store.interface import CallEnd
from engine.store.live_calls import MemoryLiveCalls
from engine.store.memory import MemoryStore
from engine.store.memory_ledger import MemoryLedger
from engine.telephony.plane import MediaPlane
from engine.voice.cache import VoiceCache
from tests.calls import BOOK, PHRASES, TENANT, InlineVoice, cache_dir

SECRET = "shared by all workers of the test"


class Mortal:
    """A store as one worker reaches it: not at all from the worker's death on, neither out nor back."""

    def __init__(self, inner: Any) -> None:
        self._inner, self.is_dead = inner, False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        async def call(*args: Any, **kwargs: Any) -> Any:
            if self.is_dead:
                raise StoreUnavailable("this worker is dead")
            answer = await found(*args, **kwargs)
            if self.is_dead:
                raise StoreUnavailable("this worker is dead")
            return answer

        return call


@dataclass
class Shared:
    """What all workers keep in common."""

    store: MemoryStore = field(default_factory=MemoryStore)
    diary: MemoryDiary = field(default_factory=MemoryDiary)
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    live: MemoryLiveCalls = field(default_factory=lambda: MemoryLiveCalls(shared=True))


@dataclass
class Worker:
    """One gateway."""

    name: str
    composed: Composed
    address: tuple[str, int]
    scope: trio.CancelScope
    mortals: list[Mortal]
    live: Mortal
    shutdown: trio.Event
    ended: trio.Event
    sockets: list[trio.SocketStream] = field(default_factory=list)

    def kill(self) -> None:
        """``kill -9``."""
        for mortal in self.mortals:
            mortal.is_dead = True
        for stream in self.sockets:
            with suppress(OSError):
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            stream.socket.close()
        self.sockets.clear()
        self.scope.cancel()

    @property
    def board(self) -> Any:
        return self.composed.switchboard

    def counted(self) -> float:
        """Ends that this worker has counted."""
        return Metrics.total(self.composed.services.metrics.calls)

    def crashes(self) -> float:
        return Metrics.total(self.composed.services.metrics.crashes)


@dataclass
class Pair:
    """The world: workers by name, and who is answered by which."""

    said: dict[str, Clip]
    shared: Shared
    model: SimGemini
    account: CarrierAccount
    rest: CarrierRest
    plane: MediaPlane
    http: httpx.AsyncClient
    start: Callable[[str], Awaitable[Worker]]
    timeline: list[CallMoment]
    workers: dict[str, Worker] = field(default_factory=dict)
    route: Callable[[bytes], str] = lambda _: "a"

    async def call(self, scenario: list[Moment], **options: Any) -> PhoneReport:
        return await place_call(
            line=self.account,
            caller=CALLER,
            called=TENANT.numbers[0],
            scenario=scenario,
            plane=self.plane,
            network=NullNetwork(),
            rest=self.rest,
            http=self.http,
            options=CallOptions(**({"status_url": STATUS_URL} | options)),
        )

    def send_all_to(self, name: str) -> None:
        """From now on every new connection reaches this worker."""
        self.route = lambda _: name

    async def wait_moment(self, kind: str, times: int = 1) -> CallMoment:
        """Wait for the timeline's entry of this kind."""
        while len(found := [one for one in self.timeline if one.kind == kind]) < times:
            await trio.sleep(0.02)
        return found[times - 1]

    async def ends(self) -> list[CallEnd]:
        return await self.shared.store.calls(TENANT.id)


@asynccontextmanager
async def two_workers(cache: VoiceCache, *rules: Rule, brain: GroundedBrain | None = None) -> AsyncIterator[Pair]:
    """Workers ``a`` and ``b``; all connections reach ``a``."""
    said = {text: Clip(text, cache.mulaw(text, pitch=0.86)) for text in PHRASES}
    heard = {text: g711.decode(clip.mulaw) for text, clip in said.items()}
    brain = brain or GroundedBrain(wishes={"book me a cleaning": BOOK}, answers={"goodbye": "Goodbye, then!"})
    model = SimGemini(ear=PhraseEar(heard), brain=brain, voice=InlineVoice(cache), pace=3.0, think_ms=250, rules=rules)
    public = listen("127.0.0.1:0")
    public_url = f"http://127.0.0.1:{public.getsockname()[1]}"
    account = CarrierAccount(ACCOUNT_SID, AUTH_TOKEN, public_url)
    rest = CarrierRest.of(account)
    shared, timeline = Shared(), list[CallMoment]()
    # As with a carrier: what is asked next may reach another worker.
    no_rest = httpx.Limits(max_keepalive_connections=0)
    async with trio.open_nursery() as peers, httpx.AsyncClient(trust_env=False, limits=no_rest) as http:
        ear = SimGemini(ear=model.ear, brain=brain)
        settings = Settings(
            **cast(
                "dict[str, Any]",
                {
                    "public_url": public_url,
                    "data_dir": cache_dir(cache),
                    "twilio_account_sid": ACCOUNT_SID,
                    "twilio_auth_token": AUTH_TOKEN,
                    "twilio_api_url": await peers.start(rest.serve),
                    "gemini_api_key": API_KEY,
                    "gemini_url": await peers.start(model.serve),
                    "gemini_transcribe_url": await peers.start(ear.serve),
                    "embeddings": "offline",
                    "local_model": False,
                    "secret_key": SECRET,
                },
            )
        )
        plane = MediaPlane()
        await peers.start(plane.run)

        async def start(name: str) -> Worker:
            worker: Worker = await peers.start(_run_worker, name, settings, shared, timeline.append)
            pair.workers[name] = worker
            return worker

        pair = Pair(said, shared, model, account, rest, plane, http, start, timeline)
        for name in ("a", "b"):
            await start(name)
        peers.start_soon(_switch, public, pair)
        yield pair
        for worker in pair.workers.values():
            worker.shutdown.set()
            worker.scope.cancel()
        peers.cancel_scope.cancel()


async def _run_worker(
    name: str,
    settings: Settings,
    shared: Shared,
    observe: Callable[[CallMoment], None],
    *,
    task_status: trio.TaskStatus[Worker],
) -> None:
    store, diary, ledger, live = (Mortal(one) for one in (shared.store, shared.diary, shared.ledger, shared.live))
    mortals = [store, diary, ledger, live]
    keeping = Keeping(
        *cast("tuple[Any, Any, Any, Any, Any]", (store, store, store, diary, ledger)),
        search=MemorySearch([TENANT]),
        tenants=(TENANT,),
        live_calls=cast("Any", live),
    )
    listener = listen("127.0.0.1:0")
    address, shutdown, ended = listener.getsockname(), trio.Event(), trio.Event()

    def seen(_: str, moment: CallMoment) -> None:
        if not live.is_dead:
            observe(moment)

    told = settings.model_copy(update={"worker_id": name})
    with trio.CancelScope() as scope:
        async with open_gateway(told, keeping, observe=seen) as composed, trio.open_nursery() as serving:

            async def serve(task_status: trio.TaskStatus[Serving]) -> None:
                await serve_gateway(composed.gateway, shutdown=shutdown, listener=listener, task_status=task_status)

            await serving.start(serve)
            task_status.started(Worker(name, composed, address, scope, mortals, live, shutdown, ended))
            await shutdown.wait()
    ended.set()


async def _switch(public: socket.socket, pair: Pair) -> None:
    """Pass each connection on, for as long as both its ends live."""
    with public:
        public.listen(64)
        async with trio.open_nursery() as connections:
            listener = trio.SocketListener(trio.socket.from_stdlib_socket(public))
            while True:
                connections.start_soon(_pass_on, await listener.accept(), pair)


async def _pass_on(outside: trio.SocketStream, pair: Pair) -> None:
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError, OSError):
        async with outside:
            head = bytes(await outside.receive_some(65536))
            worker = pair.workers[pair.route(head)]
            if worker.live.is_dead:
                return
            inside = await trio.open_tcp_stream(*worker.address)
            worker.sockets.append(outside)
            async with inside, trio.open_nursery() as ways:
                await inside.send_all(head)
                ways.start_soon(_pump, outside, inside, ways.cancel_scope)
                ways.start_soon(_pump, inside, outside, ways.cancel_scope)
            if outside in worker.sockets:
                worker.sockets.remove(outside)


async def _pump(source: trio.SocketStream, sink: trio.SocketStream, both: trio.CancelScope) -> None:
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError, OSError):
        async for data in source:
            await sink.send_all(data)
    both.cancel()
