"""The jitter buffer's table, row by row, then against an independent model under Hypothesis."""

import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from engine.audio.jitter_buffer import JitterBuffer, Placement
from engine.errors import MisuseError

SILENCE = b"\xff" * 160


def frame(number: int) -> bytes:
    return bytes([number % 255]) * 160


def drain(buffer: JitterBuffer, now: float) -> list[bytes]:
    return list(iter(lambda: buffer.pop(now), None))


def test_frames_come_out_at_once_whatever_the_first_timestamp_is() -> None:
    buffer = JitterBuffer()
    for number in range(5):
        assert buffer.insert(155 + 20 * number, frame(number), number * 0.02) is Placement.PLACED
        assert drain(buffer, number * 0.02) == [frame(number)]


def test_burst_after_a_gap_in_delivery_comes_out_whole() -> None:
    buffer = JitterBuffer()
    buffer.insert(0, frame(0), 0.0)
    drain(buffer, 0.0)
    assert drain(buffer, 0.232) == []
    for number in range(1, 13):
        buffer.insert(20 * number, frame(number), 0.233)
    assert drain(buffer, 0.233) == [frame(number) for number in range(1, 13)]
    assert buffer.statistics().padded_ms == 0


def test_hole_in_the_timestamps_becomes_silence_at_once() -> None:
    buffer = JitterBuffer()
    buffer.insert(0, frame(1), 0.0)
    assert buffer.insert(60, frame(2), 0.02) is Placement.FILLED
    assert drain(buffer, 0.02) == [frame(1), SILENCE, SILENCE, frame(2)]
    assert (buffer.statistics().holes, buffer.statistics().padded_ms) == (1, 40)


@pytest.mark.parametrize("timestamp", [10_021, 5_000_000, -30])
def test_jump_of_the_clock_is_a_resync_and_not_a_hole(timestamp: int) -> None:
    buffer = JitterBuffer()
    buffer.insert(0, frame(1), 0.0)
    assert buffer.insert(timestamp, frame(2), 0.02) is Placement.RESYNCED
    assert buffer.insert(timestamp + 20, frame(3), 0.04) is Placement.PLACED
    assert drain(buffer, 0.04) == [frame(1), frame(2), frame(3)]
    assert (buffer.statistics().resyncs, buffer.statistics().holes) == (1, 0)


def test_longest_hole_is_filled() -> None:
    buffer = JitterBuffer()
    buffer.insert(0, frame(1), 0.0)
    assert buffer.insert(10_020, frame(2), 0.02) is Placement.FILLED
    assert len(drain(buffer, 0.02)) == 502


def test_constant_timestamps_lose_no_audio() -> None:
    buffer = JitterBuffer()
    for number in range(50):
        buffer.insert(0, frame(number), number * 0.02)
    assert drain(buffer, 1.0) == [frame(number) for number in range(50)]


