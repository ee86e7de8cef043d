"""The voice made for load sends what the strict one sends, byte for byte once it is unmasked, at the same instants."""

import random

import pytest
import trio
from trio.testing import MockClock

from engine.loadtest.light_voice import LightVoice
from engine.loadtest.talk import clips
from engine.sim.carrier_wire import CarrierWire
from engine.sim.handset import Handset
from engine.sim.mouth import Mouth, Parts, Voice
from engine.sim.network import Network, NullNetwork, Route
from engine.sim.playback import Playback
from engine.voice.cache import VoiceCache
from engine.wire.websocket import Role, WebSocketCodec

STREAM = "MZ" + "0" * 32


class Line:
    """A stream that is up."""

    def __init__(self) -> None:
        self.playback = Playback(0.0)

    def press(self, digit: str) -> None:
        raise AssertionError(digit)


def parts(route: Route) -> Parts:
    wire = CarrierWire(account_sid="AC1", call_sid="CA1", stream_sid=STREAM)
    handset = Handset(0.0)
    handset.attach(Line(), 0.0)
    codec = WebSocketCodec(Role.CLIENT)
    return Parts(wire, handset, route, codec, Playback(0.0), trio.current_time(), (160,), None)


async def sent(make: type[Mouth] | type[LightVoice], made: Parts, speech: VoiceCache) -> list[tuple[float, bytes]]:
    """All that leaves while a question is asked, on ticks that come early, late, and sometimes not at all."""
    voice: Voice = make(made)
    server, ticks = WebSocketCodec(Role.SERVER), random.Random(7)
    found: list[tuple[float, bytes]] = []
    began = made.started_at
    async with trio.open_nursery() as nursery:
        nursery.start_soon(made.handset.say, clips(speech)[0])
        for tick in range(150):
            if ticks.random() < 0.05:
                continue
            await trio.sleep_until(began + 0.02 * tick + ticks.uniform(-0.004, 0.009))
            full = 60 <= tick < 63
            for leaves_at, framed in voice.due(trio.current_time(), full=full):
                if framed is None:
                    found.append((leaves_at - began, b"thrown away"))
                else:
                    [(_, message)] = server.receive_data(framed)
                    found.append((leaves_at - began, message))
        nursery.cancel_scope.cancel()
    return found


@pytest.mark.parametrize("route", [NullNetwork, lambda: Network(3, jitter_ms=20, loss_probability=0.1)])
async def test_both_voices_are_the_same(
    route: type[NullNetwork], speech: VoiceCache, autojump_clock: MockClock
) -> None:
    strict = await sent(Mouth, parts(route()), speech)
    light = await sent(LightVoice, parts(route()), speech)
    assert [message for _, message in light] == [message for _, message in strict]
    assert [at for at, _ in light] == pytest.approx([at for at, _ in strict])
    assert any(message == b"thrown away" for _, message in light)
    assert len({message.rpartition(b"payload")[2] for _, message in light}) > 30, "there is a voice in it"
