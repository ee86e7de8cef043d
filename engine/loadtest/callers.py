"""A process of synthetic callers: ``python -m engine.loadtest.callers``. Told its part on stdin, reports on stdout.

A slot is one line that is kept busy: whoever hangs up there is followed by another. Nothing of a call is kept once its
figures have been sent.
"""

import gc
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import msgspec
import trio

from engine.loadtest.child import read_part, stdin, tell
from engine.loadtest.light_voice import LightVoice
from engine.loadtest.plan import Plan, Target
from engine.loadtest.talk import Talk, clips, endpointing_ms
from engine.loadtest.wire import Beat, Began, CallersPart, CallFigures, Complete, Ended, Replace, ToCallers, line
from engine.sim.caller import CallOptions, place_call
from engine.sim.carrier_call import CarrierOptions, NewDocument
from engine.sim.carrier_rest import Updatable
from engine.sim.carrier_web import CarrierAccount
from engine.sim.network import Network, NullNetwork
from engine.sim.phone import PhoneOptions
from engine.sim.scenario import Clip
from engine.telephony.plane import MediaPlane
from engine.tenants.tenant import Timing
from engine.voice.cache import VoiceCache

BEAT_S = 1.0
SHORTEST_CALL_S = 6.0
OVERTIME_S = 20.0  # a server that is slow makes conversations longer; at some point its caller gives up
BETWEEN_S = 1.0  # from one call's end to the next on the same line, at most
CONNECTIONS = 50
COLLECT_S = 5.0  # young objects only: a full collection would be heard as a gap of the server's

STRICT = CarrierOptions()
LIGHT = CarrierOptions(phone=PhoneOptions(voice=LightVoice))

_decoder = msgspec.json.Decoder(ToCallers)


@dataclass
class _Calls:
    """Those on the line, as the carrier's REST interface (in the parent) may reach them."""

    live: dict[str, Updatable] = field(default_factory=dict)

    def add(self, call: Updatable) -> None:
        """As ``CarrierRest.add``."""
        self.live[call.sid] = call
        tell(line(Began(call.sid)))

    def remove(self, call: Updatable) -> None:
        """As ``CarrierRest.remove``."""
        self.live.pop(call.sid, None)


async def _orders(calls: _Calls, first: bytes, everything: trio.CancelScope) -> None:
    """Until the parent has gone, and everything with it."""
    async with trio.lowlevel.FdStream(stdin()) as orders:
        rest = first
        async for data in orders:
            *lines, rest = (rest + data).split(b"\n")
            for one in lines:
                match _decoder.decode(one):
                    case Complete(call_sid):
                        if (call := calls.live.get(call_sid)) is not None:
                            call.complete()
                    case Replace(call_sid, twiml, url, method):
                        if (call := calls.live.get(call_sid)) is not None:
                            call.replace(NewDocument(twiml, url, method))
    everything.cancel()


async def _beat(plane: MediaPlane, calls: _Calls) -> None:
    while True:
        late = plane.statistics()
        tell(line(Beat(len(calls.live), round(late.lateness_max_ms, 1), round(late.lateness_p99_ms, 1))))
        await trio.sleep(BEAT_S)


async def _slot(number: int, part: CallersPart, said: Sequence[Clip], place: "_Placing") -> None:
    plan = part.plan
    source = random.Random(f"{plan.seed} {part.index} {number}")
    ends_at = trio.current_time() + plan.ramp_s + plan.duration_s
    await trio.sleep(plan.ramp_s * (number * plan.generators + part.index) / plan.calls)
    while True:
        left = ends_at - trio.current_time()
        if left < SHORTEST_CALL_S:
            return
        seconds = min(left, plan.call_s * source.uniform(0.5, 1.5))
        if left - seconds < 2 * SHORTEST_CALL_S:
            seconds = left
        figures = await place.call(Talk.of(plan, said, source, seconds=seconds), seconds, source)
        tell(line(Ended(figures)))
        await trio.sleep(source.uniform(0, BETWEEN_S))


@dataclass
class _Placing:
    plan: Plan
    target: Target
    account: CarrierAccount
    plane: MediaPlane
    http: httpx.AsyncClient
    calls: _Calls
    endpointing_ms: Mapping[str, float]

    async def call(self, talk: Talk, seconds: float, source: random.Random) -> CallFigures:
        jitter_ms = self.plan.jitter_ms
        report = await place_call(
            line=self.account,
            caller=f"+1555{source.randrange(10**7):07d}",
            called=self.target.called,
            scenario=talk.moments,
            plane=self.plane,
            network=Network(source.randrange(2**32), jitter_ms=jitter_ms) if jitter_ms else NullNetwork(),
            rest=self.calls,
            http=self.http,
            options=CallOptions(
                voice_url=self.target.voice_path,
                status_url=self.target.status_path,
                # No seed: the same plan against the same deployment must be other calls, not those that have ended.
                carrier=LIGHT if self.plan.checks == "light" else STRICT,
                hang_up_after_s=seconds + OVERTIME_S,
            ),
        )
        return CallFigures.of(report, endpointing_ms=self.endpointing_ms, think_ms=self.plan.think_ms)


async def _run() -> None:
    told, rest = await trio.to_thread.run_sync(read_part)
    part = msgspec.json.decode(told, type=CallersPart)
    said = await trio.to_thread.run_sync(clips, VoiceCache(Path(part.speech)))
    waits = {clip.text: endpointing_ms(clip, pause_ms=Timing().endpointing_ms) for clip in said}
    target, plane, calls = part.target, MediaPlane(), _Calls()
    account = CarrierAccount(target.account_sid, target.auth_token, target.url)
    gc.collect()
    gc.freeze()
    gc.disable()
    async with (
        httpx.AsyncClient(timeout=30, trust_env=False, limits=httpx.Limits(max_connections=CONNECTIONS)) as http,
        trio.open_nursery() as background,
    ):
        background.start_soon(_orders, calls, rest, background.cancel_scope)
        await background.start(plane.run)
        background.start_soon(_beat, plane, calls)
        background.start_soon(_collect)
        place = _Placing(part.plan, target, account, plane, http, calls, waits)
        async with trio.open_nursery() as slots:
            for number in range(part.plan.share(part.index)):
                slots.start_soon(_slot, number, part, said, place)
        background.cancel_scope.cancel()


async def _collect() -> None:
    while True:
        await trio.sleep(COLLECT_S)
        gc.collect(1)


if __name__ == "__main__":
    trio.run(_run)
