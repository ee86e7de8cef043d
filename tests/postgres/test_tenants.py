import pytest

from engine.store.database import Database
from engine.store.postgres_tenants import PostgresTenants
from engine.store.tenants import Tenants
from tests.store.suites.tenants import *  # noqa: F403


@pytest.fixture
def tenants(database: Database) -> Tenants:
    return PostgresTenants(database)
