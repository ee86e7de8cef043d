import pytest

from engine.voice.offline import OfflineVoice


@pytest.fixture(scope="session")
def voice() -> OfflineVoice:
    return OfflineVoice.load()
