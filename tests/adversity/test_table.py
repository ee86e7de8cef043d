"""The adversity table in its short form: every fault once, the same bars, through the same code as the command."""

from pathlib import Path

import pytest

from bench.adversity import play as run_of
from bench.adversity.cast import BOOK, BOOKING, Cast, tenant_with
from bench.adversity.plan import BRISK, PATIENT, Line, Plan, conversation
from bench.adversity.play import play
from bench.adversity.rows import ALL, BY_NAME
from bench.adversity.runner import run_short
from bench.adversity.table import as_text
from bench.adversity.types import MODEL_BARS, broken
from engine.sim.brain import GroundedBrain, HeardTurn, Reply, ToolWish
from engine.sim.moods import Rule, Silent
from engine.sim.scenario import HangUp
from engine.voice.cache import VoiceCache


@pytest.fixture(scope="session")
def voice(speech: VoiceCache) -> Path:
    Cast(speech._directory).render()
    return speech._directory


@pytest.mark.parametrize("row", [row.name for row in ALL if not row.real_time])
def test_every_row_holds_its_bars(row: str, voice: Path) -> None:
    (judged,) = run_short([BY_NAME[row]], voice, jobs=1)
    assert judged.holds, f"\n{as_text([judged])}"


@pytest.mark.parametrize("row", ["cut-again", "hang-up", "endpoint-loses"])
def test_the_same_seed_gives_the_same_sequence_of_events(row: str, voice: Path) -> None:
    first, again = (BY_NAME[row].run(3, voice) for _ in range(2))
    assert len(first.events) > 8
    assert again == first


def test_another_seed_gives_another_call(voice: Path) -> None:
    first, other = (BY_NAME["hang-up"].run(seed, voice) for seed in (3, 4))
    assert first.events != other.events


# --- the bars can be broken ------------------------------------------------------------------------------------------


def test_a_caller_who_is_left_in_silence_is_found(voice: Path) -> None:
    patience = tenant_with(filler_after_ms=9_000, stall_after_ms=12_000)
    plan = Plan(conversation(turns=2), rules=(Rule(Silent(), turn=2),), tenant=patience, books=0)
    (found,) = broken(MODEL_BARS, play(plan, 1, voice))
    assert found.startswith("silence ")


def test_an_effect_that_comes_twice_is_found(voice: Path) -> None:
    twice = (BOOK, ToolWish(BOOK.name, {**BOOK.arguments, "name": "Robin Leigh"}))
    plan = Plan((BRISK, Line(BOOKING), PATIENT, HangUp()), brain=GroundedBrain({"book me a cleaning": twice}))
    assert broken(MODEL_BARS, play(plan, 1, voice)) == ("1 effects doubled",)


def test_an_effect_that_never_comes_is_found(voice: Path) -> None:
    plan = Plan((BRISK, Line(BOOKING), PATIENT, HangUp()), brain=GroundedBrain())
    assert broken(MODEL_BARS, play(plan, 1, voice)) == ("1 effects lost",)


class Circles:
    """A model's mind that never comes to an end, and so never lets anybody else have a turn."""

    def reply(self, turn: HeardTurn) -> Reply:
        while True:
            pass


def test_a_run_that_turns_in_circles_is_ended_and_found_at_fault(voice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_of, "CIRCLING_CPU_S", 0.5)
    run = run_of.play(Plan(conversation(turns=2), brain=Circles()), 1, voice)
    assert broken(MODEL_BARS, run) == ("dropped (never ended)", "silence inf ms", "turned in circles")
