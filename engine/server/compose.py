"""The composition root: settings and tenants in, a gateway with everything it needs out.

    models ................. and what of them runs on this machine: calls need it to the last
    └─ http client ......... for the carrier's REST
       └─ wrap-up .......... keeps ends of calls, and how live ones stand; ends when nothing is left to keep
          └─ switchboard ... waits for the recovery of broken calls
             └─ the gateway is served by the caller of ``open_gateway``

Live clients are made here, in this order, and nowhere else; nothing is made when a module is imported.
"""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import trio

from engine.audio.vad import WebRtcVad
from engine.call.admission import Admissions, Bars
from engine.call.circuits import Circuits
from engine.call.record import Moment
from engine.call.services import Services
from engine.call.switchboard import Switchboard
from engine.call.wrap_up import ENDS_QUEUED, run_wrap_up
from engine.config import Settings
from engine.fallback.prompts import PromptLibrary
from engine.log import get_logger
from engine.metrics import Metrics
from engine.model import setup as model_setup
from engine.server.call_recordings import NO_KEY, cannot_record, open_recordings
from engine.server.keeping import Keeping
from engine.server.loop_lag import LoopLag
from engine.server.models import open_models
from engine.server.month_usage import run_month_usage
from engine.server.ports import Gateway
from engine.server.readiness import load_of
from engine.server.recordings import keep_recording
from engine.server.telemetry import open_telemetry, worker_state
from engine.server.tenant_refresh import LiveDirectory, run_tenant_refresh
from engine.speech.interface import Speech
from engine.store.interface import CallEnd, Store
from engine.store.usage import Usage
from engine.telephony.plane import MediaPlane
from engine.telephony.rest import Carrier, TwilioRest
from engine.tenants.tenant import Tenant
from engine.tools.catalog import standard_catalog
from engine.tools.http_signing import ToolSecrets
from engine.tools.http_tool import HttpTools, open_http_tools
from engine.voice.cache import VoiceCache
from engine.wire.stream_token import StreamTokens

REST_CONNECTIONS = 20

log = get_logger("server.compose")


@dataclass(frozen=True, slots=True)
class Composed:
    """A gateway that can be served, and what tests and the demo look at from outside."""

    gateway: Gateway
    switchboard: Switchboard
    services: Services
    store: Store
    usage: Usage
    tenants: tuple[Tenant, ...]


def voice_cache(settings: Settings) -> VoiceCache:
    """Where this data directory keeps rendered lines."""
    return VoiceCache(settings.data_dir / "voice")


