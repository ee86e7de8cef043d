"""Readiness speaks before admission has to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.call.admission import Bars
from engine.call.switchboard_types import SwitchboardStatistics
from engine.server.loop_lag import LoopLagStatistics
from engine.server.readiness import LATE_MS, Phase, judge, load_of
from engine.telephony.plane import PlaneStatistics

SIX = SwitchboardStatistics(6, 100, draining=False)
QUIET = PlaneStatistics(0, 0, 0, 0.0, 0.0, 0.0)
ON_TIME = PlaneStatistics(6, 500, 0, 1.0, 5.0, 6.0)


def lag(p90_ms: float = 1.0, memory_mib: float | None = 300.0) -> LoopLagStatistics:
    return LoopLagStatistics(0.5, p90_ms, 900.0, memory_mib)


def test_a_loop_that_lags_is_told_although_nobody_is_on_the_plane() -> None:
    assert judge(Phase.SERVING, SIX, QUIET, lag(LATE_MS + 1)).parts["clock"] == "late"
    assert judge(Phase.SERVING, SIX, QUIET, lag(LATE_MS)).status == "ok", "one long pause is no lag"


@pytest.mark.parametrize(("calls", "status"), [(94, 200), (95, 429), (100, 429)])
def test_the_last_twentieth_of_the_places_is_kept_for_those_on_their_way(calls: int, status: int) -> None:
    assert judge(Phase.SERVING, SwitchboardStatistics(calls, 100, draining=False), ON_TIME).http_status == status


def test_a_small_worker_is_full_when_it_is_full() -> None:
    assert judge(Phase.SERVING, SwitchboardStatistics(0, 1, draining=False), ON_TIME).http_status == 200
    assert judge(Phase.SERVING, SwitchboardStatistics(9, 10, draining=False), ON_TIME).http_status == 200


def test_memory_is_a_part_only_where_it_has_a_limit() -> None:
    assert "memory" not in judge(Phase.SERVING, SIX, ON_TIME, lag()).parts
    assert judge(Phase.SERVING, SIX, ON_TIME, lag(), 320).http_status == 429
    assert judge(Phase.SERVING, SIX, ON_TIME, lag(), 400).parts["memory"] == "ok"
    assert judge(Phase.SERVING, SIX, ON_TIME, lag(memory_mib=None), 320).http_status == 200


@given(late=st.floats(0, 200), mib=st.floats(0, 2000))
def test_whatever_admission_refuses_readiness_has_told(late: float, mib: float) -> None:
    bars = Bars(max_memory_mib=1000)
    found = judge(Phase.SERVING, SIX, ON_TIME, lag(late, mib), 1000)
    load = load_of(ON_TIME, lag(late, mib))
    if load.late_ms > bars.late_ms or mib > 1000:
        assert found.http_status == 429
