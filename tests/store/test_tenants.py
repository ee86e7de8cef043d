import pytest

from engine.store.tenants import MemoryTenants, Tenants
from tests.store.suites.tenants import *  # noqa: F403


@pytest.fixture
def tenants() -> Tenants:
    return MemoryTenants()
