"""The beginning of an utterance: held only where it may be, for a moment, and nothing of it is lost."""

import math

from hypothesis import given
from hypothesis import strategies as st

from engine.audio.start import ENOUGH, LONGEST_S, Start

PIECE = b"\x40" * 320  # 40 ms


def test_where_the_process_keeps_time_nothing_is_held() -> None:
    start = Start()
    assert not start.holds(1, PIECE, 0.0, may_begin=False)
    assert not start.holds(1, PIECE, 0.0, may_begin=True), "an utterance that has begun goes on"
    assert start.release() is None
    assert start.until == math.inf


def test_a_first_sound_waits_for_enough_of_it() -> None:
    start = Start()
    assert start.holds(1, PIECE, 5.0, may_begin=True)
    assert start.until == 5.0 + LONGEST_S
    assert not start.holds(1, PIECE, 5.01, may_begin=True)
    assert start.release() == (1, PIECE)
    assert start.release() is None
    assert not start.holds(1, PIECE, 5.02, may_begin=True)


def test_of_enough_sound_nothing_is_held() -> None:
    start = Start()
    assert not start.holds(1, b"\x40" * ENOUGH, 5.0, may_begin=True)
    assert start.release() in (None, (1, b""))
    assert start.until == math.inf


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 900), st.booleans(), st.floats(0, 0.05), st.booleans()), max_size=40
    )
)
def test_all_sound_comes_out_in_order_and_never_later_than_a_moment(
    said: list[tuple[int, int, bool, float, bool]],
) -> None:
    start, now, generation = Start(), 0.0, 0
    went: list[tuple[int, bytes]] = []
    came: list[tuple[int, bytes]] = []
    for number, (step, size, may_begin, pause_s, other) in enumerate(said):
        now += pause_s
        if now >= start.until or other:
            assert start.until >= now - pause_s, "it would have been due before"
            if (held := start.release()) is not None:
                went.append(held)
        generation += step
        sound = bytes([number + 1]) * size
        came.append((generation, sound))
        if not start.holds(generation, sound, now, may_begin=may_begin):
            if (held := start.release()) is not None:
                went.append(held)
            went.append((generation, sound))
        assert start._bytes < ENOUGH
    if (held := start.release()) is not None:
        went.append(held)
    for of in {generation for generation, _ in came}:
        assert b"".join(s for g, s in went if g == of) == b"".join(s for g, s in came if g == of)
    assert [g for g, s in went if s] == sorted(g for g, s in went if s)
