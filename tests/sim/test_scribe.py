"""What a transcribe session writes down when the caller pauses in mid-sentence and its client flushes."""

import numpy as np
import pytest
import trio.testing

from engine.audio import g711
from engine.audio.resample import Resampler
from engine.sim.ear import PhraseEar
from engine.sim.scribe import GOES_ON_WITHIN_S, Activity, Scribe
from engine.voice.cache import VoiceCache
from tests.calls import HOLD_ON, PARKING, WHITENING

Clock = trio.testing.MockClock
RATE = 16000


@pytest.fixture
def ear(speech: VoiceCache) -> PhraseEar:
    return PhraseEar({text: g711.decode(speech.mulaw(text)) for text in (PARKING, WHITENING, HOLD_ON)})


def said(speech: VoiceCache, text: str) -> np.ndarray:
    return Resampler(8000, RATE).process(g711.decode(speech.mulaw(text)))


def piece(scribe: Scribe, pcm: np.ndarray) -> Activity:
    activity = scribe.begin()
    activity.audio.append(pcm)
    scribe.interim(activity)
    return activity


async def test_a_sentence_flushed_in_its_middle_is_written_down_whole_in_two_pieces(
    ear: PhraseEar, speech: VoiceCache, autojump_clock: Clock
) -> None:
    pcm = said(speech, WHITENING)
    for share in (0.4, 0.5, 0.6, 0.7):
        scribe, at = Scribe(ear), int(share * len(pcm))
        first = scribe.final(piece(scribe, pcm[:at]), flushed=True)
        await trio.sleep(0.3)
        second = scribe.final(piece(scribe, pcm[at:]), flushed=False)
        assert f"{first} {second}".strip() == WHITENING


async def test_whoever_goes_on_much_later_has_begun_anew(
    ear: PhraseEar, speech: VoiceCache, autojump_clock: Clock
) -> None:
    scribe = Scribe(ear)
    assert scribe.final(piece(scribe, said(speech, WHITENING)), flushed=True) == WHITENING
    await trio.sleep(GOES_ON_WITHIN_S + 0.1)
    assert scribe.begin().before is None


async def test_what_follows_a_finished_sentence_is_not_taken_for_its_rest(
    ear: PhraseEar, speech: VoiceCache, autojump_clock: Clock
) -> None:
    scribe = Scribe(ear)
    scribe.final(piece(scribe, said(speech, WHITENING)), flushed=True)
    await trio.sleep(0.5)
    assert scribe.final(piece(scribe, said(speech, PARKING)), flushed=True) == PARKING
