"""Windows and pre-roll: every byte once, in order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.audio.windows import WindowBuilder
from engine.errors import MisuseError


def frame(number: int) -> bytes:
    return bytes([number % 256]) * 160


def test_closed_it_keeps_the_last_of_what_came() -> None:
    builder = WindowBuilder(preroll_ms=60)
    assert [builder.push(frame(i)) for i in range(5)] == [None] * 5
    assert builder.open() == frame(2) + frame(3) + frame(4)
    assert builder.is_open


def test_it_reaches_farther_back_only_when_told_to() -> None:
    for at_least_ms, first in ((0, 7), (60, 7), (100, 5), (9000, 2)):
        builder = WindowBuilder(preroll_ms=60, keep_ms=160)
        assert [builder.push(frame(i)) for i in range(10)] == [None] * 10
        assert builder.open(at_least_ms) == b"".join(frame(i) for i in range(first, 10))


def test_open_it_gives_a_window_as_soon_as_it_is_full() -> None:
    builder = WindowBuilder(window_ms=40)
    assert builder.open() == b""
    assert [builder.push(frame(i)) for i in range(4)] == [None, frame(0) + frame(1), None, frame(2) + frame(3)]


def test_window_that_is_no_multiple_of_a_frame_is_exact() -> None:
    builder = WindowBuilder(window_ms=250)
    builder.open()
    windows = [window for i in range(25) if (window := builder.push(frame(i)))]
    assert b"".join(windows) == b"".join(map(frame, range(25)))
    assert {len(window) for window in windows} == {2000}


def test_flush_gives_the_unfinished_window_at_once_and_only_once() -> None:
    builder = WindowBuilder()
    builder.open()
    builder.push(frame(1))
    assert builder.flush() == frame(1)
    assert builder.flush() is None
    assert builder.is_open


def test_flush_leaves_the_preroll_alone() -> None:
    builder = WindowBuilder()
    builder.push(frame(1))
    assert builder.flush() is None
    assert builder.open() == frame(1)


def test_what_was_sent_is_not_in_the_next_preroll() -> None:
    builder = WindowBuilder(window_ms=40)
    builder.open()
    for number in range(3):
        builder.push(frame(number))
    builder.close()
    builder.push(frame(3))
    assert builder.open() == frame(2) + frame(3)


def test_misuse_is_said() -> None:
    builder = WindowBuilder(window_ms=20)
    builder.open()
    with pytest.raises(MisuseError, match="open already"):
        builder.open()
    with pytest.raises(MisuseError, match="longer than a window"):
        builder.push(bytes(161))
    for impossible in ({"window_ms": 0}, {"preroll_ms": 100, "keep_ms": 80}):
        with pytest.raises(MisuseError, match="cannot be built"):
            WindowBuilder(**impossible)


@given(st.lists(st.sampled_from(["push", "open", "flush", "close"]), max_size=120), st.integers(20, 250))
def test_no_byte_is_given_twice_or_out_of_order(steps: list[str], window_ms: int) -> None:
    builder, pushed, given_out = WindowBuilder(window_ms, preroll_ms=100), 0, b""
    for step in steps:
        if step == "push":
            window = builder.push(frame(pushed))
            assert window is None or len(window) == 8 * window_ms
            given_out += window or b""
            pushed += 1
        elif step == "flush":
            given_out += builder.flush() or b""
        elif step == "close":
            builder.close()
        elif not builder.is_open:
            preroll = builder.open()
            assert len(preroll) <= 800
            given_out += preroll
    everything = b"".join(map(frame, range(pushed)))
    position = 0
    for byte_run in (given_out[i : i + 1] for i in range(len(given_out))):
        position = everything.index(byte_run, position) + 1


@given(st.integers(1, 250), st.lists(st.sampled_from(["push", "push", "push", "open", "flush", "close"]), max_size=40))
def test_it_tells_how_much_is_missing_of_the_next_window(window_ms: int, steps: list[str]) -> None:
    builder = WindowBuilder(window_ms=window_ms)
    for number, what in enumerate(steps):
        piece = bytes([number]) * min(160, 8 * window_ms)
        match what:
            case "push":
                missing, is_open = builder.missing, builder.is_open
                window = builder.push(piece)
                assert (window is not None) == (is_open and len(piece) >= missing)
            case "open":
                if not builder.is_open:
                    builder.open()
                    assert builder.missing == 8 * window_ms
            case "flush":
                builder.flush()
            case "close":
                builder.close()
                assert builder.missing == 8 * window_ms


def test_a_whole_window_pushed_at_once_goes_behind_what_is_held() -> None:
    builder = WindowBuilder(window_ms=40)
    builder.open()
    assert builder.push(frame(1) + frame(2)) == frame(1) + frame(2)
    assert builder.push(frame(3)) is None
    assert builder.push(frame(4) + frame(5)) == frame(3) + frame(4)
    assert builder.flush() == frame(5)
