"""What came of a load test: the report with the fixed keys, and whether quality held. PURE."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from engine.loadtest.run import Outcome
from engine.loadtest.series import Sample
from engine.loadtest.watch import Steady
from engine.sim.figures import figures, spread

GENERATOR_CORES = 0.90  # of its core: above it the generator, not the server, sets the limit
GENERATOR_LATE_MS = 40.0  # two frames: its own callers hear gaps
SHARED_CORES = 0.97  # used, of what callers, model and database share: nobody there gets what they want any more
MOSTLY = 0.9  # of the seconds: one in ten is what a collection or another process can cost
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


def report_of(outcome: Outcome, *, unloaded_p99_ms: float | None = None) -> dict[str, Any]:
    """By the fixed keys, and ``load`` beside them; JSON-ready. ``None`` is what was not measured."""
    plan, calls = outcome.plan, outcome.seen.calls
    bar = judge(outcome, unloaded_p99_ms=unloaded_p99_ms)
    report = figures(calls, seed=plan.seed, metrics=None, limited_by=bar.limited_by)
    samples = outcome.seen.samples
    if outcome.steady is not None and outcome.steady.calls:
        steady = outcome.steady
        report["server"] = {
            "cores": round(steady.cpu_s / steady.seconds, 3),
            "cpu_ms_per_call_second": round(1000 * steady.cpu_s / steady.seconds / steady.calls, 3),
            "memory_mib_per_call": round((steady.rss_mib - steady.empty_mib) / steady.calls, 3),
            "loop_lag_ms": _half_and_most(sample.loop_lag_ms for sample in samples),
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
        # Of the worst of each second: the median and the largest.
        "lateness": {
            "server": _half_and_most(sample.plane_late_ms for sample in samples),
            "generator": _half_and_most(sample.generator_late_ms for sample in samples),
            "generator_p99": _half_and_most(sample.generator_late_p99_ms for sample in samples),
        },
        "generator": _generator(outcome.steady, samples),
        "memory": _memory(outcome.steady),
        "checks": {"callers": plan.checks, "model": plan.model_checks},
        "model_protocol_faults": outcome.seen.model_faults,
    }
    report["response_histogram"] = _histogram(ms for call in calls for ms in call.responses)
    report["series"] = [asdict(sample) | {"cpu_ms_per_call": _cpu_ms_per_call(sample)} for sample in samples]
    return report


def judge(outcome: Outcome, *, unloaded_p99_ms: float | None = None) -> Bar:
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
    if faults := sum(call.protocol_fault_count for call in seen.calls):
        failures.append(f"the carrier's protocol was broken {faults} times")
    if plan.faults == "none":
        if seen.model_faults:
            failures.append(f"the model's protocol was broken {seen.model_faults} times")
        if static := sum(call.static for call in seen.calls):
            failures.append(f"{static} calls got the static script")
        if unanswered := sum(call.unanswered for call in seen.calls):
            failures.append(f"{unanswered} questions were not answered")
        heard = seen.responses
        if unloaded_p99_ms is not None and heard is not None and heard.p99 > unloaded_p99_ms + RESPONSE_SLACK_MS:
            failures.append(f"response p99 {heard.p99:.0f} ms, {unloaded_p99_ms:.0f} without load")
    server = 0.0
    if outcome.steady is not None:
        server = outcome.steady.cpu_s / outcome.steady.seconds / (plan.workers or 1)
        if server > SERVER_CORES:
            failures.append(f"the server is busy for {100 * server:.0f} % of its core")
    return Bar(tuple(failures), _limited_by(outcome, failed=bool(failures), server=server))


def _limited_by(outcome: Outcome, *, failed: bool, server: float) -> str:
    samples = [sample for sample in outcome.seen.samples if sample.at_s > outcome.plan.ramp_s]
    if samples and _generator_at_its_limit(samples, failed=failed):
        return "generator"
    return "server" if failed or server > SERVER_CORES else "none"


def _generator_at_its_limit(samples: Sequence[Sample], *, failed: bool) -> bool:
    """``failed``: somebody suffered; where nobody did, a core that is shared may well be used up."""

    def mostly(values: Iterable[float | None]) -> float:
        ranked = sorted(value for value in values if value is not None)
        return ranked[min(int(len(ranked) * MOSTLY), len(ranked) - 1)] if ranked else 0.0

    late = sorted(sample.generator_late_ms for sample in samples)
    shared = sorted(sample.elsewhere_busy for sample in samples if sample.elsewhere_busy is not None)
    return (
        mostly(sample.generator_cores for sample in samples) > GENERATOR_CORES
        or mostly(sample.peers_cores for sample in samples) > GENERATOR_CORES
        or late[len(late) // 2] > GENERATOR_LATE_MS
        or (failed and bool(shared) and shared[len(shared) // 2] > SHARED_CORES)
    )


def _generator(steady: Steady | None, samples: Sequence[Sample]) -> dict[str, Any] | None:
    """What everybody but the gateway used while all calls were up; None where the gateway is not ours."""
    if steady is None or not steady.calls:
        return None
    cores = {
        "callers": steady.callers_cpu_s / steady.seconds,
        "peers": steady.peers_cpu_s / steady.seconds,
        "database": steady.database_cpu_s / steady.seconds,
    }
    busy = sorted(sample.elsewhere_busy for sample in samples if sample.elsewhere_busy is not None)
    return {f"{name}_cores": round(used, 3) for name, used in cores.items()} | {
        "callers_cores_per_100": round(100 * cores["callers"] / steady.calls, 3),
        "peers_cores_per_100": round(100 * cores["peers"] / steady.calls, 3),
        "shared_cores_busy": {"p50": busy[len(busy) // 2], "max": busy[-1]} if busy else None,
    }


def _memory(steady: Steady | None) -> dict[str, float] | None:
    """The gateway's, in MiB; ``per_further_call``: of those after the first few, which load what the others find."""
    if steady is None:
        return None
    found = {"empty_mib": steady.empty_mib, "first_calls_mib": steady.first_mib, "steady_mib": steady.rss_mib}
    if steady.calls > 2 * steady.first_calls > 0:
        found["per_further_call_mib"] = (steady.rss_mib - steady.first_mib) / (steady.calls - steady.first_calls)
    return {name: round(value, 3) for name, value in found.items()}


def _histogram(values: Iterable[float]) -> dict[str, Any]:
    """How many responses began in each ``bin_ms``, by the beginning of the bin."""
    counts = Counter(int(ms // BIN_MS) * BIN_MS for ms in values)
    return {"bin_ms": BIN_MS, "counts": {str(begins): counts[begins] for begins in sorted(counts)}}


def _cpu_ms_per_call(sample: Sample) -> float | None:
    return round(1000 * sample.server_cores / sample.up, 2) if sample.server_cores is not None and sample.up else None


def _half_and_most(values: Iterable[float | None]) -> dict[str, float] | None:
    ranked = sorted(value for value in values if value is not None)
    return {"p50": ranked[len(ranked) // 2], "max": ranked[-1]} if ranked else None


def _most(values: Iterable[float]) -> float | None:
    return max(values, default=None)
