"""One suite for each protocol of the store. A test module imports a suite and gives it its twin as a fixture."""

import pytest

pytest.register_assert_rewrite(
    *(f"tests.store.suites.{name}" for name in ("ledger", "diary", "records", "passages", "tenants"))
)
