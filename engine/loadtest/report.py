"""What came of a load test: the report with the fixed keys, and whether quality held. PURE."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from engine.loadtest.run import Outcome
from engine.loadtest.series import Sample
from engine.sim.figures import figures, spread

GENERATOR_CORES = 0.90  # of its core: above it the generator, not the server, sets the limit
GENERATOR_LATE_MS = 40.0  # two frames: its own callers hear gaps
SERVER_CORES = 0.90  # of each worker's core
POLL_MS = 5.0  # callers read their sockets this often: a shorter gap may be theirs
RESPONSE_SLACK_MS = 50.0
BIN_MS = 10


@dataclass(frozen=True, slots=True)
class Bar:
    """Did quality hold? ``failures`` says where not. ``limited_by`` is ``server``, ``generator`` or ``none``."""

    failures: tuple[str, ...]
    limited_by: str

    @property
    def held(self) -> bool:
        """Nothing failed."""
        return not self.failures


def report_of(outcome: Outcome, *, workers: int = 1, unloaded_p99_ms: float | None = None) -> dict[str, Any]:
    """By the fixed keys, and ``load`` beside them; JSON-ready. ``None`` is what was not measured."""
    plan, calls = outcome.plan, outcome.seen.calls
    bar = judge(outcome, workers=workers, unloaded_p99_ms=unloaded_p99_ms)
    report = figures(calls, seed=plan.seed, metrics=None, limited_by=bar.limited_by)
    samples = outcome.seen.samples
    if outcome.steady is not None and outcome.steady.calls:
        steady = outcome.steady
        lags = sorted(sample.loop_lag_ms for sample in samples if sample.loop_lag_ms is not None)
        report["server"] = {
            "cores": round(steady.cpu_s / steady.seconds, 3),
            "cpu_ms_per_call_second": round(1000 * steady.cpu_s / steady.seconds / steady.calls, 3),
            "memory_mib_per_call": round((steady.rss_mib - steady.empty_mib) / steady.calls, 3),
            "loop_lag_ms": {"p50": lags[len(lags) // 2], "max": lags[-1]} if lags else None,
        }
        if plan.faults == "none" and plan.scenario == "questions":
            report["added_ms"] = spread(ms for call in calls for ms in call.added_ms)
    gaps = sorted((gap for call in calls for gap in call.gaps_ms), reverse=True)
    report["load"] = {
        "plan": msgspec.to_builtins(plan),
        "held": bar.held,
        "failures": list(bar.failures),
        "calls_with_underruns": sum(any(gap > POLL_MS for gap in call.gaps_ms) for call in calls),
        "longest_gaps_ms": gaps[:5],
        "turns_answered": sum(len(call.responses) for call in calls),
        "unanswered": sum(call.unanswered for call in calls),
        "given_up": sum(call.given_up for call in calls),
        "served_by_static_script": sum(call.static for call in calls),
        "lost_frames": sum(call.discarded_chunks for call in calls),
        "generator_cores": _most(sample.generator_cores for sample in samples),
        "generator_late_ms": _most(sample.generator_late_ms for sample in samples),
    }
    report["response_histogram"] = _histogram(ms for call in calls for ms in call.responses)
    report["series"] = [asdict(sample) | {"cpu_ms_per_call": _cpu_ms_per_call(sample)} for sample in samples]
    return report


def judge(outcome: Outcome, *, workers: int = 1, unloaded_p99_ms: float | None = None) -> Bar:
    """The quality bar: no underruns, nobody dropped or unanswered, responses as fast as without load, and the server
    with something left.
    """
    seen, plan = outcome.seen, outcome.plan
    failures: list[str] = []
    dry = sum(any(gap > POLL_MS for gap in call.gaps_ms) for call in seen.calls)
    if dry:
        failures.append(f"{dry} calls heard gaps")
    if seen.dropped:
        failures.append(f"{seen.dropped} calls were dropped or not answered")
    if plan.faults == "none":
        if static := sum(call.static for call in seen.calls):
            failures.append(f"{static} calls got the static script")
        if unanswered := sum(call.unanswered for call in seen.calls):
            failures.append(f"{unanswered} questions were not answered")
        heard = seen.responses
        if unloaded_p99_ms is not None and heard is not None and heard.p99 > unloaded_p99_ms + RESPONSE_SLACK_MS:
            failures.append(f"response p99 {heard.p99:.0f} ms, {unloaded_p99_ms:.0f} without load")
    server = 0.0
    if outcome.steady is not None:
        server = outcome.steady.cpu_s / outcome.steady.seconds / workers
        if server > SERVER_CORES:
            failures.append(f"the server is busy for {100 * server:.0f} % of its core")
    return Bar(tuple(failures), _limited_by(outcome, failed=bool(failures), server=server))


def _limited_by(outcome: Outcome, *, failed: bool, server: float) -> str:
    samples = [sample for sample in outcome.seen.samples if sample.at_s > outcome.plan.ramp_s]
    busy = sorted(sample.generator_cores for sample in samples)
    late = sorted(sample.generator_late_ms for sample in samples)
    # Of nine seconds in ten: one second is what a collection or another process can cost.
    mostly = int(len(samples) * 0.9)
    if samples and (busy[min(mostly, len(busy) - 1)] > GENERATOR_CORES or late[len(late) // 2] > GENERATOR_LATE_MS):
        return "generator"
    return "server" if failed or server > SERVER_CORES else "none"


def _histogram(values: Iterable[float]) -> dict[str, Any]:
    """How many responses began in each ``bin_ms``, by the beginning of the bin."""
    counts = Counter(int(ms // BIN_MS) * BIN_MS for ms in values)
    return {"bin_ms": BIN_MS, "counts": {str(begins): counts[begins] for begins in sorted(counts)}}


def _cpu_ms_per_call(sample: Sample) -> float | None:
    return round(1000 * sample.server_cores / sample.up, 2) if sample.server_cores is not None and sample.up else None


def _most(values: Iterable[float]) -> float | None:
    return max(values, default=None)
