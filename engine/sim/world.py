"""The engine, its callers and its model in one process, over real sockets on the loopback interface.

    sim.caller ══ HTTP, Media Streams ══ gateway ══ Gemini Live ══════ sim.gemini
    carrier REST stub ◄── REST ──────────┘     ├═══ OpenAI Realtime ══ sim.openai
                                               └═══ ElevenLabs ═══════ sim.elevenlabs

Demo and tests build their worlds here. Under trio's autojump clock a world runs as fast as the machine can.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import trio

from engine.call.record import Moment as CallMoment
from engine.config import Settings
from engine.server.app import Serving, listen, serve_gateway
from engine.server.compose import Composed, open_gateway
from engine.server.keeping import Keeping, keep_in_memory
from engine.sim.caller import CallOptions, place_call
from engine.sim.carrier_rest import CarrierRest
from engine.sim.carrier_web import CarrierAccount
from engine.sim.elevenlabs import SimElevenLabs
from engine.sim.gemini import SimGemini
from engine.sim.network import NullNetwork, Route
from engine.sim.openai import SimOpenAI
from engine.sim.report import PhoneReport
from engine.sim.scenario import Moment
from engine.speech.interface import Speech
from engine.telephony.plane import MediaPlane
from engine.tenants.tenant import Tenant

ACCOUNT_SID = "AC" + "0" * 31 + "1"
AUTH_TOKEN = "a simulated account's token"  # noqa: S105  of the simulated carrier, known to nobody else
API_KEY = "a-simulated-key"
CALLER = "+15550100555"
STATUS_URL = "/twilio/status"

Keep: TypeAlias = Callable[[Settings, Sequence[Tenant]], AbstractAsyncContextManager[Keeping]]


@dataclass(frozen=True, slots=True)
class World:
    """A running world.

    Attributes:
        model: the speaking one of Gemini's.
        openai: the speaking one of OpenAI's, if there is one.
        elevenlabs: the voice beside that, if there is one.
        ear: the transcribe model that the listener uses.
        plane: drives the phones; the gateway has one of its own.
    """

    settings: Settings
    composed: Composed
    serving: Serving
    model: SimGemini
    openai: SimOpenAI | None
    elevenlabs: SimElevenLabs | None
    ear: SimGemini
    rest: CarrierRest
    account: CarrierAccount
    plane: MediaPlane
    http: httpx.AsyncClient
    shutdown: trio.Event

    async def call(
        self,
        scenario: Sequence[Moment],
        *,
        called: str | None = None,
        caller: str = CALLER,
        network: Route | None = None,
        options: CallOptions | None = None,
    ) -> PhoneReport:
        """Place one call to the first tenant's first number (or to ``called``) and measure it."""
        first = self.composed.tenants[0].numbers[0]
        return await place_call(
            line=self.account,
            caller=caller,
            called=called or first,
            scenario=scenario,
            plane=self.plane,
            network=network or NullNetwork(),
            rest=self.rest,
            http=self.http,
            options=options or CallOptions(status_url=STATUS_URL),
        )


@asynccontextmanager
async def open_world(
    *,
    data_dir: Path,
    tenants: Sequence[Tenant],
    model: SimGemini,
    openai: SimOpenAI | None = None,
    elevenlabs: SimElevenLabs | None = None,
    speech: Speech | None = None,
    keep: Keep | None = None,
    observe: Callable[[str, CallMoment], None] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    **settings: Any,
) -> AsyncIterator[World]:
    """Start everything; on the way out end it, calls included, and let what they left be kept.

    Args:
        data_dir: of the gateway; rendered speech is found there again.
        openai: without it no such model is configured.
        elevenlabs: without it no voice beside that.
        speech: of the local model; without it there is none, unless ``local_model`` is set.
        keep: where the gateway keeps things; in memory by default, calls in ``data_dir/calls``.
        now: the gateway's wall clock.
        settings: more of them, or others.
    """
    listener = listen("127.0.0.1:0")
    public_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    account = CarrierAccount(ACCOUNT_SID, AUTH_TOKEN, public_url)
    rest = CarrierRest.of(account)
    # No connection is kept alive: what is open after a call is the call's, or a leak.
    no_rest = httpx.Limits(max_keepalive_connections=0)
    # Nor is a certificate looked at: carrier and gateway speak plain HTTP here, and loading the roots costs tens of ms.
    client = httpx.AsyncClient(trust_env=False, limits=no_rest, verify=False)  # noqa: S501
    async with trio.open_nursery() as peers, client as http:
        model_url = await peers.start(model.serve)
        # The transcribe model is a server of its own, so that moods and sessions of the speaking one stay countable.
        ear = SimGemini(ear=model.ear, brain=model.manner.brain)
        ear_url = await peers.start(ear.serve)
        keys: dict[str, Any] = {"gemini_api_key": API_KEY, "gemini_url": model_url, "gemini_transcribe_url": ear_url}
        if openai is not None:
            keys |= {"openai_api_key": API_KEY, "openai_url": await peers.start(openai.serve)}
        if elevenlabs is not None:
            keys |= {"elevenlabs_api_key": API_KEY, "elevenlabs_url": await peers.start(elevenlabs.serve)}
        rest_url = await peers.start(rest.serve)
        plane = MediaPlane()
        await peers.start(plane.run)
        told = Settings(
            **{
                "public_url": public_url,
                "data_dir": data_dir,
                "twilio_account_sid": ACCOUNT_SID,
                "twilio_auth_token": AUTH_TOKEN,
                "twilio_api_url": rest_url,
                **keys,
                "embeddings": "offline",
                "local_model": False,
                **settings,
            }
        )
        shutdown = trio.Event()
        async with (
            (keep or _in_memory)(told, tenants) as keeping,
            open_gateway(told, keeping, observe=observe, now=now, speech=speech) as composed,
            trio.open_nursery() as serving,
        ):

            async def serve(task_status: trio.TaskStatus[Serving]) -> None:
                await serve_gateway(composed.gateway, shutdown=shutdown, listener=listener, task_status=task_status)

            where: Serving = await serving.start(serve)
            yield World(told, composed, where, model, openai, elevenlabs, ear, rest, account, plane, http, shutdown)
            serving.cancel_scope.cancel()
        peers.cancel_scope.cancel()


def _in_memory(settings: Settings, tenants: Sequence[Tenant]) -> AbstractAsyncContextManager[Keeping]:
    return keep_in_memory(tenants, settings.data_dir / "calls")