def test_rounded_timestamps_of_odd_payloads_make_no_holes() -> None:
    buffer, sent = JitterBuffer(), 0
    for number in range(3000):
        size = 33 + number % 7
        assert buffer.insert(171 + sent // 8, bytes(size), sent / 8000) is Placement.PLACED
        sent += size
    assert len(drain(buffer, sent / 8000)) == sent // 160


def test_small_losses_add_up_to_a_hole() -> None:
    buffer, timestamp = JitterBuffer(), 0
    placements = []
    for number in range(9):
        placements.append(buffer.insert(timestamp, frame(number), number * 0.02))
        timestamp += 27  # 7 ms are lost every time
    assert [index for index, placement in enumerate(placements) if placement is Placement.FILLED] == [3, 6]
    assert buffer.statistics().padded_ms == 42


def test_patience_over_silence_comes_at_real_time_pace() -> None:
    buffer = JitterBuffer()
    assert buffer.next_deadline() is None
    assert buffer.pop(99.0) is None
    buffer.insert(0, frame(1), 100.0)
    assert drain(buffer, 100.0) == [frame(1)]
    assert buffer.next_deadline() == 100.3
    assert drain(buffer, 100.299) == []
    popped = [len(drain(buffer, 100.3 + 0.02 * tick + 0.001)) for tick in range(50)]
    assert popped == [1] * 50
    assert buffer.statistics().padded_ms == 1000


def test_silence_completes_a_frame_that_was_begun() -> None:
    buffer = JitterBuffer()
    buffer.insert(0, b"\x01" * 40, 0.0)
    assert drain(buffer, 0.31) == [b"\x01" * 40 + b"\xff" * 120]
    assert buffer.statistics().padded_ms == 15


def test_audio_for_time_already_padded_is_heard_all_the_same_behind_the_padding() -> None:
    buffer = JitterBuffer()
    buffer.insert(155, frame(0), 0.0)
    drain(buffer, 0.0)
    padding = [silent for tick in range(51) for silent in drain(buffer, 0.02 * tick + 0.001)]
    assert padding == [SILENCE] * 36  # 0.3 s to 1.0 s
    placements = [buffer.insert(175 + 20 * number, frame(number), 1.001) for number in range(50)]
    assert placements == [Placement.LATE] + [Placement.PLACED] * 49
    assert drain(buffer, 1.001) == [frame(number) for number in range(50)]
    assert (buffer.statistics().late, buffer.statistics().late_ms) == (1, 720)


def test_a_hole_behind_what_came_late_is_measured_from_there() -> None:
    buffer = JitterBuffer()
    buffer.insert(0, frame(0), 0.0)
    for tick in range(51):
        drain(buffer, 0.02 * tick)
    buffer.insert(20, frame(1), 1.0)
    assert buffer.insert(80, frame(2), 1.0) is Placement.FILLED
    assert drain(buffer, 1.0) == [frame(1), SILENCE, SILENCE, frame(2)]


@pytest.mark.parametrize(("placed_after_padding", "timestamp"), [(1, 400), (0, -500)])
def test_jump_back_behind_anything_but_padding_is_a_resync(placed_after_padding: int, timestamp: int) -> None:
    buffer = JitterBuffer()
    buffer.insert(0, frame(0), 0.0)
    for tick in range(51):
        drain(buffer, 0.02 * tick)
    for number in range(placed_after_padding):
        assert buffer.insert(740 + 20 * number, frame(number), 1.0) is Placement.FILLED
    assert buffer.insert(timestamp, frame(9), 1.01) is Placement.RESYNCED
    assert drain(buffer, 1.01)[-1] == frame(9)


def test_line_that_lags_is_late_only_once() -> None:
    buffer = JitterBuffer()
    buffer.insert(0, frame(0), 0.0)
    for tick in range(40):
        drain(buffer, 0.02 * tick)
    placements = [buffer.insert(20 + 20 * tick, frame(tick), 0.8 + 0.02 * tick) for tick in range(60)]
    assert placements == [Placement.LATE] + [Placement.PLACED] * 59


def test_stall_of_ours_is_not_taken_for_silence_of_the_line() -> None:
    buffer = JitterBuffer()
    buffer.insert(0, frame(0), 0.0)
    drain(buffer, 0.0)
    assert len(drain(buffer, 5.0)) <= 6


def test_nonsense_settings_are_refused() -> None:
    with pytest.raises(MisuseError):
        JitterBuffer(patience_ms=0)


class JitterMachine(RuleBasedStateMachine):
    """A sender with a sample clock, and a list of what must come out; every placed sample says who it is."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = JitterBuffer(patience_ms=100, hole_cap_ms=1000)
        self.now = 50.0
        self.last_arrival = -1.0
        self.position = 155 * 8  # of the sender's clock, in samples
        self.numbers = itertools.cycle(range(255))
        self.kept = b""  # all that was placed
        self.out = b""

    @rule(size=st.one_of(st.just(160), st.integers(1, 999)), lost=st.sampled_from([0, 0, 0, 0, 40, 155, 160, 1600]))
    def arrive(self, size: int, lost: int) -> None:
        self.position += lost
        payload = bytes([next(self.numbers)]) * size
        before = self.buffer.statistics()
        placement = self.buffer.insert(self.position // 8, payload, self.now)
        after = self.buffer.statistics()
        self.kept += payload
        self.position += size
        self.last_arrival = self.now
        assert after.late - before.late == (placement is Placement.LATE)
        # Only drift that silence had hidden may come to light like this, and it costs no sound.
        assert after.resyncs - before.resyncs == (placement is Placement.RESYNCED)

    @rule(ms=st.integers(1, 250))
    def wait(self, ms: int) -> None:
        self.now += ms / 1000

    @rule()
    def pop_all(self) -> None:
        while (piece := self.buffer.pop(self.now)) is not None:
            assert len(piece) == 160
            self.out += piece
        deadline = self.buffer.next_deadline()
        assert deadline is None or deadline > self.now

    @rule(ms=st.integers(-5000, 5000))
    def jump(self, ms: int) -> None:
        before = self.buffer.statistics()
        placement = self.buffer.insert(self.position // 8 + ms, b"\xfe" * 160, self.now)
        self.last_arrival = self.now
        resynced = self.buffer.statistics().resyncs - before.resyncs
        assert resynced == (placement is Placement.RESYNCED)
        self.kept += b"\xfe" * 160
        self.position += ms * 8 + 160

    @invariant()
    def nothing_is_lost_or_out_of_order(self) -> None:
        sounds = self.out.replace(b"\xff", b"")
        assert self.kept.startswith(sounds)

    @invariant()
    def every_sample_is_accounted_for(self) -> None:
        seen = self.buffer.statistics()
        assert len(self.out) + seen.depth_ms * 8 == len(self.kept) + seen.padded_ms * 8
        assert seen.depth_ms < seen.peak + 20

    @invariant()
    def silence_is_only_ever_due_after_patience(self) -> None:
        deadline = self.buffer.next_deadline()
        assert (deadline is None) == (self.last_arrival < 0)
        assert deadline is None or deadline >= self.last_arrival + 0.1 - 1e-9


JitterMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestJitterBuffer = JitterMachine.TestCase
