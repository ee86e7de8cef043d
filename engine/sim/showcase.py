"""The demo's call: a story (``stories``) told on the real gateway over real sockets, and what came of it.

Knowledge and ledger are in embedded PostgreSQL, the calendar that appointments are booked in is somebody else's.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import trio
from numpy.typing import NDArray

from engine.audio import g711
from engine.audio.resample import Resampler
from engine.call.record import Moment as CallMoment
from engine.fallback.prompts import Prompts
from engine.metrics import Metrics
from engine.server.keeping import keep_in_postgres
from engine.sim.brain import GroundedBrain, ToolWish
from engine.sim.ear import PhraseEar
from engine.sim.figures import Effects, figures
from engine.sim.gemini import SimGemini
from engine.sim.moods import Cut, DoubleToolCall, Refuse, Rule
from engine.sim.recognise import find_clip
from engine.sim.report import PhoneReport
from engine.sim.scenario import Listen, Moment, Say, StayOn
from engine.sim.stories import TO_SIMULATED, Story
from engine.sim.tool_endpoint import ToolEndpoint
from engine.sim.tool_requests import ToolRequest, Verifier
from engine.sim.world import CALLER, World, open_world
from engine.speech.interface import Speech
from engine.store.interface import CallEnd
from engine.tenants.tenant import Tenant
from engine.tenants.tenant import ToolEndpoint as Endpoint
from engine.tools.http_signing import ToolSecrets
from engine.voice.cache import VoiceCache

BOOKING = ToolWish(
    "book_appointment",
    {"name": "Robin Lee", "day": "monday", "time": "10:00", "reason": "cleaning", "phone": CALLER},
)
CUT_TURN = 3  # the greeting is the model's first turn
CUT_AFTER_MS = 1600
KEPT_S = 10.0
BOOKING_S = 1.0  # longer than a caller bears in silence: a filler line is heard
QUIET_MS = 700.0
SCRIPT_QUIET_MS = 1500.0  # a script speaks in several lines
GOODBYE_S = 8.0  # within which the agent says goodbye too, and ends the call
SECRET_KEY = "of the demo, known to everybody"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Shown:
    """What came of it.

    Attributes:
        report: the fixed keys.
        calendar: what somebody else's calendar was asked for.
    """

    story: Story
    report: dict[str, Any]
    phone: PhoneReport
    ends: tuple[CallEnd, ...]
    metrics: Metrics
    model: SimGemini
    calendar: ToolEndpoint

    @property
    def end(self) -> CallEnd | None:
        """What the call left behind."""
        return self.ends[0] if self.ends else None

    def moments(self, kind: str) -> list[dict[str, Any]]:
        """Of the call's timeline."""
        timelines = [end.document["timeline"] for end in self.ends]
        return [moment for timeline in timelines for moment in timeline if moment["kind"] == kind]


class CachedVoice:
    """The model's voice: rendered lines from the cache, brought up to the 24 kHz that the service sends."""

    def __init__(self, cache: VoiceCache) -> None:
        self._cache = cache

    async def __call__(self, text: str) -> NDArray[np.int16]:
        """16 bit at 24 kHz."""
        mulaw = await trio.to_thread.run_sync(self._cache.mulaw, text)
        return Resampler(8000, 24000).process(g711.decode(mulaw))


async def run_showcase(
    story: Story,
    *,
    cache: VoiceCache,
    data_dir: Path,
    speech: Speech | None,
    seed: int,
    observe: Callable[[str, CallMoment], None],
) -> Shown:
    """Place the call, in real time, and measure it.

    Args:
        cache: of the voice of caller and simulated model.
        data_dir: of the gateway.
        speech: of the local voice; None: there is none.
    """
    tenant = story.tenant
    model = _simulated(story, CachedVoice(cache), seed=seed)
    calendar = ToolEndpoint(Verifier({tenant.id: _signing_text(tenant)}), answer=_book, works_s=BOOKING_S)
    tasks_before = trio.lowlevel.current_statistics().tasks_living
    sockets_before = _open_sockets()
    async with trio.open_nursery() as outside:
        url = await outside.start(calendar.serve)
        async with open_world(
            data_dir=data_dir,
            keep=keep_in_postgres,
            tenants=[_booking_at(tenant, url) if story.is_simulated else tenant],
            model=model,
            speech=speech,
            observe=observe,
            secret_key=SECRET_KEY,
            tools_allow_private=True,
            **story.settings,
        ) as world:
            began_at = trio.current_time()
            phone = await world.call(_scenario(story))
            prompts = world.composed.services.prompts.for_tenant(tenant)
            ends = await _ends(world, phone.call_sid)
            metrics = world.composed.gateway.metrics
        outside.cancel_scope.cancel()
    shown = Shown(story, {}, phone, ends, metrics, model, calendar)
    handover = _handover_ms(model, phone, prompts, began_at)
    shown.report.update(
        figures(
            [phone],
            seed=seed,
            metrics=metrics,
            effects=_effects(calendar) if story.is_simulated else None,
            handover_ms=[] if handover is None else [handover],
            held_ms=[moment["facts"]["held_ms"] for moment in shown.moments("retrieved")],
            tasks_left=trio.lowlevel.current_statistics().tasks_living - tasks_before,
            sockets_left=_open_sockets() - sockets_before,
        )
    )
    return shown


