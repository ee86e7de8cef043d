"""The business that is called in a load test."""

import pytest

from engine.errors import ConfigurationError
from engine.loadtest.gateway import tenant
from engine.loadtest.plan import Plan
from engine.tenants.tenant import Timing


def test_it_is_as_shipped_but_without_limits() -> None:
    document = tenant(Plan())
    assert document.timing == Timing()
    assert document.quotas.calls_per_minute is None
    assert "opening_hours" in {tool.name for tool in document.tools}
    assert document.knowledge


def test_window_lead_and_tools_are_the_plans() -> None:
    document = tenant(Plan(window_ms=40, lead_ms=200, tools="off"))
    assert (document.timing.window_ms, document.timing.lead_ms, document.tools) == (40, 200, ())


@pytest.mark.parametrize(
    ("plan", "said"), [(Plan(window_ms=30), "timing.window_ms"), (Plan(lead_ms=5), "timing.lead_ms")]
)
def test_what_no_tenant_may_have_is_refused(plan: Plan, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        tenant(plan)
