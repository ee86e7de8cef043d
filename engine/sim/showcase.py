"""The demo's call: what the caller asks, how the model behaves, and whether all of it came true.

One call to the example dental practice: two questions that its knowledge answers, the model cut off in the middle of
the second answer, the script on the line, the model back, an appointment that it books twice and that is booked once
(by a calendar of somebody else's, over HTTP), goodbye. Knowledge and ledger are in embedded PostgreSQL.
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
from engine.sim.moods import Cut, DoubleToolCall, Rule
from engine.sim.recognise import find_clip
from engine.sim.report import PhoneReport
from engine.sim.scenario import Clip, Listen, Moment, Say
from engine.sim.tool_endpoint import ToolEndpoint
from engine.sim.tool_requests import ToolRequest, Verifier
from engine.sim.world import CALLER, World, open_world
from engine.store.interface import CallEnd
from engine.tenants.tenant import Tenant
from engine.tenants.tenant import ToolEndpoint as Endpoint
from engine.tools.http_signing import ToolSecrets
from engine.voice.cache import VoiceCache

CALLER_PITCH = 0.86  # so that caller and agent are told apart by ear
ASKS = (
    "Hi there, is there somewhere I can park?",
    "And what does teeth whitening cost?",
    "Could you book me a cleaning, next Monday at ten?",
    "Perfect, thank you very much and goodbye!",
)
BOOKING = ToolWish(
    "book_appointment",
    {"name": "Robin Lee", "day": "monday", "time": "10:00", "reason": "cleaning", "phone": CALLER},
)
CUT_TURN = 3  # the greeting is the model's first turn
CUT_AFTER_MS = 1600
HANDOVER_BAR_MS = 500.0
SILENCE_BAR_MS = 2000.0
KEPT_S = 10.0
BOOKING_S = 1.0  # longer than a caller bears in silence: a filler line is heard
SECRET_KEY = "of the demo, known to everybody"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Shown:
    """What came of the demo.

    Attributes:
        report: the fixed keys.
        failures: what the call should have done and did not; empty where it did all.
    """

    report: dict[str, Any]
    failures: tuple[str, ...]
    phone: PhoneReport
    end: CallEnd | None


class CachedVoice:
    """The model's voice: rendered lines from the cache, brought up to the 24 kHz that the service sends."""

    def __init__(self, cache: VoiceCache) -> None:
        self._cache = cache

    async def __call__(self, text: str) -> NDArray[np.int16]:
        """16 bit at 24 kHz."""
        mulaw = await trio.to_thread.run_sync(self._cache.mulaw, text)
        return Resampler(8000, 24000).process(g711.decode(mulaw))


def clips(cache: VoiceCache) -> Mapping[str, Clip]:
    """What the caller says, as sound; slow where it is new."""
    return {text: Clip(text, cache.mulaw(text, pitch=CALLER_PITCH)) for text in ASKS}


def scenario(said: Mapping[str, Clip]) -> list[Moment]:
    """Listen, ask, listen ... and hang up after the goodbye. Long pauses, since a script speaks in several lines."""
    moments: list[Moment] = [Listen(quiet_ms=600)]
    for text in ASKS:
        patience = 1500 if text == ASKS[CUT_TURN - 2] else 600
        moments += [Say(said[text]), Listen(quiet_ms=patience)]
    return moments


def make_model(said: Mapping[str, Clip], voice: CachedVoice, *, seed: int) -> SimGemini:
    """A model that answers from its notes, books when asked to, and is cut off once."""
    return SimGemini(
        ear=PhraseEar({text: g711.decode(clip.mulaw) for text, clip in said.items()}),
        brain=GroundedBrain(
            wishes={"book me a cleaning": BOOKING}, answers={"goodbye": "You're very welcome. Goodbye!"}
        ),
        voice=voice,
        seed=seed,
        rules=[
            Rule(Cut(code=1011, after_ms=CUT_AFTER_MS), turn=CUT_TURN),
            Rule(DoubleToolCall("new_id")),
        ],
    )


async def run_showcase(
    *, tenant: Tenant, data_dir: Path, seed: int, observe: Callable[[str, CallMoment], None]
) -> Shown:
    """Place the call and judge it. About a minute, in real time."""
    cache = VoiceCache(data_dir / "voice")
    said = await trio.to_thread.run_sync(clips, cache)
    model = make_model(said, CachedVoice(cache), seed=seed)
    calendar = ToolEndpoint(Verifier({tenant.id: _signing_text(tenant)}), answer=_book, works_s=BOOKING_S)
    tasks_before = trio.lowlevel.current_statistics().tasks_living
    sockets_before = _open_sockets()
    async with trio.open_nursery() as outside:
        url = await outside.start(calendar.serve)
        placed = await _place(_booking_at(tenant, url), data_dir, model, said, observe)
        outside.cancel_scope.cancel()
    done = sum(calendar.effects.values())
    report = figures(
        [placed.phone],
        seed=seed,
        metrics=placed.metrics,
        effects=Effects(expected=1, done=done, duplicated=max(0, done - 1), lost=max(0, 1 - done)),
        handover_ms=[] if placed.handover_ms is None else [placed.handover_ms],
        held_ms=[moment["facts"]["held_ms"] for moment in placed.moments("retrieved")],
        tasks_left=trio.lowlevel.current_statistics().tasks_living - tasks_before,
        sockets_left=_open_sockets() - sockets_before,
    )
    failures = tuple(_failures(report, placed, model, calendar))
    return Shown(report, failures, placed.phone, placed.ends[0] if placed.ends else None)


