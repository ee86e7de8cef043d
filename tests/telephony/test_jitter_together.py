"""Frames that are looked at together: nothing is told differently, or later, for it."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.messages import FloorEvent, SpeechEnded, SpeechStarted
from engine.telephony.jitter import FRAMES_OVER_AGENT
from tests.telephony.parts import SILENCE, loud
from tests.telephony.test_jitter import WINDOW_MS, Rig, gated


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["loud", "quiet", "agent", "hush", "click"]), st.integers(1, 40)), max_size=12)
)
def test_frames_that_wait_for_each_other_tell_the_same_at_the_same_instant(steps: list[tuple[str, int]]) -> None:
    """What is looked at several frames at a time, as ``pump`` allows, against every frame as it comes."""
    with gated() as each, gated() as together:
        each.gate.open()
        together.gate.open()
        patience = 0.0
        told: list[list[tuple[int, FloorEvent]]] = [[], []]
        heard = [b"", b""]
        pumps = frames = 0
        for what, count in steps:
            if what in {"agent", "hush"}:
                each.agent_sounds = together.agent_sounds = what == "agent"
            for index in range(count if what not in {"agent", "hush"} else 0):
                frame = loud(frames) if what == "loud" or (what == "click" and index % 4 == 0) else SILENCE
                now, frames = 0.02 * (frames + 1), frames + 1
                for rig in (each, together):
                    rig.gate.insert(20 * frames, frame, now)
                each.gate.pump(now)
                if now >= patience:
                    pumps += 1
                    patience = together.gate.pump(now)
                for number, rig in enumerate((each, together)):
                    told[number] += [(frames, event) for event in rig.events()]
                    heard[number] += b"".join(rig.windows())
                if told[1] and told[1][-1][0] == frames and isinstance(told[1][-1][1], SpeechEnded):
                    assert heard[0] == heard[1], "the end was told before all up to it had been sent"
        assert [(at, _rounded(event)) for at, event in told[0]] == [(at, _rounded(event)) for at, event in told[1]]
        assert each.hushed == together.hushed
        assert heard[0].startswith(heard[1])
        assert len(heard[0]) - len(heard[1]) <= 8 * (WINDOW_MS + 40)
        if frames > 200 and {what for what, _ in steps} == {"quiet"}:
            assert pumps < 0.4 * frames


def _rounded(event: FloorEvent) -> FloorEvent:
    match event:
        case SpeechStarted(at):
            return SpeechStarted(round(at, 6))
        case SpeechEnded(at, decided_at, speech_ms):
            return SpeechEnded(round(at, 6), round(decided_at, 6), speech_ms)
    return event


async def test_a_quiet_line_is_looked_at_three_frames_at_a_time_and_a_loud_one_in_time() -> None:
    with gated() as rig:
        patience = [rig.gate.pump(0.0)]
        for frame in range(1, 10):
            rig.gate.insert(20 * frame, SILENCE, 0.02 * frame)
            patience.append(rig.gate.pump(0.02 * frame))
        assert patience[-1] == pytest.approx(0.18 + 0.05)
        rig.gate.insert(200, loud(1), 0.2)
        assert rig.gate.pump(0.2) == pytest.approx(0.2 + 0.03)
        rig.gate.insert(220, loud(2), 0.22)
        assert rig.gate.pump(0.22) == pytest.approx(0.22 + 0.01)


def said_to(rig: Rig, frames: int) -> list[tuple[int, int]]:
    """Frames of speech, the line looking as rarely as it may: of each look, its frame and the windows that it gave."""
    looks: list[tuple[int, int]] = []
    patience = 0.0
    for number in range(1, frames + 1):
        rig.gate.insert(20 * number, loud(number), 0.02 * number)
        if 0.02 * number >= patience:
            patience = rig.gate.pump(0.02 * number)
            looks.append((number, len(rig.windows())))
    return looks


async def test_a_caller_who_speaks_is_looked_at_once_a_window_when_it_is_whole() -> None:
    with gated() as rig:
        rig.gate.open()
        looks = said_to(rig, 40)
        assert [number for number, _ in looks[-5:]] == [20, 25, 30, 35, 40]
        assert [windows for _, windows in looks[-5:]] == [1] * 5


async def test_no_window_goes_up_later_than_its_last_frame_came() -> None:
    with gated() as rig:
        rig.hear(*[SILENCE] * 3)
        rig.gate.open()
        rig.windows()
        sent = 0
        for number, windows in said_to(rig, 60):
            sent += windows
            assert sent == number // 5


async def test_while_the_agent_sounds_keys_and_marks_wait_for_three_frames_at_most() -> None:
    with gated() as rig:
        rig.gate.open()
        said_to(rig, 20)
        rig.agent_sounds = True
        looks = [number for number, _ in said_to(rig, 40)]
        assert max(later - earlier for earlier, later in itertools.pairwise(looks)) == FRAMES_OVER_AGENT


async def test_what_comes_in_a_burst_is_dated_as_if_the_newest_had_come_with_it() -> None:
    """A second of speech and its end at once: only the frames that had been waited for count as earlier."""
    with gated() as rig:
        for number in range(60):
            rig.gate.insert(20 * number, loud(number) if number < 30 else SILENCE, 5.0)
        rig.gate.pump(5.0)
        began, ended = rig.events()
        assert isinstance(began, SpeechStarted)
        assert isinstance(ended, SpeechEnded)
        assert (began.at, ended.at, ended.decided_at) == (5.0, 5.0, 5.0)
