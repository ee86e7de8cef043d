"""The table says what broke, for which seed, and how to see it again; and adds up what held."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.adversity.rows import ALL, chosen
from bench.adversity.table import GROUPS_SAID, Judged, as_json, as_markdown, as_text
from bench.adversity.types import GROUPS, Bars, Row, RunResult, broken, broken_together
from engine.sim.figures import Effects

GOOD = RunResult(1, kept=True, outcome="caller_hung_up", silence_ms=900.0, effects=Effects(1, 1, 0, 0))


def never(seed: int, voice_dir: Path) -> RunResult:
    raise AssertionError("judging runs nothing")


ROW = Row("deaf", "model", "reads nothing", never)
BAD: dict[str, tuple[RunResult, Bars]] = {
    "dropped": (replace(GOOD, kept=False, outcome="crashed"), Bars()),
    "silence 2001 ms": (replace(GOOD, silence_ms=2001.0), Bars()),
    "back after 3200 ms": (replace(GOOD, return_ms=(100.0, 3200.0)), Bars(return_ms=3000.0)),
    "1 effects lost": (replace(GOOD, effects=Effects(1, 0, 0, 1)), Bars()),
    "1 effects doubled": (replace(GOOD, effects=Effects(1, 2, 1, 0)), Bars()),
    "left: 2 sockets": (replace(GOOD, left=("2 sockets",)), Bars()),
    "carrier: 31951": (replace(GOOD, faults=("carrier: 31951",)), Bars()),
}


def test_a_run_that_holds_every_bar_breaks_none() -> None:
    assert broken(Bars(return_ms=3000.0), GOOD) == ()


@pytest.mark.parametrize("what", BAD)
def test_each_bar_can_be_broken(what: str) -> None:
    run, bars = BAD[what]
    (found,) = broken(bars, run)
    assert found.startswith(what)
    assert not Judged(ROW if bars == Bars() else replace(ROW, bars=bars), (GOOD, run)).holds


def test_barge_in_is_judged_over_all_runs_of_a_row() -> None:
    bars = Bars(barge_in_ms=200.0)
    quick, slow = replace(GOOD, barge_in_ms=(150.0,) * 19), replace(GOOD, barge_in_ms=(400.0, 400.0))
    assert broken_together(bars, [quick]) == ()
    assert broken_together(bars, [quick, slow]) == ("barge-in p95 400 ms",)
    assert broken_together(bars, [GOOD]) == ("no barge-in was measured",)


def test_a_row_without_a_run_holds_nothing() -> None:
    assert not Judged(ROW, ()).holds


def test_a_broken_bar_is_shown_with_its_seed_and_how_to_replay_it() -> None:
    text = as_text([Judged(ROW, (GOOD, replace(GOOD, seed=7, silence_ms=2500.0)))])
    assert "BROKEN" in text
    assert "seed 7: silence 2500 ms   [python -m bench.adversity --rows deaf --only-seed 7 --events]" in text


def test_a_held_row_is_one_line() -> None:
    assert as_text([Judged(ROW, (GOOD,))]).splitlines()[1:] == [
        "model      deaf                      1    1      900 ms    900    0   0  1 caller_hung_up                   ok"
    ]


def test_the_figures_are_what_the_runs_add_up_to() -> None:
    dropped = replace(GOOD, seed=2, kept=False, outcome="crashed", silence_ms=5000.0)
    kept = as_json([Judged(ROW, (GOOD, dropped, replace(GOOD, seed=3)))], seed=1, took_s=1.0)
    assert json.loads(json.dumps(kept)) == kept
    row = kept["rows"]["deaf"]
    assert (row["runs"], row["kept"], row["failing_seeds"], kept["holds"]) == (3, 2, [2], False)
    assert row["silence_ms"] == {"p50": 900, "max": 5000}
    assert row["effects"] == {"expected": 3, "done": 3, "lost": 0, "doubled": 0}
    assert row["outcomes"] == {"caller_hung_up": 2, "crashed": 1}


def test_the_summary_has_one_line_for_each_group_with_its_worst() -> None:
    other = replace(ROW, name="slow", fault="slow")
    line = replace(ROW, name="cut", group="line")
    judged = [Judged(ROW, (GOOD,)), Judged(other, (replace(GOOD, silence_ms=1600.0),)), Judged(line, (GOOD,))]
    assert as_markdown(as_json(judged, seed=1, took_s=1.0)).splitlines()[2:] == [
        f"| {GROUPS_SAID['model']} | 2 | 2 | 2 | 1.6 s, 1.6 s | 0, 0 | nothing |",
        f"| {GROUPS_SAID['line']} | 1 | 1 | 1 | 0.9 s, 0.9 s | 0, 0 | nothing |",
    ]


def test_every_row_has_a_name_of_its_own_and_a_known_group() -> None:
    assert len({row.name for row in ALL}) == len(ALL)
    assert {row.group for row in ALL} <= set(GROUPS)


def test_rows_are_chosen_by_name_and_group() -> None:
    assert [row.name for row in chosen(["deaf", "bursts"])] == ["deaf", "bursts"]
    assert {row.group for row in chosen(group="line")} == {"line"}
    with pytest.raises(KeyError):
        chosen(["no such row"])
