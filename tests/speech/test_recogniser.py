"""Real recognition of real speech, rendered by our own voice, as a telephone carries it."""

from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import pytest
from numpy.typing import NDArray

from bench.local_speech_words import plain, with_noise
from engine.audio import g711
from engine.errors import ConfigurationError
from engine.speech.recogniser import Recogniser
from engine.speech.trim import LONGEST_S
from engine.speech.weights import ENCODER
from engine.voice.cache import VoiceCache

SAID = (
    "Hi there, is there somewhere I can park?",
    "And what does teeth whitening cost?",
    "Do you take walk-ins on Saturdays, and how long do I have to wait?",
    "This is about my daughter, she has a terrible toothache since this morning.",
    "Can I change my appointment to the end of next week?",
    "No, I have never been a patient of yours.",
)
SHORT = ("Okay.", "Yes.", "No.", "Maybe.", "Tuesday.", "Friday at two.")
SECONDS = np.arange(16_000) / 8000
GATE = (SECONDS > 0.5) & (SECONDS < 1.2)


@pytest.fixture(scope="module")
def recogniser(speech_weights: Path) -> Recogniser:
    return Recogniser.load(speech_weights)


def line(wave: NDArray[np.float64]) -> bytes:
    return g711.encode(np.clip(wave * 32768, -32768, 32767).astype(np.int16))


def test_questions_are_understood(recogniser: Recogniser, speech: VoiceCache) -> None:
    heard = [recogniser.read(speech.mulaw(text, pitch=0.86)).text for text in SAID]
    assert jiwer.wer([plain(text) for text in SAID], [plain(text) for text in heard]) <= 0.05


def test_questions_are_understood_in_the_street(recogniser: Recogniser, speech: VoiceCache) -> None:
    rng = np.random.default_rng(1)
    heard = [recogniser.read(with_noise(speech.mulaw(text, pitch=0.86), 10.0, rng)).text for text in SAID[:3]]
    assert jiwer.wer([plain(text) for text in SAID[:3]], [plain(text) for text in heard]) <= 0.15


def test_short_answers_are_not_taken_for_nothing(recogniser: Recogniser, speech: VoiceCache) -> None:
    for text in SHORT:
        assert plain(recogniser.read(speech.mulaw(text)).text) == plain(text)


class FirstStep:
    """The recogniser's own first step, which remembers how likely it would have written nothing, where it would."""

    def __init__(self, first: Any) -> None:
        self._first = first
        self.nothing: list[float] = []

    def run(self, *arguments: Any) -> list[NDArray[np.float32]]:
        given: list[NDArray[np.float32]] = self._first.run(*arguments)
        logits = given[0][0, -1]
        chances = np.exp(logits - logits.max())
        self.nothing.append(float(chances[2] / chances.sum()) if logits.argmax() == 2 else 0.0)
        return given