@asynccontextmanager
async def open_gateway(
    settings: Settings,
    keeping: Keeping,
    *,
    observe: Callable[[str, Moment], None] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    speech: Speech | None = None,
) -> AsyncIterator[Composed]:
    """Make everything a gateway needs; on the way out, keep what calls have left behind.

    Slow the first time for a tenant, whose prompts are rendered before any call can come, and the first time on a
    machine, where the local model's weights are prepared.

    Args:
        speech: see ``open_models``.

    Raises:
        ConfigurationError: settings or tenants cannot be used.
    """
    metrics = Metrics()
    metrics.watch_store(keeping.counts)
    tenants, store = keeping.tenants, keeping.store
    directory = LiveDirectory(tenants)
    library = PromptLibrary(voice_cache(settings))
    for tenant in tenants:
        await trio.to_thread.run_sync(library.prepare, tenant)
    await trio.to_thread.run_sync(model_setup.prepare)
    if refused := cannot_record(settings, tenants):
        log.error(NO_KEY, tenants=refused)
    if not tenants:
        log.warning("no tenant is known, so no number is in service: import one with frontdesk tenant import")
    async with (
        open_models(settings, tenants, metrics, speech=speech) as models,
        _http() as http,
        _tools(settings) as http_tools,
        open_telemetry(settings, metrics) as tell_end,
        open_recordings(settings, metrics, shelf.database if (shelf := keeping.shelf) else None, now) as recordings,
        trio.open_nursery() as keepers,
    ):
        circuits = Circuits(metrics, models.providers)
        catalog = standard_catalog(http_tools)
        for tenant in tenants:
            catalog.for_tenant(tenant)  # a tool that cannot be done is refused here, not in somebody's call
        ends_send, ends = trio.open_memory_channel[CallEnd](ENDS_QUEUED)
        services = Services(
            providers=models.providers,
            circuits=circuits,
            search=keeping.search,
            catalog=catalog,
            ledger=keeping.ledger,
            follow_ups=keeping.follow_ups,
            diary=keeping.diary,
            wall_clock=now,
            prompts=library,
            carrier=_carrier(settings, http),
            dial_done_url=f"{settings.public_url}/twilio/dial-done",
            new_vad=WebRtcVad,
            metrics=metrics,
            observe=observe,
            listener=models.listener,
            recordings=recordings,
        )
        plane = MediaPlane(on_crash=metrics.crashes.labels("media_plane").inc)
        loop_lag = LoopLag()
        admissions = Admissions(max_calls=settings.max_calls, bars=Bars(max_memory_mib=settings.max_memory_mib))
        switchboard = Switchboard(
            services=services,
            ends=ends_send,
            max_calls=settings.max_calls,
            wall_clock=lambda: now().isoformat(),
            live_calls=keeping.live_calls,
            worker=settings.worker_id,
            admissions=admissions,
            load=lambda: load_of(plane.statistics(), loop_lag.statistics()),
        )
        metrics.watch_worker(lambda: worker_state(keeping, switchboard.statistics, plane, loop_lag))
        gateway = Gateway(
            settings=settings,
            directory=directory,
            switchboard=switchboard,
            plane=plane,
            loop_lag=loop_lag,
            oversight=services.oversight,
            tokens=StreamTokens(_secret(settings), clock=lambda: now().timestamp()),
            metrics=metrics,
            parts=lambda: {**keeping.parts(), **circuits.parts(trio.current_time()), **models.parts()},
            keep_recording=lambda recording: keepers.start_soon(keep_recording, keeping.follow_ups, recording, now()),
        )
        keepers.start_soon(_keep_ends, ends, keeping, switchboard, tell_end, metrics.crashes.labels("wrap_up").inc)
        async with ends_send, trio.open_nursery() as nursery:
            await nursery.start(switchboard.run)
            await nursery.start(loop_lag.run)
            if keeping.statements is not None:
                used, crashed = keeping.statements.used, metrics.crashes.labels("month_usage").inc
                nursery.start_soon(run_month_usage, directory.tenants, used, admissions, now, crashed)
            if (shelf := keeping.shelf) is not None:
                nursery.start_soon(
                    lambda: run_tenant_refresh(
                        watch=shelf.watch, load=shelf.tenants, directory=directory, library=library, catalog=catalog
                    )
                )
            yield Composed(gateway, switchboard, services, store, keeping.usage, tenants)
            nursery.cancel_scope.cancel()


async def _keep_ends(
    ends: trio.MemoryReceiveChannel[CallEnd],
    keeping: Keeping,
    switchboard: Switchboard,
    tell_end: Callable[[CallEnd], None],
    crashed: Callable[[], None],
) -> None:
    """Keep the ends of calls, and beside that how those stand that have not ended; both to the last."""

    def kept(end: CallEnd) -> None:
        switchboard.end_is_kept(end.call_sid)
        tell_end(end)

    async with trio.open_nursery() as behind:
        await behind.start(switchboard.write_behind)
        await run_wrap_up(
            ends=ends,
            store=keeping.store,
            usage=keeping.usage,
            kept=kept,
            crashed=crashed,
        )
        await switchboard.flush()
        behind.cancel_scope.cancel()


def _tools(settings: Settings) -> AbstractAsyncContextManager[HttpTools]:
    key = settings.secret_key.get_secret_value() if settings.secret_key else None
    secrets_kept = ToolSecrets(settings.tool_secrets, secret_key=key)
    return open_http_tools(secrets_kept, allow_private=settings.tools_allow_private)


def _http() -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=REST_CONNECTIONS)
    return httpx.AsyncClient(limits=limits, timeout=httpx.Timeout(5.0), trust_env=False)


def _carrier(settings: Settings, http: httpx.AsyncClient) -> Carrier | None:
    sid, token = settings.twilio_account_sid, settings.twilio_auth_token
    if sid is None or token is None:
        return None
    return TwilioRest(http, api_url=str(settings.twilio_api_url), account_sid=sid, auth_token=token.get_secret_value())


def _secret(settings: Settings) -> str:
    # Stream tokens live 30 s, and of one process alone they reach no other. Several workers are told a common secret.
    return settings.secret_key.get_secret_value() if settings.secret_key else secrets.token_hex(32)