@dataclass(frozen=True, slots=True)
class _Placed:
    phone: PhoneReport
    ends: list[CallEnd]
    metrics: Metrics
    handover_ms: float | None

    def moments(self, kind: str) -> list[dict[str, Any]]:
        timelines = [end.document["timeline"] for end in self.ends]
        return [moment for timeline in timelines for moment in timeline if moment["kind"] == kind]


async def _place(
    tenant: Tenant,
    data_dir: Path,
    model: SimGemini,
    said: Mapping[str, Clip],
    observe: Callable[[str, CallMoment], None],
) -> _Placed:
    async with open_world(
        data_dir=data_dir,
        keep=keep_in_postgres,
        tenants=[tenant],
        model=model,
        observe=observe,
        secret_key=SECRET_KEY,
        tools_allow_private=True,
    ) as world:
        began_at = trio.current_time()
        phone = await world.call(scenario(said))
        prompts = world.composed.services.prompts.for_tenant(tenant)
        ends = await _ends(world, phone.call_sid)
        return _Placed(phone, ends, world.composed.gateway.metrics, _handover_ms(model, phone, prompts, began_at))


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


async def _ends(world: World, call_sid: str) -> list[CallEnd]:
    """What the call left behind, as soon as it has been kept."""
    store, tenant = world.composed.store, world.composed.tenants[0]
    with trio.move_on_after(KEPT_S):
        while True:
            ends = [end for end in await store.calls(tenant.id) if end.call_sid == call_sid]
            if ends:
                return ends
            await trio.sleep(0.1)
    return []


def _handover_ms(model: SimGemini, phone: PhoneReport, prompts: Prompts, began_at: float) -> float | None:
    """From the cut at the model to the first sound of the apology at the caller's playback head."""
    cut_at = next((moment.at for moment in model.moments if moment.what == "cut"), None)
    if cut_at is None:
        return None
    cut_ms = 1000 * (cut_at - began_at)
    apology_ms = find_clip(phone.right, prompts.apology, after_ms=cut_ms)
    return None if apology_ms is None else apology_ms - cut_ms


def _failures(report: Mapping[str, Any], placed: _Placed, model: SimGemini, calendar: ToolEndpoint) -> list[str]:
    phone, ends = placed.phone, placed.ends
    crashes = placed.metrics.total(placed.metrics.crashes)
    handover, silence = report["handover_ms"], report["longest_silence_ms"]
    checks = {
        "the call was not answered": phone.answered,
        "the caller did not hang up by themselves": phone.how_ended == "caller_hung_up",
        f"not every one of the {len(ASKS)} questions got an answer": not phone.unanswered
        and len(phone.responses) == len(ASKS),
        "the model was not cut off": any(moment.what == "cut" for moment in model.moments),
        "the script did not take the line": handover is not None,
        f"the hand-over took longer than {HANDOVER_BAR_MS:.0f} ms": handover and handover["max"] <= HANDOVER_BAR_MS,
        "the model did not come back": sum(session.setup is not None for session in model.sessions) >= 2,
        f"the caller heard more than {SILENCE_BAR_MS:.0f} ms of silence": silence and silence["max"] <= SILENCE_BAR_MS,
        "the stream broke": phone.streams == 1,
        "code of ours crashed": not crashes,
        "the audio ran dry": not phone.underruns,
        "the model did not ask for the appointment twice": len(placed.moments("tool_call")) == 2,
        "the appointment was not booked exactly once": report["effects"]["done"] == 1,
        "the calendar refused a request": not calendar.faults,
        "there is not exactly one outcome": len(ends) == 1,
        "the engine broke a protocol": not report["protocol_faults"] and not model.protocol_faults,
        "tasks outlived the call": report["tasks_left"] == 0,
        "sockets outlived the call": report["sockets_left"] == 0,
    }
    return [failure for failure, fine in checks.items() if not fine]


def _open_sockets() -> int:
    links = (Path("/proc/self/fd").iterdir()) if Path("/proc/self/fd").exists() else ()
    return sum(1 for link in links if _is_socket(link))


def _is_socket(link: Path) -> bool:
    try:
        return link.readlink().name.startswith("socket:")
    except OSError:
        return False
