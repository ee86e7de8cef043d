"""The table: as text for people, as JSON to keep, as Markdown for the README. PURE."""

import math
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import engine
from bench.adversity.types import Row, RunResult, broken, broken_together, worst_silence
from engine.sim.report import Spread

GROUPS_SAID = {
    "model": "model: refused, cut, silent, slow, garbled, endless, tools twice or lost, its other endpoint",
    "time-limit": "time limit: goAway, also in mid-answer, in mid-question, too late, again; our own clock",
    "line": "line: cut, half-open, no frames, bursts, losses, slow reader, double events",
    "rest": "the carrier's REST: lost, 404, 429, 503, slow",
    "tools": "tool endpoints: down, slow, 500, 429, garbage, huge, redirecting",
    "barge-in": "interruptions, backchannels, echo",
    "store": "database: stopped, slow, silent, full of clients; and the disk full",
    "worker": "worker: `kill -9`, or standing still",
    "deploy": "rolling restart of all workers, SIGTERM of the service, under load",
}
_SHOWN = 5  # failing seeds named in the text


@dataclass(frozen=True, slots=True)
class Judged:
    """A row with all of its runs; what each failing seed broke, and what only all of them together can."""

    row: Row
    runs: tuple[RunResult, ...]

    @property
    def failures(self) -> dict[int, tuple[str, ...]]:
        """What broke, by seed."""
        found = {run.seed: broken(self.row.bars, run) for run in self.runs}
        return {seed: what for seed, what in found.items() if what}

    @property
    def together(self) -> tuple[str, ...]:
        """What all runs together broke."""
        return broken_together(self.row.bars, self.runs)

    @property
    def holds(self) -> bool:
        """Every bar."""
        return bool(self.runs) and not self.failures and not self.together

    def figures(self) -> dict[str, Any]:
        """JSON-ready."""
        p50, worst = worst_silence(self.runs)
        return {
            "group": self.row.group,
            "fault": self.row.fault,
            "runs": len(self.runs),
            "kept": sum(run.kept for run in self.runs),
            "silence_ms": {"p50": _whole(p50), "max": _whole(worst)},
            "effects": {
                "expected": sum(run.effects.expected for run in self.runs),
                "done": sum(run.effects.done for run in self.runs),
                "lost": sum(run.effects.lost for run in self.runs),
                "doubled": sum(run.effects.duplicated for run in self.runs),
            },
            "left": sum(bool(run.left) for run in self.runs),
            "turns": {"asked": sum(run.asked for run in self.runs), "answered": sum(run.answered for run in self.runs)},
            "return_ms": _spread([ms for run in self.runs for ms in run.return_ms]),
            "barge_in_ms": _spread([ms for run in self.runs for ms in run.barge_in_ms]),
            "outcomes": dict(Counter(run.outcome for run in self.runs).most_common()),
            "holds": self.holds,
            "failing_seeds": sorted(self.failures),
        }


def as_text(judged: Sequence[Judged]) -> str:
    """One line for each row; below a row that breaks a bar, which, and how to see it again."""
    head = f"{'group':<10} {'row':<22} {'runs':>4} {'kept':>4} {'silence p50':>11} {'max':>6} {'lost':>4} {'dbl':>3}  "
    lines = [f"{head}{'outcomes':<34} verdict"]
    for one in judged:
        figures = one.figures()
        silence, effects = figures["silence_ms"], figures["effects"]
        lines.append(
            f"{one.row.group:<10} {one.row.name:<22} {figures['runs']:>4} {figures['kept']:>4} "
            f"{silence['p50'] or 0:>8} ms {silence['max'] or 'inf':>6} {effects['lost']:>4} {effects['doubled']:>3}  "
            f"{_mix(figures['outcomes']):<34} {'ok' if one.holds else 'BROKEN'}"
        )
        lines += [f"{'':<11}{what}" for what in one.together]
        for seed, what in list(one.failures.items())[:_SHOWN]:
            replay = f"python -m bench.adversity --rows {one.row.name} --only-seed {seed} --events"
            lines.append(f"{'':<11}seed {seed}: {'; '.join(what)}   [{replay}]")
        if len(one.failures) > _SHOWN:
            lines.append(f"{'':<11}... and {len(one.failures) - _SHOWN} more seeds")
    return "\n".join(lines)


def as_json(judged: Sequence[Judged], *, seed: int, took_s: float) -> dict[str, Any]:
    """Everything that is kept for comparison."""
    return {
        "rows": {one.row.name: one.figures() for one in judged},
        "runs": sum(len(one.runs) for one in judged),
        "first_seed": seed,
        "took_s": round(took_s),
        "holds": all(one.holds for one in judged),
        "versions": {"frontdesk": engine.__version__, "python": platform.python_version()},
    }


def as_markdown(kept: Mapping[str, Any]) -> str:
    """The summary for the README, from what ``as_json`` gave: one line for each group, the worst of its rows."""
    lines = [
        "| group | faults | calls | kept | longest silence (median, worst) | effects lost, doubled | left behind |",
        "|---|---|---|---|---|---|---|",
    ]
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in kept["rows"].values():
        groups.setdefault(row["group"], []).append(row)
    for group, rows in groups.items():
        total = {name: sum(row[name] for row in rows) for name in ("runs", "kept", "left")}
        median = sorted(row["silence_ms"]["p50"] or 0 for row in rows)[len(rows) // 2]
        worst = max(_ms_or_endless(row["silence_ms"]["max"]) for row in rows)
        lost, doubled = (sum(row["effects"][name] for row in rows) for name in ("lost", "doubled"))
        lines.append(
            f"| {GROUPS_SAID.get(group, group)} | {len(rows)} | {total['runs']} | {total['kept']} "
            f"| {median / 1000:.1f} s, {worst / 1000:.1f} s | {lost}, {doubled} | {total['left'] or 'nothing'} |"
        )
    return "\n".join(lines)


def _mix(outcomes: Mapping[str, int]) -> str:
    text = ", ".join(f"{count} {name}" for name, count in outcomes.items())
    return text if len(text) <= 34 else f"{text[:31]}..."


def _ms_or_endless(ms: float | None) -> float:
    return math.inf if ms is None else ms


def _whole(ms: float) -> int | None:
    """Milliseconds; None for a silence without an end."""
    return round(ms) if math.isfinite(ms) else None


def _spread(values: Sequence[float]) -> dict[str, int | None] | None:
    spread = Spread.of(values)
    if spread is None:
        return None
    return {name: _whole(getattr(spread, name)) for name in ("p50", "p95", "max")}
