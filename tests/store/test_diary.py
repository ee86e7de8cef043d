import pytest

from engine.store.diary import Diary, MemoryDiary
from tests.store.suites.diary import *  # noqa: F403


@pytest.fixture
def diary() -> Diary:
    return MemoryDiary()
