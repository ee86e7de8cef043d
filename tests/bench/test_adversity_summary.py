"""One command prints all that was kept; what was not measured is left out."""

import json
from dataclasses import asdict
from pathlib import Path

from bench.adversity.long_call import as_json as long_call_as_json
from bench.adversity.rows import ALL
from bench.adversity.summary import summary
from bench.adversity.table import GROUPS_SAID, Judged, as_json
from bench.adversity.types import Row, RunResult
from bench.adversity.worker_rows import judge
from bench.workers_table import Call
from tests.adversity.test_long_call import GOOD

ROW = Row("cut", "model", "cut", run=lambda seed, _: RunResult(seed, kept=True, outcome="ok", silence_ms=900.0))


def keep(folder: Path, name: str, figures: object) -> None:
    (folder / f"{name}.json").write_text(json.dumps(figures))


def test_the_summary_has_what_was_kept_and_nothing_else(tmp_path: Path) -> None:
    judged = [Judged(ROW, (ROW.run(1, tmp_path),))]
    keep(tmp_path, "adversity", as_json(judged, seed=1, took_s=1.0))
    assert len(summary(tmp_path).split("\n\n")) == 1
    keep(tmp_path, "long-call", long_call_as_json(GOOD, 600.0))
    row = {"name": "tool", "quiet_p99_ms": 1.0, "loud_p99_ms": 1.25, "ratio": 1.25, "memory_mib": -0.4}
    keep(tmp_path, "neighbours", {"rows": [row]})
    _, line, neighbours = summary(tmp_path).split("\n\n")
    assert line.startswith("One call without an end: 120 minutes, 500 turns (0 unanswered), 14 sessions")
    assert neighbours.splitlines()[-1] == "| tool | 1.0 ms | 1.2 ms | 1.25 | -0 MiB |"
    assert asdict(GOOD).keys() < long_call_as_json(GOOD, 600.0).keys()


def test_every_group_that_has_rows_is_said_in_words() -> None:
    assert {row.group for row in ALL} <= GROUPS_SAID.keys()


def test_a_call_that_never_came_to_an_end_is_not_kept() -> None:
    run = judge(7, Call(None, (), 0, told_booked=False), static=False)
    assert (run.seed, run.kept, run.silence_ms) == (7, False, float("inf"))
