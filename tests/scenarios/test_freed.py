"""What a call leaves in memory: nothing that only the collector would find."""

import gc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio.testing

from engine.audio.echo import EchoGuard
from engine.call.context import CallContext
from engine.model.session_tasks import SessionTasks
from engine.sim.scenario import HangUp, Listen, Moment, Say
from engine.telephony.egress import Playout
from engine.telephony.jitter import CallerAudioGate
from engine.telephony.line import MediaLine
from engine.voice.cache import VoiceCache
from tests.calls import BYE, PARKING, phrases, stage

OF_A_CALL = (MediaLine, CallerAudioGate, Playout, EchoGuard, CallContext, SessionTasks)


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("who", ["caller", "agent"])
async def test_a_call_that_is_over_is_freed_without_the_collector(
    who: str, tmp_path: Path, speech: VoiceCache, autojump_clock: trio.testing.MockClock
) -> None:
    said = phrases(speech)
    ending: list[Moment] = [HangUp()] if who == "caller" else [Say(said[BYE]), Listen()]
    async with stage(tmp_path, speech) as on:
        before = _alive()
        await on.call([Listen(), Say(said[PARKING]), Listen(), *ending])
        await trio.testing.wait_all_tasks_blocked()
        assert _alive() - before == Counter()


def _alive() -> Counter[str]:
    return Counter(type(one).__name__ for one in gc.get_objects() if type(one) in OF_A_CALL)