def test_nothing_is_not_believed_where_it_is_said_hesitantly(
    recogniser: Recogniser, speech: VoiceCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = FirstStep(recogniser._first)
    monkeypatch.setattr(recogniser, "_first", first)
    rng = np.random.default_rng(5)
    mumbled = [with_noise(speech.mulaw(text, pitch=1.12), 8.0, rng) for text in ("Noon.", "Mm-hm.") * 5]
    heard = [recogniser.read(sound).text for sound in mumbled]
    hesitant = [text for text, chance in zip(heard, first.nothing, strict=True) if 0 < chance < 0.5]
    assert hesitant
    assert all(hesitant)


@pytest.mark.parametrize(
    "wave",
    [
        pytest.param(0 * SECONDS, id="silence"),
        pytest.param(np.random.default_rng(1).normal(size=16_000) * 0.1, id="noise"),
        pytest.param(np.random.default_rng(1).normal(size=16_000) * 0.1 * GATE, id="a-hiss"),
        pytest.param(0.3 * np.sin(2 * np.pi * 440 * SECONDS) * GATE, id="a-beep"),
        pytest.param(0.2 * (np.sin(2 * np.pi * 770 * SECONDS) + np.sin(2 * np.pi * 1336 * SECONDS)) * GATE, id="a-key"),
        pytest.param(0.2 * np.sign(np.sin(2 * np.pi * 100 * SECONDS)) * GATE, id="a-hum"),
    ],
)
def test_what_is_no_speech_says_nothing(recogniser: Recogniser, wave: NDArray[np.float64]) -> None:
    assert recogniser.read(line(wave)).text == ""


@pytest.mark.parametrize("mulaw", [b"", b"\x00", g711.silence(20), bytes(range(256)) * 3])
def test_snippet_says_nothing(recogniser: Recogniser, mulaw: bytes) -> None:
    assert recogniser.read(mulaw).text == ""


def test_silence_around_speech_changes_nothing(recogniser: Recogniser, speech: VoiceCache) -> None:
    sound = speech.mulaw(SAID[0], pitch=0.86)
    padded = recogniser.read(g711.silence(3000) + sound + g711.silence(5000))
    assert padded.text == recogniser.read(sound).text


class Lengths:
    """The recogniser's own encoder, which remembers how many samples it was given at once."""

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder
        self.given: list[int] = []

    def run(self, names: None, inputs: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
        self.given.append(inputs["input_values"].size)
        states: list[NDArray[np.float32]] = self._encoder.run(names, inputs)
        return states


def test_utterance_longer_than_the_model_was_taught_on_is_read_in_parts(
    recogniser: Recogniser, speech: VoiceCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = Lengths(recogniser._encoder)
    monkeypatch.setattr(recogniser, "_encoder", encoder)
    said = (*SAID, *SAID[:3])
    sound = g711.silence(400).join(speech.mulaw(text, pitch=0.86) for text in said)
    assert len(sound) > LONGEST_S * g711.SAMPLE_RATE_HZ
    heard = recogniser.read(sound).text
    assert jiwer.wer(plain(" ".join(said)), plain(heard)) <= 0.08
    assert len(encoder.given) == 2
    assert max(encoder.given) <= (LONGEST_S + 0.1) * 2 * g711.SAMPLE_RATE_HZ


def test_draft_makes_a_reading_quicker(
    recogniser: Recogniser, speech: VoiceCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = speech.mulaw(SAID[2], pitch=0.86)
    begun = recogniser.read(sound[: len(sound) * 3 // 4])
    steps: list[int] = []
    step = recogniser._step

    def counted(tokens: list[int], cache: dict[str, Any]) -> tuple[NDArray[np.float32], dict[str, Any]]:
        steps.append(len(tokens))
        return step(tokens, cache)

    monkeypatch.setattr(recogniser, "_step", counted)
    plainly = recogniser.read(sound)
    alone, steps[:] = len(steps), []
    drafted = recogniser.read(sound, begun.draft)
    assert plain(drafted.text) == plain(plainly.text)
    assert len(steps) <= 0.7 * alone


@pytest.mark.parametrize("tokens", [[5, 7, 9], [31_999] * 40, list(range(3, 60))])
def test_draft_of_another_sound_does_no_harm(recogniser: Recogniser, speech: VoiceCache, tokens: list[int]) -> None:
    sound = speech.mulaw(SAID[1], pitch=0.86)
    plainly = recogniser.read(sound)
    first = int(np.frombuffer(plainly.draft, np.uint16)[0])
    foreign = np.array([first, *tokens, 0], np.uint16).tobytes()
    assert plain(recogniser.read(sound, foreign).text) == plain(plainly.text)


def test_directory_without_weights_is_named_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="delete it"):
        Recogniser.load(tmp_path)


def test_damaged_weights_are_named_with_the_cure(speech_weights: Path, tmp_path: Path) -> None:
    (tmp_path / ENCODER).write_bytes((speech_weights / ENCODER).read_bytes()[:1000])
    with pytest.raises(ConfigurationError, match="delete it"):
        Recogniser.load(tmp_path)