def _scenario(story: Story) -> list[Moment]:
    """Listen, ask, listen ... and wait for the agent to end the call after the last, or hang up."""
    moments: list[Moment] = [Listen(quiet_ms=QUIET_MS)]
    for clip in story.asks:
        patience = SCRIPT_QUIET_MS if clip.text == story.cut_in else QUIET_MS
        moments += [Say(clip), Listen(quiet_ms=patience)]
    if "goodbye" in story.asks[-1].text.lower():
        moments[-1] = StayOn(GOODBYE_S)
    return moments


def _simulated(story: Story, voice: CachedVoice, *, seed: int) -> SimGemini:
    """A model that books twice when asked to book, is cut off in one answer, and is not to be had again."""
    known = {clip.text: g711.decode(clip.mulaw) for clip in story.asks if clip.text in TO_SIMULATED}
    return SimGemini(
        ear=PhraseEar(known),
        brain=GroundedBrain(wishes={"book me a cleaning": BOOKING}),
        voice=voice,
        seed=seed,
        rules=[
            Rule(DoubleToolCall("new_id")),
            Rule(Cut(code=1011, after_ms=CUT_AFTER_MS), turn=CUT_TURN),
            *(Rule(Refuse("close"), connection=again) for again in range(2, 10)),
        ],
    )


def _signing_text(tenant: Tenant) -> str:
    text = ToolSecrets(secret_key=SECRET_KEY).signing_text(tenant.id)
    assert text is not None, "a process with a secret key signs for every tenant"
    return text


def _booking_at(tenant: Tenant, url: str) -> Tenant:
    """The tenant, whose appointments are booked by somebody else's calendar."""
    endpoint = Endpoint(url=f"{url}/book", idempotent=True)
    tools = tuple(
        tool.model_copy(update={"endpoint": endpoint}) if tool.name == BOOKING.name else tool for tool in tenant.tools
    )
    return tenant.model_copy(update={"tools": tools})


def _book(request: ToolRequest) -> Mapping[str, Any]:
    wanted = request.arguments
    return {"status": "ok", "message": f"Booked for {wanted['name']}, {wanted['day'].title()} at {wanted['time']}."}


def _effects(calendar: ToolEndpoint) -> Effects:
    done = sum(calendar.effects.values())
    return Effects(expected=1, done=done, duplicated=max(0, done - 1), lost=max(0, 1 - done))


async def _ends(world: World, call_sid: str) -> tuple[CallEnd, ...]:
    """What the call left behind, as soon as it has been kept."""
    store, tenant = world.composed.store, world.composed.tenants[0]
    with trio.move_on_after(KEPT_S):
        while True:
            ends = tuple(end for end in await store.calls(tenant.id) if end.call_sid == call_sid)
            if ends:
                return ends
            await trio.sleep(0.1)
    return ()


def _handover_ms(model: SimGemini, phone: PhoneReport, prompts: Prompts, began_at: float) -> float | None:
    """From the cut at the model to the first sound of the apology at the caller's playback head."""
    cut_at = next((moment.at for moment in model.moments if moment.what == "cut"), None)
    if cut_at is None:
        return None
    cut_ms = 1000 * (cut_at - began_at)
    apology_ms = find_clip(phone.right, prompts.apology, after_ms=cut_ms)
    return None if apology_ms is None else apology_ms - cut_ms


def _open_sockets() -> int:
    links = (Path("/proc/self/fd").iterdir()) if Path("/proc/self/fd").exists() else ()
    return sum(1 for link in links if _is_socket(link))


def _is_socket(link: Path) -> bool:
    try:
        return link.readlink().name.startswith("socket:")
    except OSError:
        return False
