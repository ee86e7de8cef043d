import pytest

from engine.store.passages import MemoryPassages, PassageStore
from tests.store.suites.passages import *  # noqa: F403


@pytest.fixture
def passages() -> PassageStore:
    return MemoryPassages()
