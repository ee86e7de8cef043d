import pytest

from engine.store.database import Database
from engine.store.diary import Diary
from engine.store.postgres_diary import PostgresDiary
from tests.store.suites.diary import *  # noqa: F403


@pytest.fixture
def diary(database: Database) -> Diary:
    return PostgresDiary(database)
