"""Restart and stand-in, as numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.workers.policy import HEALTHY_S, JITTER, LOOP_S, PAUSES_S, QUICK_S, UNSERVED_S, Backoff, Outage

pytestmark = pytest.mark.real_time

chances = st.floats(0, 1, exclude_max=True)


def test_pauses_grow_to_the_last_which_is_kept() -> None:
    backoff = Backoff()
    pauses = [backoff.pause_s(served_s=0, chance=0) for _ in range(7)]
    assert pauses == [*PAUSES_S, PAUSES_S[-1], PAUSES_S[-1]]


def test_a_minute_of_health_makes_the_next_pause_the_first_again() -> None:
    backoff = Backoff()
    for _ in range(4):
        backoff.pause_s(served_s=HEALTHY_S - 1, chance=0)
    assert backoff.pause_s(served_s=HEALTHY_S, chance=0) == PAUSES_S[0]


@given(st.lists(st.tuples(st.floats(0, 1e6), chances), min_size=1, max_size=50))
def test_a_pause_is_never_shorter_than_its_table_nor_much_longer(deaths: list[tuple[float, float]]) -> None:
    backoff = Backoff()
    for served_s, chance in deaths:
        pause = backoff.pause_s(served_s=served_s, chance=chance)
        assert any(base <= pause <= base * (1 + JITTER) for base in PAUSES_S)
        if served_s >= HEALTHY_S:
            assert pause <= PAUSES_S[0] * (1 + JITTER)


def test_nobody_stands_in_while_anybody_serves() -> None:
    outage = Outage()
    for at in range(10):
        outage.death(at, served_s=0)
        outage.look(at, anybody=True)
        assert outage.due_at() is None


def test_one_death_is_waited_out() -> None:
    outage = Outage()
    outage.death(100, served_s=0)
    outage.look(100, anybody=False)
    assert outage.due_at() == 100 + UNSERVED_S


def test_workers_that_die_as_they_are_started_are_a_crash_loop() -> None:
    outage = Outage()
    outage.look(100, anybody=False)
    outage.death(100.5, served_s=0)
    outage.death(102, served_s=0)
    assert outage.due_at() == 100 + LOOP_S


def test_all_workers_killed_at_once_are_no_crash_loop() -> None:
    outage = Outage()
    for _ in range(4):
        outage.death(100, served_s=QUICK_S)
    outage.look(100, anybody=False)
    assert outage.due_at() == 100 + UNSERVED_S


def test_a_crash_loop_of_long_ago_is_forgotten() -> None:
    outage = Outage()
    for at in (0, 1):
        outage.death(at, served_s=0)
    outage.look(1 + HEALTHY_S, anybody=False)
    assert outage.due_at() == 1 + HEALTHY_S + UNSERVED_S


@given(st.lists(st.tuples(st.floats(0, 30), st.sampled_from(["death", "up", "down"]), st.floats(0, 100)), max_size=60))
def test_an_outage_is_bounded_whatever_happens(events: list[tuple[float, str, float]]) -> None:
    outage, now, down_since = Outage(), 0.0, None
    for pause, what, served_s in events:
        now += pause
        if what == "death":
            outage.death(now, served_s=served_s)
            continue
        outage.look(now, anybody=what == "up")
        down_since = None if what == "up" else now if down_since is None else down_since
        due = outage.due_at()
        if down_since is None:
            assert due is None
        else:
            assert due in {down_since + LOOP_S, down_since + UNSERVED_S}
