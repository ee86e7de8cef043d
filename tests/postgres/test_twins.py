"""The suites of the store's protocols, against PostgreSQL."""

import pytest

from engine.store.database import Database
from engine.store.postgres_store import PostgresStore
from engine.store.spool import Keeper
from tests.store.suites.records import *  # noqa: F403


@pytest.fixture
def store(database: Database) -> Keeper:
    return PostgresStore(database)
