"""Fixtures that more than one room uses."""

import os
from pathlib import Path

import pytest
import trio

from engine import log
from engine.speech import weights
from engine.speech.inline import InlineSpeech
from engine.voice.cache import VoiceCache


@pytest.fixture(scope="session", autouse=True)
def _quiet_logs() -> None:
    log.configure("CRITICAL")


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> VoiceCache:
    """Real speech, rendered once per run: prompts, callers and the simulated model all speak from here."""
    directory: Path = tmp_path_factory.mktemp("data") / "voice"
    return VoiceCache(directory)


@pytest.fixture(scope="session")
def speech_weights(speech: VoiceCache, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recogniser's weights, converted once per run for all of its processes, and found in ``speech``'s directory.

    What needs them is skipped where this platform has none.
    """
    if not weights.available():
        pytest.skip("no package with weights for this platform")
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    made: Path = trio.run(weights.prepare, shared)
    (speech._directory.parent / weights.FOLDER).symlink_to(shared / weights.FOLDER)
    return made


@pytest.fixture(scope="session")
def inline_speech(speech: VoiceCache, speech_weights: Path) -> InlineSpeech:
    """Real recognition and the real voice, in the test's own thread: for virtual time."""
    return InlineSpeech.load(speech_weights, speech.mulaw)
