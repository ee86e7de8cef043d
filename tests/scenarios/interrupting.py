"""Many callers at once, over a way with jitter, and what became of the agent's words in each caller's ear."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import trio

from engine.audio import g711
from engine.audio.resample import Resampler
from engine.sim.brain import GroundedBrain, HeardTurn, Reply
from engine.sim.caller import CallOptions
from engine.sim.carrier_call import CarrierOptions
from engine.sim.echo import EchoPath
from engine.sim.hearing import BYTES_PER_MS, QUIET_BYTES, SILENCE
from engine.sim.network import Network
from engine.sim.phone import PhoneOptions
from engine.sim.report import PhoneReport
from engine.sim.scenario import Clip, Moment
from engine.store.interface import CallEnd
from engine.tenants.tenant import Quotas
from engine.voice.cache import VoiceCache
from tests.adversity.crowd import kept_ends
from tests.calls import TENANT, Stage

INTERRUPTIONS = (
    "No, stop.",
    "Sorry, can I ask something?",
    "Actually, never mind that.",
    "I need to change it.",
    "Wait, sorry, just one question about the prices.",
)
BACKCHANNELS = ("Mm-hm.", "Right.", "Okay.", "Uh-huh.", "Yeah.")
GREETING = (
    "Thank you for calling Harbor Dental, where we look after your teeth every day of the week, with parking free "
    "behind the house, and somebody at the telephone from eight in the morning until six in the evening."
)
SENTENCES = (
    "Thank you for calling Harbor Dental, where we look after your teeth every day of the week. "
    "Parking is free behind the house, and the practice is open from eight until six. How can I help you today?"
)
TALKATIVE = TENANT.model_copy(update={"greeting": GREETING, "quotas": Quotas(concurrent_calls=100)})


@dataclass
class Heard:
    """One call: what the phone measured, what the engine kept."""

    report: PhoneReport
    end: CallEnd

    def kinds(self) -> list[str]:
        return [moment["kind"] for moment in self.end.document["timeline"]]

    def facts(self, kind: str) -> list[dict[str, float]]:
        return [moment["facts"] for moment in self.end.document["timeline"] if moment["kind"] == kind]


def clips(texts: Sequence[str], speech: VoiceCache) -> list[Clip]:
    """The caller's voice."""
    return [Clip(text, speech.mulaw(text, pitch=0.86)) for text in texts]


def jitter(seed: int) -> Network:
    """30 ms away, up to 20 ms of jitter, and a hold of up to 100 ms now and then."""
    return Network(seed, delay_ms=30, jitter_ms=20, hold_probability=0.01, hold_ms=100)


async def place_all(
    on: Stage, scenarios: Sequence[Sequence[Moment]], *, echo: Callable[[int], EchoPath | None] = lambda _: None
) -> list[Heard]:
    """Place one call for each scenario, all at once."""
    reports: dict[int, PhoneReport] = {}

    async def place(index: int) -> None:
        options = CallOptions(seed=index, carrier=CarrierOptions(phone=PhoneOptions(echo=echo(index))))
        reports[index] = await on.world.call(scenarios[index], network=jitter(index), options=options)

    async with trio.open_nursery() as nursery:
        for index in range(len(scenarios)):
            nursery.start_soon(place, index)
    ends = await kept_ends(on, list(reports.values()))
    return [Heard(reports[index], ends[reports[index].call_sid]) for index in range(len(scenarios))]


@dataclass(frozen=True, slots=True)
class Mended:
    """Speech that was interrupted and taken up: how much was heard before, the silence, how much was said again."""

    before_ms: float
    gap_ms: float
    again_ms: float


def mended(ear: bytes, whole: bytes) -> list[Mended]:
    """Every place where ``ear`` falls silent inside ``whole`` and goes on; fails where a byte of it is missing.

    Args:
        ear: what a caller heard, mu-law.
        whole: what an undisturbed caller heard.
    """
    found: list[Mended] = []
    ear, whole = ear.strip(QUIET_BYTES), whole.strip(QUIET_BYTES)
    at = 0  # in whole
    while True:
        same = _same(ear, whole[at:])
        at, ear = at + same, ear[same:]
        if not ear:
            assert at == len(whole), f"the last {(len(whole) - at) / BYTES_PER_MS} ms were not heard"
            return found
        gap = len(ear) - len(ear.lstrip(SILENCE))
        assert gap, f"other sound than the agent's {at / BYTES_PER_MS} ms into it"
        piece = ear[gap : gap + 400]
        back = whole.rfind(piece, 0, at + len(piece))
        assert back >= 0, f"something was left out {at / BYTES_PER_MS} ms into it"
        found.append(Mended(at / BYTES_PER_MS, gap / BYTES_PER_MS, (at - back) / BYTES_PER_MS))
        at, ear = back, ear[gap:]


def _same(one: bytes, other: bytes) -> int:
    size = min(len(one), len(other))
    differs = np.flatnonzero(np.frombuffer(one[:size], np.uint8) != np.frombuffer(other[:size], np.uint8))
    return int(differs[0]) if len(differs) else size


class WordByWord(GroundedBrain):
    """Says everything in words that were spoken one by one, so that where each of them ends is known."""

    def __init__(self, speech: VoiceCache) -> None:
        super().__init__()
        self._speech = speech

    def reply(self, turn: HeardTurn) -> Reply:
        """See ``Brain``."""
        text = super().reply(turn).text
        sound, _ = self.say(text)
        return Reply(text, sound=Resampler(8000, 24000).process(g711.decode(sound)))

    def say(self, text: str) -> tuple[bytes, list[float]]:
        """The sound, from its first loud sample on, and where in it each word ends, in ms."""
        sound, ends_ms = b"", []
        for word in text.split():
            sound += self._speech.mulaw(word).strip(QUIET_BYTES)
            ends_ms.append(len(sound) / BYTES_PER_MS)
            sound += g711.silence(750 if word[-1] in ".?!" else 290 if word[-1] == "," else 20)
        return sound, ends_ms
