"""How long frames may wait for each other: never longer than until the one that is waited for can come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.audio.arrivals import FRAME_S, OWED_MOST_S, Arrivals


def test_on_a_line_that_keeps_time_the_third_frame_is_waited_for_till_shortly_before_it_comes() -> None:
    arrivals = Arrivals()
    for frame in range(50):
        arrivals.came(1, frame * FRAME_S)
    assert arrivals.shortly_before(1) == pytest.approx(49.5 * FRAME_S)
    assert arrivals.shortly_before(3) == pytest.approx(51.5 * FRAME_S)


def test_what_a_stall_owes_may_come_at_once_and_is_not_waited_for() -> None:
    arrivals = Arrivals()
    arrivals.came(1, 0.0)
    arrivals.came(1, 0.2)
    assert arrivals.shortly_before(3) < 0.2
    arrivals.came(9, 0.201)
    assert arrivals.shortly_before(2) == pytest.approx(0.2 + 1.5 * FRAME_S, abs=0.012)


def test_a_debt_that_is_never_paid_is_forgotten() -> None:
    arrivals = Arrivals()
    arrivals.came(1, 0.0)
    now = 10.0
    for _ in range(round(OWED_MOST_S / 0.001) + 30):
        now += FRAME_S
        arrivals.came(1, now)
    assert arrivals.shortly_before(3) == pytest.approx(now + 2.5 * FRAME_S)


@given(st.lists(st.tuples(st.floats(0.0, 0.5), st.integers(0, 10)), min_size=1, max_size=50), st.integers(1, 3))
def test_nothing_is_waited_for_longer_than_it_takes_to_be_said(steps: list[tuple[float, int]], frame: int) -> None:
    arrivals, now = Arrivals(), 0.0
    for later, count in steps:
        now += later
        arrivals.came(count, now)
        assert arrivals.shortly_before(frame) <= now + (frame - 0.5) * FRAME_S + 1e-9
