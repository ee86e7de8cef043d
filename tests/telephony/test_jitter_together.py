"""Frames that are looked at together: nothing is told differently, or later, for it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.messages import FloorEvent, SpeechEnded, SpeechStarted
from tests.telephony.parts import SILENCE, loud
from tests.telephony.test_jitter import WINDOW_MS, gated


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
