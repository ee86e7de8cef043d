"""Fixtures that more than one room uses."""

from pathlib import Path

import pytest

from engine import log
from engine.voice.cache import VoiceCache


@pytest.fixture(scope="session", autouse=True)
def _quiet_logs() -> None:
    log.configure("CRITICAL")


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> VoiceCache:
    """Real speech, rendered once per run: prompts, callers and the simulated model all speak from here."""
    directory: Path = tmp_path_factory.mktemp("data") / "voice"
    return VoiceCache(directory)
