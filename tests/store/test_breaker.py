"""When a database that says nothing is left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.store.breaker import FAILURES, PAUSES_S, SLOW_S, Breaker


def opened() -> Breaker:
    """At the instant 0."""
    breaker = Breaker()
    for _ in range(FAILURES):
        assert breaker.allows(-SLOW_S)
        breaker.answered(-SLOW_S, 0.0, away=True)
    return breaker


def test_it_is_left_alone_after_waiting_in_vain_several_times_in_a_row() -> None:
    breaker = opened()
    assert breaker.open
    assert not breaker.allows(PAUSES_S[0] - 0.01)
    assert breaker.refused == 1


def test_a_server_that_refuses_at_once_is_asked_again_and_again() -> None:
    breaker = Breaker()
    for _ in range(50):
        assert breaker.allows(0.0)
        breaker.answered(0.0, 0.1, away=True)
    assert not breaker.open


def test_an_answer_in_between_begins_the_count_anew() -> None:
    breaker = Breaker()
    for _ in range(5):
        for _ in range(FAILURES - 1):
            breaker.gave_up(0.0, SLOW_S)
        breaker.answered(0.0, 10.0, away=False)
    assert breaker.allows(10.0)
    assert not breaker.open


def test_one_at_a_time_is_let_through_once_the_pause_is_over() -> None:
    breaker, at = opened(), PAUSES_S[0]
    assert [breaker.allows(at) for _ in range(3)] == [True, False, False]
    breaker.answered(at, at + 2.0, away=False)
    assert all(breaker.allows(at) for _ in range(3))


def test_pauses_grow_to_the_longest() -> None:
    breaker, now, pauses = opened(), 0.0, []
    for _ in range(6):
        began = now
        while not breaker.allows(now):
            now += 0.05
        pauses.append(now - began)
        now += SLOW_S
        breaker.gave_up(now - SLOW_S, now)
    assert pauses == pytest.approx([*PAUSES_S, PAUSES_S[-1], PAUSES_S[-1]], abs=0.06)


def test_giving_up_soon_says_nothing() -> None:
    breaker, at = opened(), PAUSES_S[0]
    assert breaker.allows(at)
    breaker.gave_up(at, at + SLOW_S / 2)
    assert breaker.open
    assert breaker.allows(at + SLOW_S / 2), "somebody else may try"


def test_those_who_asked_before_it_opened_make_no_pause_longer() -> None:
    breaker = Breaker()
    for _ in range(50):
        assert breaker.allows(0.0)
    for _ in range(50):
        breaker.gave_up(0.0, SLOW_S)
    assert breaker.allows(SLOW_S + PAUSES_S[0])


@given(st.lists(st.tuples(st.floats(0, 3), st.sampled_from(["answered", "away", "soon", "late"])), max_size=60))
def test_whatever_happens_a_database_that_works_again_is_found_soon(steps: list[tuple[float, str]]) -> None:
    breaker, now = Breaker(), 0.0
    for passed, how in steps:
        now += passed
        if not breaker.allows(now):
            continue
        if how in {"answered", "away"}:
            breaker.answered(now - SLOW_S, now, away=how == "away")
        else:
            breaker.gave_up(now if how == "soon" else now - SLOW_S, now)
    assert breaker.allows(now + PAUSES_S[-1])
    breaker.answered(now, now, away=False)
    assert not breaker.open
