"""One call through many sessions: a short form of ``bench.adversity.long_call``, and its bars can be broken."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.adversity.cast import Cast
from bench.adversity.long_call import Figures, long_call
from engine.call.record import HISTORY_CHARS
from engine.voice.cache import VoiceCache

LIMIT_S = 70.0  # the least that the setting takes: a session is followed by the next after 10 s


@pytest.fixture(scope="module")
def voice(speech: VoiceCache) -> Path:
    Cast(speech._directory).render()
    return speech._directory


def test_a_call_outlives_its_sessions_and_nothing_grows_but_its_transcript(voice: Path) -> None:
    figures = long_call(voice, minutes=0.7, limit_s=LIMIT_S, heap=False)
    assert figures.broken(LIMIT_S) == []
    assert figures.sessions >= 3
    assert figures.told_chars > 0, "a successor knows what was said"


GOOD = Figures(
    minutes=120.0,
    turns=500,
    unanswered=0,
    sessions=14,
    longest_session_s=560.0,
    uncompressed=0,
    told_of_it=0,
    slowest_answer_ms=900,
    told_chars=HISTORY_CHARS,
    tasks_first_quarter=20,
    tasks_last_quarter=20,
    heap_kib=2000.0,
    heap_kib_per_minute=12.0,
    left=0,
)


@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("unanswered", 1),
        ("longest_session_s", 601.0),
        ("uncompressed", 1),
        ("told_of_it", 1),
        ("slowest_answer_ms", 2001.0),
        ("told_chars", HISTORY_CHARS + 1),
        ("tasks_last_quarter", 21),
        ("heap_kib_per_minute", 65.0),
        ("left", 1),
    ],
)
def test_each_of_its_bars_can_be_broken(what: str, value: float) -> None:
    assert GOOD.broken(600.0) == []
    assert len(replace(GOOD, **{what: value}).broken(600.0)) == 1  # type: ignore[arg-type]
