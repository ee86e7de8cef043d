"""The detector's table, row by row, and as a whole under Hypothesis."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.audio.speech import LULL_MS, Dismissal, Endpoint, Lull, Onset, SpeechDetector, SpeechEvent, Suspicion
from engine.errors import MisuseError

LOUD, FAINT = -20.0, -60.0


def run(
    detector: SpeechDetector, frames: str, *, agent_speaking: bool = False, start: int = 0
) -> list[tuple[int, SpeechEvent]]:
    """Push one frame per character (``x`` is loud, ``o`` unvoiced sound); events with the index of their frame."""
    found = []
    for index, character in enumerate(frames, start):
        event = detector.push(
            character == "x", FAINT if character == "." else LOUD, float(index), agent_speaking=agent_speaking
        )
        if event is not None:
            found.append((index, event))
    return found


def test_onset_comes_with_the_third_loud_frame_and_names_the_first() -> None:
    assert run(SpeechDetector(), "...xxx") == [(5, Onset(3.0))]


def test_onset_forgives_gaps_within_twice_its_time() -> None:
    assert run(SpeechDetector(), "x.x..x") == [(5, Onset(0.0))]
    assert run(SpeechDetector(), "x.x...x") == []


def test_endpoint_names_the_last_loud_frame_and_the_speech() -> None:
    detector = SpeechDetector(endpointing_ms=100)
    events = run(detector, "..xxxxx.....")
    assert events == [(4, Onset(2.0)), (11, Endpoint(at=6.0, decided_at=11.0, speech_ms=100.0))]
    assert not detector.is_speaking


def test_lone_loud_frame_does_not_begin_the_pause_anew() -> None:
    events = run(SpeechDetector(endpointing_ms=100), "xxx..x...")
    assert events[-1] == (8, Endpoint(at=2.0, decided_at=8.0, speech_ms=60.0))


def test_endpoint_is_not_decided_on_a_frame_that_may_be_new_speech() -> None:
    assert [index for index, _ in run(SpeechDetector(endpointing_ms=100), "xxx....x...")] == [2, 10]


@pytest.mark.parametrize("resumed", ["xx", "x.x"])
def test_speech_that_goes_on_ends_the_pause(resumed: str) -> None:
    frames = "xxx...." + resumed + "....."
    events = run(SpeechDetector(endpointing_ms=100), frames)
    last_loud = frames.rindex("x")
    assert [index for index, _ in events] == [2, last_loud + 5]
    assert events[-1][1] == Endpoint(last_loud, last_loud + 5, (last_loud + 1) * 20.0)


def test_a_lull_is_told_once_in_each_pause_that_is_long_enough_and_before_the_endpoint() -> None:
    pause = "." * (LULL_MS // 20)
    events = run(SpeechDetector(endpointing_ms=500), f"xxx{pause}..xxx{pause[3:]}xxx{pause}{pause}.....")
    assert [type(event) for _, event in events] == [Onset, Lull, Lull, Endpoint]
    assert events[1][0] == 2 + LULL_MS // 20


def test_where_the_endpoint_comes_as_early_there_is_no_lull() -> None:
    events = run(SpeechDetector(endpointing_ms=LULL_MS), "xxx" + "." * 20)
    assert [type(event) for _, event in events] == [Onset, Endpoint]


def test_backchannel_does_not_interrupt_the_agent_but_a_sentence_does() -> None:
    assert run(SpeechDetector(), "xxxxxxxxx", agent_speaking=True) == []
    assert run(SpeechDetector(), "xxxxxxxxxx", agent_speaking=True) == [(9, Onset(0.0))]


def wary() -> SpeechDetector:
    return SpeechDetector(barge_in_ms=400, suspect_ms=60)


def test_suspicion_comes_with_the_third_loud_frame_over_the_agent() -> None:
    assert run(wary(), "..x.xx", agent_speaking=True) == [(5, Suspicion())]
    assert run(wary(), "..x.x") == []


def test_suspicion_becomes_an_onset_or_is_dismissed_when_the_line_is_calm() -> None:
    assert run(wary(), "x" * 20, agent_speaking=True) == [(2, Suspicion()), (19, Onset(0.0))]
    assert run(wary(), "x" * 19 + "." * 7, agent_speaking=True) == [(2, Suspicion()), (25, Dismissal())]


def test_unvoiced_sound_keeps_a_suspicion_alive() -> None:
    """The s of "wait, sorry" is not voiced, and not silence either."""
    frames = "x" * 8 + "....." + "oooo" + "...." + "x" * 12
    assert [type(event) for _, event in run(wary(), frames, agent_speaking=True)] == [Suspicion, Onset]


def test_two_short_words_interrupt_though_one_does_not() -> None:
    frames = "x" * 10 + "......" + "x" * 8
    assert [type(event) for _, event in run(wary(), frames, agent_speaking=True)] == [Suspicion, Onset]


def test_a_rattling_line_is_suspected_once_until_it_is_calm() -> None:
    frames = "xx......" * 20
    detector = SpeechDetector(barge_in_ms=400, suspect_ms=40)
    rattle = [(i, event) for i, event in run(detector, frames.replace(".", "o"), agent_speaking=True)]
    assert rattle[:2] == [(1, Suspicion()), (1 + 20 + 15, Dismissal())]
    assert detector.statistics().suspicions > 1  # six frames without a loud one: as before any suspicion
    assert [type(event) for _, event in rattle[:4]] == [Suspicion, Dismissal, Suspicion, Dismissal]


def test_an_onset_tells_how_many_frames_ago_it_began() -> None:
    detector = wary()
    run(detector, "." * 30 + "x" * 20 + "..", agent_speaking=True)
    assert (detector.began, detector.frames) == (30, 52)


def test_speech_begun_over_the_agent_is_an_onset_once_the_agent_is_silent() -> None:
    detector = SpeechDetector()
    assert run(detector, "xxxxx", agent_speaking=True) == []
    assert run(detector, "x", start=5) == [(5, Onset(0.0))]


def test_too_faint_a_voice_is_not_the_caller() -> None:
    detector = SpeechDetector()
    assert all(detector.push(True, FAINT, float(i), agent_speaking=False) is None for i in range(20))
    assert detector.statistics().too_faint == 20


def test_frames_count_and_not_the_clock() -> None:
    detector = SpeechDetector(endpointing_ms=100)
    events = [detector.push(loud, LOUD, 7.5, agent_speaking=False) for loud in [True] * 3 + [False] * 5]
    assert events[-1] == Endpoint(7.5, 7.5, 60.0)


def test_sounds_before_an_endpoint_do_not_help_the_next_onset() -> None:
    detector = SpeechDetector(endpointing_ms=60, onset_ms=100)
    assert len(run(detector, "xxxxx..x...")) == 2
    assert run(detector, "xxxx", start=11) == []


def test_times_must_be_positive() -> None:
    with pytest.raises(MisuseError):
        SpeechDetector(endpointing_ms=0)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans()), max_size=400), st.integers(1, 30))
def test_events_alternate_and_their_times_fit(frames: list[tuple[bool, bool, bool]], endpointing: int) -> None:
    detector = SpeechDetector(endpointing_ms=20 * endpointing, suspect_ms=60)
    onset, spoken, suspected = None, 0.0, False
    for index, (voiced, near, agent) in enumerate(frames):
        event = detector.push(voiced, LOUD if near else FAINT, float(index), agent_speaking=agent)
        if isinstance(event, Suspicion):
            assert agent
            assert not suspected
            suspected = True
        elif isinstance(event, Dismissal):
            assert suspected
            suspected = False
        elif isinstance(event, Onset):
            suspected = False
            assert onset is None
            assert event.at <= index
            assert frames[int(event.at)][:2] == (True, True)
            assert voiced
            assert near
            onset = event.at
        elif isinstance(event, Endpoint):
            assert onset is not None
            assert onset <= event.at
            assert event.decided_at == index >= event.at + max(3, endpointing)
            assert not any(voiced and near for voiced, near, _ in frames[index - 2 : index + 1])
            assert event.speech_ms == (event.at - onset + 1) * 20
            spoken += event.speech_ms
            onset = None
        assert detector.is_speaking == (onset is not None)
        assert detector.is_doubtful == suspected
    seen = detector.statistics()
    assert seen.frames == len(frames)
    assert seen.onsets - seen.endpoints == detector.is_speaking
    assert seen.speech_ms == spoken
